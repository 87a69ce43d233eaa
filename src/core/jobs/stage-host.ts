import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { getPriority, setPriority } from "node:os";
import { Worker } from "node:worker_threads";
import { type App, openApp } from "../app.ts";
import { readOriginal } from "../blobs/originals.ts";
import { AppError } from "../errors.ts";
import { type AnyStage, Pipeline } from "../pipeline/pipeline.ts";
import { runStage, type StageTask, type StageWorld, stageFailed } from "../pipeline/run.ts";
import type { StageIo } from "../pipeline/stage.ts";
import { toPlain } from "../plain-error.ts";
import type { FromHost, HostSetup, ToHost } from "./host-messages.ts";

// The process in which stages run, one at a time, so that one that crashes, loops for ever or eats
// its memory takes nothing else with it. It reads the store and writes derived blobs; what a stage
// gave goes back to the worker, which alone writes the ledger. host-process.ts is the other side.

/** Below everything that serves: stages take what ingest leaves. */
const NICE = 10;
/** When memory is short the kernel ends a host before the daemon. */
const OOM_SCORE = 500;

class StageHost {
  #world: StageWorld | undefined;
  #running: { readonly stage: string; readonly interrupt: AbortController } | undefined;

  async take(message: ToHost): Promise<void> {
    switch (message.type) {
      case "start":
        return await this.#start(message.setup);
      case "run":
        return await this.#run(message.task);
      case "cancel":
        this.#running?.interrupt.abort(new AppError("cancelled", "The run was cancelled.", { reason: "CANCELLED" }));
        return;
      default:
        message satisfies never;
    }
  }

  async #start({ config, settings, stages }: HostSetup): Promise<void> {
    try {
      const { STAGES }: { readonly STAGES: readonly AnyStage[] } = await import(stages);
      const pipeline = new Pipeline(STAGES, settings);
      const app = await openApp(config, { create: false });
      const io: StageWorld["io"] = (project, written) => this.#io(app, project, written);
      this.#world = { store: app.store, pipeline, io, elapsed: () => performance.now() };
      send({ type: "ready" });
    } catch (error) {
      send({ type: "refused", error: toPlain(error) });
    }
  }

  async #run(task: StageTask): Promise<void> {
    if (this.#world === undefined) throw new Error("a host runs nothing before it has started");
    const interrupt = new AbortController();
    this.#running = { stage: task.stage, interrupt };
    try {
      const run = await runStage(this.#world, task, interrupt.signal);
      send({ type: "done", run });
    } catch (error) {
      send({ type: "failed", error: toPlain(interrupt.signal.aborted ? interrupt.signal.reason : error) });
    } finally {
      this.#running = undefined;
    }
  }

  #io(app: App, project: string, written: Set<string>): StageIo {
    const signal = this.#running?.interrupt.signal ?? AbortSignal.abort();
    return {
      readBlob: (id) => readOriginal(app, project, id, signal),
      writeDerived: async (data) => {
        const id = await app.derived.put(project, data, signal);
        written.add(id);
        return id;
      },
      signal,
    };
  }

  /** What a stage left behind has thrown: nothing this process does from here on can be relied on. */
  die(error: unknown): void {
    const stage = this.#running?.stage ?? "that ran before";
    send({ type: "dying", error: toPlain(stageFailed(stage, error)) }, () => process.kill(process.pid, "SIGKILL"));
  }
}

function send(message: FromHost, sent: () => void = () => undefined): void {
  // Nobody to tell means that the worker is gone, which parent-watch.ts sees to.
  process.send?.(message, undefined, undefined, sent);
}

/** Threads that V8 has begun keep their priority unless each is told: Linux has one nice value a thread. */
function beModest(): void {
  const nice = Math.max(getPriority(), NICE);
  setPriority(nice);
  if (process.platform !== "linux") return;
  for (const thread of readdirSync("/proc/self/task")) setPriority(Number(thread), nice);
  // Where a sandbox does not allow it the kernel chooses by size, which is no harm to the host.
  void writeFile("/proc/self/oom_score_adj", String(OOM_SCORE)).catch(() => undefined);
}

/** Node runs the sources as they are; a build has the same files with another ending. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

beModest();
new Worker(new URL(`./parent-watch${EXTENSION}`, import.meta.url)).unref();
// Who ends the worker may signal its whole group; the worker decides when a stage ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
const host = new StageHost();
process.on("uncaughtException", (error) => host.die(error));
process.on("message", (message: ToHost) => void host.take(message));
