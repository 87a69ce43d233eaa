import type { StageRun, StageTask } from "../pipeline/run.ts";
import { type HostOptions, HostProcess } from "./host-process.ts";

export interface HostPoolOptions extends HostOptions {
  /** A host that has nothing to do for this long is ended. */
  readonly idleMs: number;
}

/**
 * Runs stages in processes of their own. A process is started when none is free, used again while
 * it is sound, and ended when it has nothing to do. The caller bounds how many run at once, and
 * disposes of the pool when none runs.
 */
export class HostPool implements AsyncDisposable {
  readonly #options: HostPoolOptions;
  readonly #hosts = new Set<HostProcess>();
  /** The latest used first, so that those not needed come to their end. */
  readonly #idle = new Map<HostProcess, AbortController>();

  constructor(options: HostPoolOptions) {
    this.#options = options;
  }

  /** Processes there are. */
  get size(): number {
    return this.#hosts.size;
  }

  /** See HostProcess.run; also fails with `unavailable` HOST_NOT_STARTED. */
  async run(task: StageTask, signal: AbortSignal): Promise<StageRun> {
    const host = this.#takeIdle() ?? (await HostProcess.start(this.#options, signal));
    this.#hosts.add(host);
    try {
      return await host.run(task, signal);
    } finally {
      if (host.usable) void this.#keep(host);
      else this.#hosts.delete(host);
    }
  }

  #takeIdle(): HostProcess | undefined {
    for (const [host, rest] of [...this.#idle].reverse()) {
      this.#idle.delete(host);
      rest.abort();
      if (host.usable) return host;
      this.#hosts.delete(host);
    }
    return undefined;
  }

  async #keep(host: HostProcess): Promise<void> {
    const rest = new AbortController();
    this.#idle.set(host, rest);
    const { clock, idleMs } = this.#options;
    const taken = await clock.sleep(idleMs, rest.signal).then(
      () => false,
      () => true,
    );
    if (taken) return;
    this.#idle.delete(host);
    await this.#end(host);
  }

  async #end(host: HostProcess): Promise<void> {
    await host[Symbol.asyncDispose]();
    this.#hosts.delete(host);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const rest of this.#idle.values()) rest.abort();
    this.#idle.clear();
    await Promise.all([...this.#hosts].map((host) => this.#end(host)));
  }
}
