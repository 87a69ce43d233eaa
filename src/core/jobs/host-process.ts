import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Clock, within } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { StageRun, StageTask } from "../pipeline/run.ts";
import { fromPlain } from "../plain-error.ts";
import type { FromHost, HostSetup, ToHost } from "./host-messages.ts";

export interface HostOptions {
  readonly setup: HostSetup;
  /** JavaScript heap of a host. */
  readonly memoryBytes: number;
  /** For one stage of one session. */
  readonly deadlineMs: number;
  readonly clock: Clock;
}

/** A stage host as the worker sees it: a process that runs one task at a time. */
export class HostProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #options: HostOptions;
  readonly #gone = Promise.withResolvers<void>();
  #reply: PromiseWithResolvers<FromHost> | undefined;
  /** Why it is being killed, or what it said of its end. */
  #verdict: AppError | undefined;
  #lastWords = "";
  #stage: string | undefined;
  /** Why it has ended, or is ending. */
  #end: AppError | undefined;

  private constructor(options: HostOptions) {
    this.#options = options;
    const memoryMib = Math.floor(options.memoryBytes / 2 ** 20);
    this.#child = fork(fileURLToPath(new URL(`./stage-host${EXTENSION}`, import.meta.url)), {
      serialization: "advanced",
      execArgv: [`--max-old-space-size=${memoryMib}`],
      // stdin is never written to: its end tells the host that this process is gone.
      stdio: ["pipe", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS);
    });
    this.#child.on("message", (message: FromHost) => {
      if (message.type === "dying") this.#verdict ??= fromPlain(message.error);
      else this.#reply?.resolve(message);
    });
    this.#watch();
  }

  /** Fails with `unavailable` HOST_NOT_STARTED, or as `signal` says when it aborts. */
  static async start(options: HostOptions, signal: AbortSignal): Promise<HostProcess> {
    const host = new HostProcess(options);
    const cancel = (): void => host.#kill(AppError.aborted(signal));
    signal.addEventListener("abort", cancel, { once: true });
    try {
      const late = new Error(`it was not ready within ${START_MS / 1000} s`);
      const answer = await within(host.#ask({ type: "start", setup: options.setup }), START_MS, late);
      if (answer.type === "refused") throw fromPlain(answer.error);
      return host;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw signal.aborted ? AppError.aborted(signal) : notStarted(error);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Whether it can take a task. */
  get usable(): boolean {
    return this.#end === undefined;
  }

  /**
   * Fails with what the stage fails with; with `deadline_exceeded` STAGE_DEADLINE when it takes too
   * long, and `internal` STAGE_CRASHED when the process dies, which in both cases is its end. When
   * `signal` aborts the stage is asked to stop, and after a short grace the process is killed.
   */
  async run(task: StageTask, signal: AbortSignal): Promise<StageRun> {
    if (signal.aborted) throw AppError.aborted(signal);
    this.#stage = task.stage;
    const { deadlineMs } = this.#options;
    const over = new AbortController();
    const cancel = (): void => {
      this.#tell({ type: "cancel" });
      void this.#killAfter(CANCEL_GRACE_MS, AppError.aborted(signal), over.signal);
    };
    signal.addEventListener("abort", cancel, { once: true });
    void this.#killAfter(deadlineMs, tookTooLong(task, deadlineMs), over.signal);
    try {
      const answer = await this.#ask({ type: "run", task });
      if (answer.type === "done") return answer.run;
      throw answer.type === "failed"
        ? fromPlain(answer.error)
        : new Error(`a host answered a task with ${answer.type}`);
    } finally {
      over.abort();
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Ends the process at once: it holds nothing that needs an orderly end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill(new AppError("cancelled", "The worker ended the stage.", { reason: "CANCELLED" }));
    await this.#gone.promise;
  }

  async #ask(message: ToHost): Promise<FromHost> {
    if (this.#end !== undefined) throw this.#end;
    this.#reply = Promise.withResolvers<FromHost>();
    this.#tell(message);
    return await this.#reply.promise;
  }

  /** A message that can't be sent is one to a process that is ending, which is told by that. */
  #tell(message: ToHost): void {
    this.#child.send(message, () => undefined);
  }

  async #killAfter(ms: number, verdict: AppError, over: AbortSignal): Promise<void> {
    const slept = await this.#options.clock.sleep(ms, over).then(
      () => true,
      () => false,
    );
    if (slept) this.#kill(verdict);
  }

  #kill(verdict: AppError): void {
    this.#verdict ??= verdict;
    this.#end ??= verdict;
    this.#child.kill("SIGKILL");
  }

  /** Notices the end, which is when the process has gone and all it said has been read. */
  #watch(): void {
    const child = this.#child;
    const ended = (error: AppError): void => {
      this.#end ??= error;
      this.#reply?.reject(this.#verdict ?? error);
      this.#gone.resolve();
    };
    const disconnected = once(child, "disconnect");
    child.once("error", (cause) =>
      ended(new AppError("unavailable", cause.message, { reason: "HOST_NOT_STARTED", cause })),
    );
    child.once("close", (code, signal) => {
      const crash = crashed(this.#stage, code ?? signal, this.#lastWords);
      this.#end ??= crash;
      void disconnected.then(() => ended(crash));
    });
  }
}

/** Node runs the sources as they are; a build has the same files with another ending. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
/** A loaded machine takes a while to start a process. */
const START_MS = 60_000;
const CANCEL_GRACE_MS = 1_000;
const LAST_WORDS = 16 * 1024;

function tookTooLong({ stage }: StageTask, deadlineMs: number): AppError {
  return new AppError("deadline_exceeded", `Stage ${stage} was not done after ${deadlineMs / 1000} s and was ended.`, {
    reason: "STAGE_DEADLINE",
    metadata: { stage },
  });
}

function notStarted(cause: unknown): AppError {
  const told = AppError.from(cause);
  const unforeseen = told.code === "internal" && told.cause instanceof Error;
  const why = unforeseen ? String(told.cause).split("\n")[0] : told.message;
  return new AppError("unavailable", `The process that runs stages could not be started: ${why}`, {
    reason: "HOST_NOT_STARTED",
    cause,
  });
}

function crashed(stage: string | undefined, how: number | string | null, lastWords: string): AppError {
  const what = stage === undefined ? "that was to run stages" : `that ran stage ${stage}`;
  // Nobody here sends SIGKILL without saying why first: the kernel does when memory is short.
  const by = how === "SIGKILL" ? "SIGKILL from outside" : how;
  // Of what it wrote only what V8 and the C library say of themselves: the rest may quote a recording.
  const words = /^(?:FATAL ERROR: .*|terminate called .*|.*: Assertion .*)$/m.exec(lastWords)?.[0] ?? "";
  const ended = words.includes("heap out of memory") ? "ran out of memory" : "ended";
  const told = words === "" ? "" : ` Its last words: ${words}`;
  const exit = typeof by === "number" ? `with exit code ${by}` : `by ${by}`;
  return new AppError("internal", `The process ${what} ${ended} (${exit}).${told}`, { reason: "STAGE_CRASHED" });
}
