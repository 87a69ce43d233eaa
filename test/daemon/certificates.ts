import { execFile } from "node:child_process";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Certificates made with openssl, in a directory that goes away. */
export class Certificates implements AsyncDisposable {
  readonly dir: string;
  #made = 0;

  /** undefined when there is no openssl on this machine. */
  static async open(): Promise<Certificates | undefined> {
    try {
      await run("openssl", ["version"]);
    } catch {
      return undefined;
    }
    return new Certificates(await mkdtemp(join(tmpdir(), "sluice-tls-")));
  }

  private constructor(dir: string) {
    this.dir = dir;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** A certificate for localhost, signed by itself or by `signer`. */
  async make(name: string, signer?: Pair, days = 2): Promise<Pair> {
    const pair = { cert: this.path(`${name}-${this.#made}.crt`), key: this.path(`${name}-${this.#made}.key`) };
    this.#made++;
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pair.key];
    const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const signed = signer === undefined ? [] : ["-CA", signer.cert, "-CAkey", signer.key];
    await run("openssl", ["req", "-x509", ...key, "-out", pair.cert, "-days", String(days), ...names, ...signed]);
    return pair;
  }

  /** Puts the files of `from` where `to` are, each whole at once. */
  async replace(to: Pair, from: Pair): Promise<void> {
    for (const [target, source] of [
      [to.cert, from.cert],
      [to.key, from.key],
    ] as const) {
      await writeFile(`${target}.next`, await readFile(source));
      await rename(`${target}.next`, target);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}
