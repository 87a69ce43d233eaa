import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

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
}

/** A daemon in a process of its own. Disposing it kills it. */
export class DaemonProcess implements AsyncDisposable {
  /** Its URL, as soon as it serves; rejects if it ends before. */
  readonly ready: Promise<string>;
  /** Resolves when it has ended, with its exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  #pid: number | undefined;

  private constructor(child: ChildProcess, serving: Promise<Serving>, exited: Promise<number | null>) {
    this.#child = child;
    this.ready = serving.then(({ url, pid }) => {
      this.#pid = pid;
      return url;
    });
    // Whoever kills it before it serves does not wait for that.
    this.ready.catch(() => undefined);
    this.exited = exited;
  }

  static spawn(options: DaemonProcessOptions): DaemonProcess {
    const { directory, host = "127.0.0.1", port = 0, entry = DAEMON, under = [], env = {} } = options;
    const flags = ["--listen", `${host}:${port}`, "--store", `sqlite:${join(directory, "sluice.db")}`];
    const args = [entry, ...flags, "--blobs", `file:${join(directory, "blobs")}`];
    const [command = "", ...rest] = [...under, process.execPath, ...args];
    // In a directory of its own no settings file of somebody else's is read.
    const child = spawn(command, rest, {
      cwd: directory,
      stdio: ["ignore", "inherit", "pipe"],
      env: { ...process.env, ...env },
    });
    const exited = once(child, "exit").then(([code]) => code);
    return new DaemonProcess(child, served(child), exited);
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

  /** Sends the signal to the daemon, unless it has ended, and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
    // What runs it may take no signal, or leave the daemon behind when it gets one.
    if (!ended) process.kill(this.#pid ?? this.#child.pid ?? Number.NaN, signal);
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

/** What the line says that says "listening"; what was written before is kept to explain an early end. */
async function served(child: ChildProcess): Promise<Serving> {
  const { promise, resolve, reject } = Promise.withResolvers<Serving>();
  const said: string[] = [];
  if (child.stderr === null) throw new Error("the daemon's stderr is not a pipe");
  const lines = createInterface({ input: child.stderr });
  lines.on("line", (line) => {
    if (said.length < 50) said.push(line);
    const [, pid, url] = /"pid":(\d+).*"url":"([^"]+)".*"listening"/.exec(line) ?? [];
    if (url !== undefined) resolve({ url, pid: Number(pid) });
  });
  lines.once("close", () => reject(new Error(`the daemon ended before it served:\n${said.join("\n")}`)));
  child.once("error", reject);
  return promise;
}
