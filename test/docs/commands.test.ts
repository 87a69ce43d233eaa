import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Daemon } from "../../dev/daemon.ts";
import { type Block, blocksOf, DOCUMENTS, ROOT, readDocument } from "./markdown.ts";

/** What a reader has who follows the documents. */
const TOOLS = ["curl", "openssl", "sha256sum"];

describe("every command in the documents runs as it stands, and prints what is said", () => {
  const runnable = DOCUMENTS.map((path) => ({ path, blocks: blocksOf(readDocument(path)) })).filter(
    ({ blocks }) => blocks.length > 0,
  );

  test.for(runnable)("$path", { timeout: 180_000 }, async ({ path, blocks }, context) => {
    for (const tool of TOOLS) {
      const used = blocks.some(({ code }) => new RegExp(`^${tool} `, "m").test(code));
      if (used && spawnSync(tool, ["--version"]).error !== undefined) return context.skip(`${tool} is not installed`);
    }
    await using reader = await Reader.open();
    if (!blocks.some((block) => block.how === "background")) await reader.startDaemon();
    for (const block of blocks) {
      const printed = await reader.follow(block);
      expectInOrder(printed, block.expected, `${path}:${block.line}\n${block.code}`);
    }
  });

  test("a block that only CI runs has nothing but what CI runs", () => {
    const commands = runnable.flatMap(({ blocks }) =>
      blocks.filter(({ how }) => how === "ci").flatMap(({ code }) => code.trim().split("\n")),
    );
    expect(commands.toSorted()).toEqual(["npm install", "npm run check", "npm run demo", "npm test"]);
  });

  test("no command hides in a block of another language", () => {
    for (const path of DOCUMENTS) {
      const languages = [...readDocument(path).matchAll(/^```(\w*)\n[\s\S]*?^```$/gm)].map(
        ({ 1: language }) => language,
      );
      expect(["", "json", "yaml", "sh", "js", "text"], path).toEqual(expect.arrayContaining(languages));
    }
  });
});

/** Someone who does what a document says, in a directory and on ports of their own. */
class Reader implements AsyncDisposable {
  readonly #dir: string;
  /** What 4750 and 4751 are here. */
  readonly #ports: readonly [number, number];
  readonly #serving: ChildProcess[] = [];
  #daemon: Daemon | undefined;

  private constructor(dir: string, ports: readonly [number, number]) {
    this.#dir = dir;
    this.#ports = ports;
  }

  static async open(): Promise<Reader> {
    const dir = await mkdtemp(join(tmpdir(), "sluice-docs-"));
    const reader = new Reader(dir, [await freePort(), await freePort()]);
    for (const name of ["dev", "proto", "node_modules"]) await symlink(join(ROOT, name), join(dir, name));
    const [port] = reader.#ports;
    const to = `http://127.0.0.1:${port}`;
    await reader.#program("npx", 'exec "$@"');
    await reader.#program("sluiced", `SLUICE_LISTEN=127.0.0.1:${port} exec node ${ROOT}bin/sluiced.js "$@"`);
    await reader.#program(
      "sluice",
      `if [ "$1" = push ]; then shift; set -- push --to ${to} "$@"; fi\nexec node ${ROOT}bin/sluice.js "$@"`,
    );
    return reader;
  }

  async startDaemon(): Promise<void> {
    this.#daemon = await Daemon.start({ dir: this.#dir, port: this.#ports[0] });
  }

  /** Does what the block says and returns what it printed. Fails when a command of it fails. */
  async follow({ language, how, code: written, line }: Block): Promise<string> {
    if (how === "ci") return "";
    const code = written.replaceAll("4750", String(this.#ports[0])).replaceAll("4751", String(this.#ports[1]));
    if (language === "js") return await this.#run("node", [await this.#script(code, line)]);
    if (how === "background") return await this.#serve(code);
    return await this.#run("bash", ["-euo", "pipefail", "-c", code]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { pid } of this.#serving) if (pid !== undefined) process.kill(-pid, "SIGTERM");
    await Promise.all(this.#serving.map((child) => child.exitCode ?? once(child, "exit")));
    await this.#daemon?.stop();
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 10 });
  }

  async #program(name: string, script: string): Promise<void> {
    const path = join(this.#dir, `.${name}`, name);
    await mkdir(join(this.#dir, `.${name}`));
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  }

  /** A clone has the sources where a package has what was built from them. */
  async #script(code: string, line: number): Promise<string> {
    const path = join(this.#dir, `line-${line}.mjs`);
    await writeFile(path, code.replaceAll('"sluice/client"', JSON.stringify(`${ROOT}src/client/index.ts`)));
    return path;
  }

  async #run(command: string, args: readonly string[]): Promise<string> {
    const child = this.#spawn(command, args);
    const exited = once(child, "exit");
    const printed = await outputOf(child);
    await exited;
    expect(child.exitCode, `${args.at(-1)}\n${printed}`).toBe(0);
    return printed;
  }

  /** Resolves when the log says that it listens. */
  async #serve(code: string): Promise<string> {
    const child = this.#spawn("bash", ["-euo", "pipefail", "-c", code]);
    this.#serving.push(child);
    return await new Promise((resolve, reject) => {
      let printed = "";
      child.stderr?.on("data", (chunk) => {
        printed += chunk;
        if (printed.includes('"msg":"listening"')) resolve(printed);
      });
      child.on("exit", (exitCode) => reject(new Error(`It ended with ${exitCode}: ${printed}`)));
    });
  }

  #spawn(command: string, args: readonly string[]): ChildProcess {
    const own = ["npx", "sluice", "sluiced"].map((name) => join(this.#dir, `.${name}`));
    const path = [...own, `${ROOT}node_modules/.bin`, process.env.PATH].join(":");
    const options = { cwd: this.#dir, env: { PATH: path, HOME: this.#dir }, detached: true };
    return spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  }
}

async function outputOf(child: ChildProcess): Promise<string> {
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      printed += chunk;
    });
  }
  await once(child, "close");
  return printed;
}

/** Each line said must be printed, in that order; `…` stands for anything, and white space does not matter. */
function expectInOrder(printed: string, expected: readonly string[], where: string): void {
  let rest = squeeze(printed);
  for (const line of expected) {
    const pattern = squeeze(line).split("…").map(escaped).join(".*?");
    const found = new RegExp(pattern).exec(rest);
    expect(found, `${where}\nshould print: ${line}\nprinted:\n${printed}`).not.toBeNull();
    rest = rest.slice((found?.index ?? 0) + (found?.[0].length ?? 0));
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function squeeze(text: string): string {
  return text.replaceAll(/[ \t]+/g, " ").replaceAll(/^ | $/gm, "");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("The port is not known.");
  return address.port;
}
