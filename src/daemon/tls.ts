import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { type Clock, systemClock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";

/**
 * The certificate a listener shows, kept up to date with its files: they are looked at every
 * `pollMs` and read again when they changed (a renewal, a Kubernetes secret), or at once by
 * `reload`. New files that can't be used are logged and counted, and the certificate in use stays;
 * they are tried again when they change again, so a key written after its certificate is no matter.
 */
export class Certificate implements AsyncDisposable {
  readonly #files: TlsFiles;
  readonly #options: CertificateOptions;
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;
  #loaded: LoadedCertificate;
  #onLoad: (context: SecureContextOptions) => void = () => {};

  /** Fails with `failed_precondition` TLS_UNREADABLE or TLS_INVALID when the files can't be used. */
  static async open(files: TlsFiles, options: CertificateOptions): Promise<Certificate> {
    const print = await fingerprint(files);
    const loaded = await load(files);
    return new Certificate(files, options, loaded, print);
  }

  private constructor(files: TlsFiles, options: CertificateOptions, loaded: LoadedCertificate, print: string) {
    this.#files = files;
    this.#options = options;
    this.#loaded = loaded;
    this.#report();
    this.#watching = this.#watch(print);
  }

  /** What `tls.createServer` and `setSecureContext` take. */
  get context(): SecureContextOptions {
    return this.#loaded.context;
  }

  /** When the certificate in use ends, epoch milliseconds. */
  get notAfterMs(): number {
    return this.#loaded.notAfterMs;
  }

  /** `use` gets every certificate loaded from now on. */
  onLoad(use: (context: SecureContextOptions) => void): void {
    this.#onLoad = use;
  }

  /** Reads the files now. Whether they could be used; when not, the log says why. */
  async reload(): Promise<boolean> {
    try {
      const loaded = await load(this.#files);
      this.#onLoad(loaded.context);
      this.#loaded = loaded;
    } catch (error) {
      this.#options.metrics.certificateRefused();
      const { message, reason } = AppError.from(error);
      this.#options.logger.error({ reason, err: error }, `${message} The certificate in use stays.`);
      return false;
    }
    this.#report();
    return true;
  }

  /** The files are looked at no more. */
  close(): void {
    this.#stop.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#watching;
  }

  async #watch(first: string): Promise<void> {
    const clock = this.#options.clock ?? systemClock;
    const { signal } = this.#stop;
    // Taken before the files are read, so that a change while they are read is seen the next time.
    let seen = first;
    while (!signal.aborted) {
      await clock.sleep(this.#options.pollMs ?? POLL_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      const now = await fingerprint(this.#files);
      if (now === seen) continue;
      seen = now;
      await this.reload();
    }
  }

  #report(): void {
    const { notAfterMs, subject } = this.#loaded;
    const { logger, metrics } = this.#options;
    metrics.certificateLoaded(notAfterMs);
    const expired = notAfterMs <= (this.#options.clock ?? systemClock).now();
    // biome-ignore lint/style/noRestrictedGlobals: it shows a time and asks for none.
    const fields = { subject, notAfter: new Date(notAfterMs).toISOString() };
    if (expired) logger.warn(fields, "TLS certificate loaded, but it has expired: clients will refuse it");
    else logger.info(fields, "TLS certificate loaded");
  }
}

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** The authorities that sign client certificates. */
  readonly clientCa: string | undefined;
  /**
   * off: clients are not asked. request: a client may show a certificate, and is refused if it is
   * not a good one. require: a client without a good one is refused.
   */
  readonly clientCert: "off" | "request" | "require";
}

export interface CertificateOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
  /** How often the files are looked at; 5 s when absent. */
  readonly pollMs?: number;
}

interface LoadedCertificate {
  readonly context: SecureContextOptions;
  readonly notAfterMs: number;
  readonly subject: string;
}

const POLL_MS = 5000;

async function load(files: TlsFiles): Promise<LoadedCertificate> {
  const cert = await read(files.cert);
  const key = await read(files.key);
  const ca = files.clientCa === undefined ? undefined : await read(files.clientCa);
  const context: SecureContextOptions = { cert, key, minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) };
  try {
    // Throws when the key is not the certificate's, and on what is no PEM.
    createSecureContext(context);
    const parsed = new X509Certificate(cert);
    return { context, notAfterMs: parsed.validToDate.getTime(), subject: parsed.subject.replaceAll("\n", ", ") };
  } catch (error) {
    throw new AppError(
      "failed_precondition",
      `The certificate ${files.cert} and the key ${files.key} can't be used together; check that both are PEM and belong to each other.`,
      { reason: "TLS_INVALID", metadata: { cert: files.cert, key: files.key }, cause: error },
    );
  }
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new AppError("failed_precondition", `The TLS file ${path} can't be read.`, {
      reason: "TLS_UNREADABLE",
      metadata: { path },
      cause: error,
    });
  }
}

async function fingerprint(files: TlsFiles): Promise<string> {
  const paths = [files.cert, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])];
  const prints = await Promise.all(
    paths.map((path) =>
      stat(path, { bigint: true }).then(
        ({ ino, size, mtimeNs }) => `${ino}:${size}:${mtimeNs}`,
        () => "absent",
      ),
    ),
  );
  return prints.join(" ");
}
