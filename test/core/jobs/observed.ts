import { AppError } from "../../../src/core/errors.ts";
import type { WorkerEvents } from "../../../src/core/jobs/events.ts";
import type { StageRunner } from "../../../src/core/jobs/worker.ts";
import type { StageRun, StageTask } from "../../../src/core/pipeline/run.ts";

/** What happened in a worker, a line each. */
export class Log implements WorkerEvents {
  readonly lines: string[] = [];
  settled: WorkerEvents["settled"] = ({ kind, session }, outcome, _seconds, failure) => {
    this.lines.push([outcome, kind, session, ...(failure === undefined ? [] : [failure.reason])].join(" "));
  };
  leaseLost: WorkerEvents["leaseLost"] = ({ kind, session }) => this.lines.push(`lost ${kind} ${session}`);
  storeFailed: WorkerEvents["storeFailed"] = (operation, { reason }) =>
    this.lines.push(`failed ${operation} ${reason}`);
  hostFailed: WorkerEvents["hostFailed"] = ({ reason }) => this.lines.push(`no host ${reason}`);
  swept: WorkerEvents["swept"] = ({ rescued, dead, pruned }) =>
    this.lines.push(pruned > 0 ? `pruned ${pruned}` : `swept ${rescued} ${dead}`);
}

/** A run that ends when it is told to, or aborted. */
export class Held {
  readonly begun: StageTask[] = [];
  readonly #open: PromiseWithResolvers<StageRun>[] = [];

  run: StageRunner["run"] = async (task, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<StageRun>();
    signal.addEventListener("abort", () => reject(AppError.aborted(signal)), { once: true });
    this.begun.push(task);
    this.#open.push({ promise, resolve, reject });
    return await promise;
  };

  end(run: StageRun): void {
    for (const { resolve } of this.#open.splice(0)) resolve(run);
  }
}
