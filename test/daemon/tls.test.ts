import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { createLogger } from "../../src/core/log.ts";
import { Metrics } from "../../src/core/metrics.ts";
import { Certificate, type TlsFiles } from "../../src/daemon/tls.ts";
import { ManualClock } from "../manual-clock.ts";
import { Certificates, type Pair } from "./certificates.ts";
import { frame, goawayCode, PREFACE, SETTINGS } from "./raw-http2.ts";
import { closed, openHttp2, openListener, openSocket, readAll, sample } from "./transport.ts";

const run = promisify(execFile);
const EXPIRY = "sluice_tls_certificate_expiry_timestamp_seconds";
const INADEQUATE_SECURITY = 12;

const made = await Certificates.open();
if (made === undefined) process.stderr.write("skipped: TLS, for openssl is absent\n");

afterAll(() => made?.[Symbol.asyncDispose]());

describe.skipIf(made === undefined)("TLS", () => {
  test.each([
    ["--http1.1", "1.1"],
    ["--http2", "2.0"],
  ])("curl %s is answered, by ALPN", async (flag, version) => {
    const own = await make("own");
    await using daemon = await openListener({ tls: files(own) });
    const url = daemon.url.replace("127.0.0.1", "localhost");
    const body = ["--data-binary", "x".repeat(100_000)];
    const { stdout } = await run("curl", ["-sS", flag, "--cacert", own.cert, ...body, url]);
    expect(stdout).toBe(`${version} 100000`);
    await expect.poll(() => daemon.listener.connections).toBe(0);
  });

  test("versions before 1.2 are refused", async () => {
    const own = await make("own");
    await using daemon = await openListener({ tls: files(own) });
    const old: ConnectionOptions = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    await expect(handshake(daemon.port, own, old)).rejects.toThrow(/protocol version/);
    expect(await sample(daemon.metrics, 'sluice_connections_refused_total{reason="handshake"}')).toBe(1);
  });

  test("a peer that begins a handshake and stops is closed", async () => {
    const own = await make("own");
    await using daemon = await openListener({ tls: files(own), handshakeTimeoutMs: 200 });
    await using socket = await openSocket(daemon.port);
    socket.write(Buffer.from([0x16, 3, 1, 2, 0]));
    await closed(socket);
    await expect.poll(() => daemon.listener.connections).toBe(0);
  });

  test("plain text is served to loopback alone: others are told to use TLS", async (context) => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === "IPv4" && !each.internal)?.address;
    if (address === undefined) return context.skip("this machine has no address but loopback");
    const own = await make("own");
    await using daemon = await openListener({ tls: files(own), host: "0.0.0.0" });
    await using near = openHttp2(`http://127.0.0.1:${daemon.port}`);
    expect((await near.request({})).body).toBe("2.0 0");

    await using http1 = await openSocket(daemon.port, address);
    http1.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect((await readAll(http1)).toString()).toMatch(/^HTTP\/1\.1 400 [\s\S]*https/);
    await using http2 = await openSocket(daemon.port, address);
    http2.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0)]));
    expect(goawayCode(await readAll(http2))).toBe(INADEQUATE_SECURITY);
    expect(await sample(daemon.metrics, 'sluice_connections_refused_total{reason="plaintext"}')).toBe(2);
    await using secure = await handshake(daemon.port, own, { host: address });
    expect(secure.authorized).toBe(true);
  });

  test("a reload changes the certificate of new connections and leaves open ones alone", async () => {
    const first = await make("first");
    const second = await make("second");
    await using daemon = await openListener({ tls: files(first) });
    await using client = openHttp2(daemon.url, { ca: await readFile(first.cert) });
    expect((await client.request({})).body).toBe("2.0 0");

    await made?.replace(first, second);
    expect(await daemon.listener.reloadTls()).toBe(true);
    await using fresh = await handshake(daemon.port, second);
    expect(fresh.getPeerCertificate().subject.CN).toBe("second");
    expect((await client.request({})).body).toBe("2.0 0");
  });

  test("a broken renewal is refused, counted, and the certificate in use stays", async () => {
    const own = await make("own");
    const other = await make("other");
    await using daemon = await openListener({ tls: files(own) });
    const before = await sample(daemon.metrics, EXPIRY);
    const cert = await readFile(own.cert);
    for (const broken of ["", "no certificate", await readFile(other.cert)]) {
      await writeFile(own.cert, broken);
      expect(await daemon.listener.reloadTls()).toBe(false);
    }
    await writeFile(own.cert, cert);
    await using socket = await handshake(daemon.port, own);
    expect(socket.getPeerCertificate().subject.CN).toBe("own");
    expect(await sample(daemon.metrics, 'sluice_tls_reloads_total{outcome="refused"}')).toBe(3);
    expect(await sample(daemon.metrics, EXPIRY)).toBe(before);
  });

  test("changed files are found without being told, and a key that comes later than its certificate is no matter", async () => {
    const own = await make("own");
    const next = await make("next", undefined, 30);
    using metrics = new Metrics({ version: "test" });
    const clock = new ManualClock();
    const options = { metrics, clock, logger: createLogger({ level: "silent" }), pollMs: 5000 };
    await using certificate = await Certificate.open(files(own), options);
    const before = certificate.notAfterMs;
    const loads: number[] = [];
    certificate.onLoad(() => loads.push(1));

    await writeFile(own.cert, await readFile(next.cert));
    await passes(clock, 5000);
    await expect.poll(() => sample(metrics, 'sluice_tls_reloads_total{outcome="refused"}')).toBe(1);
    await passes(clock, 5000);
    await writeFile(own.key, await readFile(next.key));
    await passes(clock, 5000);
    await expect.poll(() => loads.length).toBe(1);
    expect(certificate.notAfterMs).toBeGreaterThan(before);
    expect(await sample(metrics, EXPIRY)).toBe(certificate.notAfterMs / 1000);
    await passes(clock, 5000);
    await passes(clock, 5000);
    expect(loads.length).toBe(1);
  });

  test("files that can't be used are an error that names them", async () => {
    const own = await make("own");
    const other = await make("other");
    await expect(openListener({ tls: files({ ...own, key: other.key }) })).rejects.toMatchObject({
      reason: "TLS_INVALID",
    });
    await expect(openListener({ tls: files({ ...own, cert: `${own.cert}.absent` }) })).rejects.toMatchObject({
      reason: "TLS_UNREADABLE",
      metadata: { path: `${own.cert}.absent` },
    });
  });

  describe("client certificates", () => {
    test.each([
      { mode: "off", shows: "none", served: true },
      { mode: "off", shows: "strange", served: true },
      { mode: "request", shows: "none", served: true },
      { mode: "request", shows: "good", served: true },
      { mode: "request", shows: "strange", served: false },
      { mode: "require", shows: "none", served: false },
      { mode: "require", shows: "good", served: true },
      { mode: "require", shows: "strange", served: false },
    ] as const)("$mode: a client with $shows is served: $served", async ({ mode, shows, served }) => {
      const own = await make("own");
      const authority = await make("authority");
      const pairs = { none: undefined, good: await make("good", authority), strange: await make("strange") };
      await using daemon = await openListener({
        tls: { ...files(own), clientCa: mode === "off" ? undefined : authority.cert, clientCert: mode },
      });
      const pair = pairs[shows];
      const shown = pair === undefined ? {} : { cert: await readFile(pair.cert), key: await readFile(pair.key) };
      await using client = openHttp2(daemon.url, { ca: await readFile(own.cert), ...shown });
      const answer = await client.request({}).then(
        ({ body }) => body,
        () => "refused",
      );
      // A session that fails before the first answer ends the request without a status.
      expect(answer === "2.0 0").toBe(served);
    });
  });
});

async function make(name: string, signer?: Pair, days?: number): Promise<Pair> {
  if (made === undefined) throw new Error("no openssl");
  return made.make(name, signer, days);
}

function files({ cert, key }: Pair): TlsFiles {
  return { cert, key, clientCa: undefined, clientCert: "off" };
}

async function handshake(
  port: number,
  trusted: Pair,
  more: ConnectionOptions = {},
): Promise<TLSSocket & AsyncDisposable> {
  const ca = await readFile(trusted.cert);
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca, ALPNProtocols: ["h2"], ...more });
  await once(socket, "secureConnect");
  const dispose = async () => {
    socket.destroy();
  };
  return Object.assign(socket, { [Symbol.asyncDispose]: dispose });
}

/** Lets `ms` pass once the watch is asleep, so that it can't be missed. */
async function passes(clock: ManualClock, ms: number): Promise<void> {
  await expect.poll(() => clock.sleepers).toBe(1);
  clock.advance(ms);
  await new Promise(setImmediate);
  await expect.poll(() => clock.sleepers).toBe(1);
}
