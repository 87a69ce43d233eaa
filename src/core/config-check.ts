import { createPrivateKey, X509Certificate } from "node:crypto";
import { constants } from "node:fs";
import { access, readFile, stat } from "node:fs/promises";
import { BlockList, isIP } from "node:net";
import { dirname, resolve } from "node:path";
import type { Config } from "./config.ts";

/** What is wrong with a configuration that reads well. An error stops the daemon, a warning does not. */
export interface ConfigProblem {
  readonly severity: "error" | "warning";
  /** The setting it is about. */
  readonly setting: string;
  readonly message: string;
}

/**
 * Looks at what the settings name outside the configuration: certificates and keys that can't be
 * read, don't fit or end soon, directories that can't be written, an open port in plain text.
 * `nowMs` is compared with the certificate's dates.
 */
export async function checkConfig(config: Config, nowMs: number): Promise<ConfigProblem[]> {
  const found = await Promise.all([
    checkCertificate(config.tls, nowMs),
    checkAuthorities(config.tls.clientCa),
    checkWritable("store", config.store.path),
    checkWritable("blobs", config.blobs.path),
    ...(config.derived === undefined ? [] : [checkWritable("derived", config.derived.path)]),
  ]);
  return [...found.flat(), ...checkExposure(config)];
}

/** Whether only this machine can reach the address: 127.0.0.0/8, ::1 (also as IPv4 in IPv6) and localhost. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === "localhost";
  return LOOPBACK.check(host, family === 6 ? "ipv6" : "ipv4");
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

function checkExposure({ listen, tls }: Config): ConfigProblem[] {
  if (isLoopback(listen.host) || tls.cert !== undefined) return [];
  const message = `${listen.host} can be reached from other machines in plain text, API keys included; set tls.cert and tls.key, or put a proxy that speaks TLS before it`;
  return [{ severity: "warning", setting: "listen", message }];
}

async function checkCertificate({ cert, key }: Config["tls"], nowMs: number): Promise<ConfigProblem[]> {
  if (cert === undefined || key === undefined) return [];
  const problems: ConfigProblem[] = [];
  const certificate = await readPem("tls.cert", cert, problems, (pem) => new X509Certificate(pem));
  const privateKey = await readPem("tls.key", key, problems, (pem) => createPrivateKey(pem));
  if (certificate !== undefined) problems.push(...checkDates(certificate, cert, nowMs));
  if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
    problems.push({ severity: "error", setting: "tls.key", message: `${key} is not the key of ${cert}` });
  }
  if (privateKey !== undefined && ((await stat(key)).mode & 0o007) !== 0) {
    problems.push({
      severity: "warning",
      setting: "tls.key",
      message: `anyone on this machine can read ${key}; chmod 600`,
    });
  }
  return problems;
}

const SOON_MS = 14 * 86_400_000;

function checkDates(certificate: X509Certificate, file: string, nowMs: number): ConfigProblem[] {
  const { validFromDate: from, validToDate: to } = certificate;
  const problem = (severity: ConfigProblem["severity"], message: string) => [
    { severity, setting: "tls.cert", message },
  ];
  if (to.getTime() <= nowMs) return problem("error", `${file} ended on ${to.toISOString()}`);
  if (from.getTime() > nowMs) return problem("error", `${file} begins on ${from.toISOString()}`);
  if (to.getTime() <= nowMs + SOON_MS) return problem("warning", `${file} ends on ${to.toISOString()}`);
  return [];
}

async function checkAuthorities(file: string | undefined): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  if (file !== undefined) await readPem("tls.client_ca", file, problems, (pem) => new X509Certificate(pem));
  return problems;
}

async function readPem<T>(
  setting: string,
  file: string,
  problems: ConfigProblem[],
  parse: (pem: Buffer) => T,
): Promise<T | undefined> {
  try {
    return parse(await readFile(file));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    problems.push({ severity: "error", setting, message: `${file} can't be read as PEM: ${why}` });
    return undefined;
  }
}

/** The nearest directory there is must be writable: the rest is made when it is needed. */
async function checkWritable(setting: string, path: string): Promise<ConfigProblem[]> {
  let at = resolve(path);
  for (;;) {
    try {
      await access(at, constants.W_OK);
      return [];
    } catch (error) {
      const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!missing || dirname(at) === at) {
        const why = error instanceof Error ? error.message : String(error);
        return [{ severity: "error", setting, message: `can't be written: ${why}` }];
      }
      at = dirname(at);
    }
  }
}
