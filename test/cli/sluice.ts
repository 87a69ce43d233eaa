import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type App, openApp } from "../../src/core/app.ts";
import { loadConfig } from "../../src/core/config.ts";

export const BIN: string = fileURLToPath(new URL("../../bin/sluice.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of stdout, which must all be versioned records. */
  records(): z.infer<typeof RECORD>[];
}

const RECORD = z.looseObject({ v: z.literal(1), type: z.string() });

/** A directory of its own with the default store in it, and the real binary run there. */
export class Workplace implements AsyncDisposable {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async open(): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(tmpdir(), "sluice-cli-")));
  }

  /** The default store, made if need be. */
  async app(): Promise<App> {
    const flags = { store: `sqlite:${this.dir}/data/sluice.db`, blobs: `file:${this.dir}/data/blobs` };
    const { values } = await loadConfig({ flags, env: {}, cwd: this.dir, file: undefined });
    return await openApp(values, { create: true });
  }

  async sluice(args: readonly string[], options: { env?: Record<string, string>; stdin?: string } = {}): Promise<Ran> {
    const child = this.spawn(args, options.env);
    child.stdin.end(options.stdin ?? "");
    return await finished(child);
  }

  /** `entry` is the script that is run: the binary, or one with stages of a test. */
  spawn(args: readonly string[], env: Record<string, string> = {}, entry = BIN): Child {
    const { PATH = "", NODE_COMPILE_CACHE = "" } = process.env;
    return spawn(process.execPath, [entry, ...args], {
      cwd: this.dir,
      env: { PATH, NODE_COMPILE_CACHE, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }
}

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export async function finished(child: Child): Promise<Ran> {
  const exited = once(child, "exit");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await exited;
  const records = () =>
    stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => RECORD.parse(JSON.parse(line)));
  return { code: child.exitCode, stdout, stderr, records };
}
