import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DaemonProcess } from "../daemon/process.ts";

/** An attempt that a worker said it had ended as done. */
export interface SaidDone {
  readonly job: number;
  readonly fence: number;
}

/** A process that runs jobs, to be killed or stalled again and again. */
export interface Victim {
  /** Kills it at once and starts it again. */
  kill(): Promise<void>;
  /** Stops it for so long that its leases end, and lets it go on. */
  stall(ms: number): Promise<void>;
  /** Tells it to stop; resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** Leases are short, so that what a killed worker had is taken up within the run. */
const SETTINGS = { SLUICE_JOBS_LEASE: "1s", SLUICE_JOBS_CONCURRENCY: "1", SLUICE_LOG_LEVEL: "debug" };

/** `sluice work`. */
export class WorkVictim implements Victim {
  readonly #directory: string;
  readonly #said: (done: SaidDone) => void;
  #child: Child;
  #read: Promise<void>;

  constructor(directory: string, said: (done: SaidDone) => void) {
    this.#directory = directory;
    this.#said = said;
    this.#child = this.#spawn();
    this.#read = this.#listen(this.#child);
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
    this.#child = this.#spawn();
    this.#read = this.#listen(this.#child);
  }

  async stall(ms: number): Promise<void> {
    const child = this.#child;
    child.kill("SIGSTOP");
    await wait(ms);
    child.kill("SIGCONT");
  }

  async stop(): Promise<number | null> {
    return await this.#end("SIGTERM");
  }

  #spawn(): Child {
    const at = ["--store", `sqlite:${join(this.#directory, "sluice.db")}`, "--blobs", `file:${this.#directory}/blobs`];
    return spawn(process.execPath, [SLUICE, "work", "--json", ...at], {
      cwd: this.#directory,
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, ...SETTINGS },
    });
  }

  async #listen(child: Child): Promise<void> {
    for await (const line of createInterface({ input: child.stdout })) hear(line, this.#said);
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
    }
    await this.#read;
    return child.exitCode;
  }
}

type Child = ChildProcessByStdio<null, Readable, null>;

const SLUICE = fileURLToPath(new URL("../../bin/sluice.js", import.meta.url));

/** `sluiced`, on one port for good. */
export class DaemonVictim implements Victim {
  readonly url: string;
  readonly #start: () => DaemonProcess;
  #daemon: DaemonProcess;

  private constructor(url: string, start: () => DaemonProcess, daemon: DaemonProcess) {
    this.url = url;
    this.#start = start;
    this.#daemon = daemon;
  }

  static async start(directory: string, said: (done: SaidDone) => void): Promise<DaemonVictim> {
    const options = { directory, env: SETTINGS, onLine: (line: string) => hear(line, said) };
    const first = DaemonProcess.spawn(options);
    const url = await first.ready;
    const start = () => DaemonProcess.spawn({ ...options, port: Number(new URL(url).port) });
    return new DaemonVictim(url, start, first);
  }

  /** Resolves when it serves. */
  get ready(): Promise<string> {
    return this.#daemon.ready;
  }

  async kill(): Promise<void> {
    await this.#daemon.kill();
    this.#daemon = this.#start();
  }

  async stall(ms: number): Promise<void> {
    const daemon = this.#daemon;
    // One that has not begun to serve has nothing to lose.
    if (daemon.pid === undefined) return;
    process.kill(daemon.pid, "SIGSTOP");
    await wait(ms);
    process.kill(daemon.pid, "SIGCONT");
  }

  async stop(): Promise<number | null> {
    await this.#daemon.kill("SIGTERM");
    return await this.#daemon.exited;
  }
}

/** A line of a worker or of the daemon's log. One that a kill cut off says nothing. */
function hear(line: string, said: (done: SaidDone) => void): void {
  if (!line.endsWith("}") || !line.includes('"outcome":"done"')) return;
  const { job, fence }: { job?: unknown; fence?: unknown } = JSON.parse(line);
  if (typeof job === "number" && typeof fence === "number") said({ job, fence });
}
