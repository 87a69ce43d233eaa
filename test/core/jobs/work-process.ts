import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { eventually } from "../../daemon/daemon.ts";
import type { Place } from "./place.ts";

export interface WorkOptions {
  readonly args?: readonly string[];
  /** Settings: `{ SLUICE_JOBS_LEASE: "1s" }`. */
  readonly env?: Readonly<Record<string, string>>;
  /** What is run; takes the flags of `sluice work`. */
  readonly entry?: string;
}

/** `sluice work` in a process of its own, on the place's store. Disposing it kills it. */
export class WorkProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly exited: Promise<number | null>;
  stderr = "";

  constructor(place: Place, { args = [], env = {}, entry = WORK }: WorkOptions = {}) {
    const { store, blobs } = place.config;
    const flags = ["work", "--store", store.url, "--blobs", blobs.url, ...args];
    this.#child = spawn(process.execPath, [entry, ...flags], {
      cwd: place.dir,
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.exited = once(this.#child, "close").then(([code]) => code);
  }

  get pid(): number {
    return this.#child.pid ?? Number.NaN;
  }

  /** The processes that run its stages. */
  get hosts(): number[] {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8");
    return children.split(" ").filter(Boolean).map(Number);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async says(words: string): Promise<void> {
    await eventually(async () => {
      if (!this.stderr.includes(words)) throw new Error(`it does not say ${words}:\n${this.stderr}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }
}

export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

const WORK = fileURLToPath(new URL("./work.ts", import.meta.url));
