import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export function freshSession(): string {
  return `bench-${process.hrtime.bigint()}`;
}

/** Runs a load generator to its end; resolves to what it has written. */
export async function generate<Result>(script: string, job: object): Promise<Result> {
  const child = spawn(process.execPath, [here(script), JSON.stringify(job)], { stdio: ["ignore", "pipe", "inherit"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  return JSON.parse(Buffer.concat(chunks).toString());
}

export interface Served extends AsyncDisposable {
  readonly url: string;
}

/** The package as it ships: built, without the sources that Node would have to strip first. */
export async function layOut(dir: string): Promise<void> {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  await mkdir(dir);
  await promisify(execFile)("tsc", ["-p", join(root, "tsconfig.build.json"), "--outDir", join(dir, "dist")]);
  // Not a link: Node would take a script for the file it is linked to, beside which are the sources.
  await cp(join(root, "bin"), join(dir, "bin"), { recursive: true });
  for (const part of ["migrations", "package.json", "node_modules"]) await symlink(join(root, part), join(dir, part));
}

/** The daemon of the package laid out beside `data`. */
export function daemon(data: string): Promise<Served> {
  const flags = ["--listen", "127.0.0.1:0", "--store", `sqlite:${data}/sluice.db`, "--blobs", `file:${data}/blobs`];
  return start(join(dirname(data), "package", "bin", "sluiced.js"), flags);
}

export async function start(script: string, flags: readonly string[]): Promise<Served> {
  const child = spawn(process.execPath, [script, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  const url = await listening(child);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

async function listening(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface(stream).on("line", (line) => {
      const url = /https?:\/\/[^"\s]+/.exec(line)?.[0];
      if (url !== undefined) resolve(url);
    });
  }
  child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  return await promise;
}

export async function metric({ url }: Served, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1]);
}

export function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** Of sorted values; `part` is 0.99 for the 99th percentile. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
}
