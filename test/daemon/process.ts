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

  private constructor(child: ChildProcess, ready: Promise<string>, exited: Promise<number | null>) {
    this.#child = child;
    this.ready = ready;
    this.exited = exited;
  }

  static spawn(options: DaemonProcessOptions): DaemonProcess {
    const { directory, port = 0, entry = DAEMON, under = [], env = {} } = options;
    const flags = ["--listen", `127.0.0.1:${port}`, "--store", `sqlite:${join(directory, "sluice.db")}`];
    const args = [entry, ...flags, "--blobs", `file:${join(directory, "blobs")}`];
    const [command = "", ...rest] = [...under, process.execPath, ...args];
    // In a directory of its own no settings file of somebody else's is read.
    const child = spawn(command, rest, {
      cwd: directory,
      stdio: ["ignore", "inherit", "pipe"],
      env: { ...process.env, ...env },
    });
    const exited = once(child, "exit").then(([code]) => code);
    const ready = firstUrl(child);
    // Whoever kills it before it is ready does not wait for that.
    ready.catch(() => undefined);
    return new DaemonProcess(child, ready, exited);
  }

  static async start(options: DaemonProcessOptions): Promise<DaemonProcess> {
    const daemon = DaemonProcess.spawn(options);
    await daemon.ready;
    return daemon;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends the signal and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#child.kill(signal);
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

const DAEMON = fileURLToPath(new URL("../../bin/sluiced.js", import.meta.url));

/** The URL in the line that says "listening"; all that is written is kept to explain an early end. */
async function firstUrl(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const said: string[] = [];
  if (child.stderr === null) throw new Error("the daemon's stderr is not a pipe");
  const lines = createInterface({ input: child.stderr });
  lines.on("line", (line) => {
    if (said.length < 50) said.push(line);
    const url = line.includes('"listening"') ? /"url":"([^"]+)"/.exec(line)?.[1] : undefined;
    if (url !== undefined) resolve(url);
  });
  lines.once("close", () => reject(new Error(`the daemon ended before it served:\n${said.join("\n")}`)));
  child.once("error", reject);
  return promise;
}
