import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Wake } from "../../src/client/wake.ts";

export interface DaemonProcessOptions {
  /** The store and the blobs are in here. */
  readonly directory: string;
  /** 0 takes a free one. */
  readonly port?: number;
  /** 127.0.0.1 unless told. */
  readonly host?: string;
  /** What is run instead of the daemon itself; takes the same flags. */
  readonly entry?: string;
  /** A command that runs the daemon, such as strace with its options. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Gets each line of its log. */
  readonly onLine?: (line: string) => void;
}

/** A daemon in a process of its own. Disposing it kills it. */
export class DaemonProcess implements AsyncDisposable {
  /** Its URL, as soon as it serves; rejects if it ends before. */
  readonly ready: Promise<string>;
  /** Resolves when it has ended, with its exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #log: Log;
  #pid: number | undefined;

  private constructor(child: ChildProcess, log: Log, exited: Promise<number | null>) {
    this.#child = child;
    this.#log = log;
    this.ready = served(child, log).then(({ url, pid }) => {
      this.#pid = pid;
      return url;
    });
    // Whoever kills it before it serves does not wait for that.
    this.ready.catch(() => undefined);
    this.exited = exited;
  }

  static spawn(options: DaemonProcessOptions): DaemonProcess {
    const { directory, host = "127.0.0.1", port = 0, entry = DAEMON, under = [], env = {}, onLine } = options;
    const flags = ["--listen", `${host}:${port}`, "--store", `sqlite:${join(directory, "sluice.db")}`];
    const args = [entry, ...flags, "--blobs", `file:${join(directory, "blobs")}`];
    const [command = "", ...rest] = [...under, process.execPath, ...args];
    // In a directory of its own no settings file of somebody else's is read.
    const child = spawn(command, rest, {
      cwd: directory,
      stdio: ["ignore", "inherit", "pipe"],
      env: { ...process.env, ...env },
    });
    if (child.stderr === null) throw new Error("the daemon's stderr is not a pipe");
    const exited = once(child, "exit").then(([code]) => code);
    return new DaemonProcess(child, new Log(child.stderr, onLine), exited);
  }

  static async start(options: DaemonProcessOptions): Promise<DaemonProcess> {
    const daemon = DaemonProcess.spawn(options);
    await daemon.ready;
    return daemon;
  }

  /** The daemon's own process, once it serves. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Resolves when it has logged this message; rejects when it ends without. */
  async logged(message: string): Promise<void> {
    await this.#log.find(new RegExp(`"msg":"${message}"`));
  }

  /** Sends the signal to the daemon, unless it has ended. */
  signal(signal: NodeJS.Signals): void {
    const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
    // What runs it may take no signal, or leave the daemon behind when it gets one.
    if (!ended) process.kill(this.#pid ?? this.#child.pid ?? Number.NaN, signal);
  }

  /** Sends the signal and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.signal(signal);
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

const DAEMON = fileURLToPath(new URL("../../bin/sluiced.js", import.meta.url));

interface Serving {
  readonly url: string;
  readonly pid: number;
}

/** What the line says that says "listening". */
async function served(child: ChildProcess, log: Log): Promise<Serving> {
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  const [, pid, url = ""] = await Promise.race([log.find(/"pid":(\d+).*"url":"([^"]+)".*"listening"/), failed]);
  return { url, pid: Number(pid) };
}

/** The last lines it wrote. */
class Log {
  readonly #lines: string[] = [];
  readonly #moved = new Wake();
  #ended = false;

  constructor(stderr: Readable, onLine?: (line: string) => void) {
    const lines = createInterface({ input: stderr });
    lines.on("line", (line) => {
      onLine?.(line);
      this.#lines.push(line);
      if (this.#lines.length > LINES_KEPT) this.#lines.shift();
      this.#moved.ring();
    });
    lines.once("close", () => {
      this.#ended = true;
      this.#moved.ring();
    });
  }

  async find(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const moved = this.#moved.rung;
      for (const line of this.#lines) {
        const found = pattern.exec(line);
        if (found !== null) return found;
      }
      if (this.#ended) throw new Error(`the daemon ended and did not log ${pattern}:\n${this.#lines.join("\n")}`);
      await moved;
    }
  }
}

const LINES_KEPT = 100;
