import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

export interface DaemonOptions {
  /** Its working directory; with the default settings the data goes to `data/` in it. */
  readonly dir: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
}

/** The real sluiced, in a process of its own. */
export class Daemon implements AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly #child: Child;
  readonly #exited: Promise<unknown>;
  #killed = false;

  private constructor(child: Child, url: string, exited: Promise<unknown>) {
    this.#child = child;
    this.#exited = exited;
    this.url = url;
    this.pid = child.pid ?? 0;
  }

  /** Resolves when it listens. Fails with what it wrote when it ends before that. */
  static async start({ dir, port = 0 }: DaemonOptions): Promise<Daemon> {
    const child: Child = spawn(process.execPath, [binary("sluiced"), "--listen", `127.0.0.1:${port}`], {
      cwd: dir,
      env: withoutSettings(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    const exited = once(child, "exit");
    const said = await listening(child.stderr);
    if (said.url !== undefined) return new Daemon(child, said.url, exited);
    await exited;
    throw new Error(`sluiced ended before it listened:\n${said.lines.join("\n")}`);
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Resolves when the process is gone. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (!this.#killed) this.#child.kill(signal);
    this.#killed = true;
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Runs the real sluice on this process's own output; resolves with its exit code. */
export async function sluice(args: readonly string[], dir: string): Promise<unknown> {
  const child = spawn(process.execPath, [binary("sluice"), ...args], {
    cwd: dir,
    env: withoutSettings(),
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = await once(child, "exit");
  return code;
}

/** The address in the log, or what the log says without one. It is read to its end: nobody must wait to write it. */
function listening(log: Readable): Promise<{ readonly url?: string; readonly lines: readonly string[] }> {
  return new Promise((resolve) => {
    const lines: string[] = [];
    const reader = createInterface({ input: log });
    reader.on("close", () => resolve({ lines }));
    reader.on("line", function read(line) {
      const url = /"url":"([^"]+)"/.exec(line)?.[1];
      if (url === undefined) return void lines.push(line);
      reader.off("line", read);
      resolve({ url, lines });
    });
  });
}

type Child = ChildProcessByStdio<null, null, Readable>;

function binary(name: "sluice" | "sluiced"): string {
  return fileURLToPath(new URL(`../bin/${name}.js`, import.meta.url));
}

/** The environment without what whoever runs this has set for Sluice: only what is given here counts. */
function withoutSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([variable]) => !variable.startsWith("SLUICE_")));
}
