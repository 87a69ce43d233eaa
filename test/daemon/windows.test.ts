import { once } from "node:events";
import { type ClientHttp2Session, connect, createServer, type ServerHttp2Session } from "node:http2";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CallWindow, Windows } from "../../src/daemon/windows.ts";

const KIB = 1024;
const SMALL = 16 * KIB;
const LARGE = 1024 * KIB;
const BUDGET = 5 * LARGE;

let opened = new DisposableStack();
beforeEach(() => {
  opened = new DisposableStack();
});
afterEach(() => opened.dispose());

/** A connection's two ends. */
interface Pair {
  readonly client: ClientHttp2Session;
  readonly server: ServerHttp2Session;
}

async function pairs(count: number): Promise<Pair[]> {
  const server = createServer({ settings: { initialWindowSize: SMALL } });
  opened.defer(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  const made: Pair[] = [];
  for (let index = 0; index < count; index++) {
    const accepted: Promise<ServerHttp2Session[]> = once(server, "session");
    const client = connect(`http://127.0.0.1:${address.port}`);
    opened.defer(() => client.destroy());
    const settled = once(client, "remoteSettings");
    const [session] = await accepted;
    if (session === undefined) throw new Error("no session");
    await settled;
    made.push({ client, server: session });
  }
  return made;
}

/** What each client believes it may send unread, once it has seen all that was sent before. */
async function seen(connections: readonly Pair[]): Promise<number[]> {
  return await Promise.all(
    connections.map(async ({ client, server }) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      server.ping((error) => (error === null ? resolve() : reject(error)));
      await promise;
      return client.remoteSettings.initialWindowSize ?? 0;
    }),
  );
}

function upload(windows: Windows, { server }: Pair): CallWindow {
  const window = windows.enter(server);
  window.widen();
  return window;
}

describe("receive windows", () => {
  const make = () => new Windows({ smallBytes: SMALL, largeBytes: LARGE, budgetBytes: BUDGET });

  test("a call that nobody has authenticated has a small one, the first uploads large ones", async () => {
    const connections = await pairs(2);
    const windows = make();
    const [stranger, known] = connections;
    if (stranger === undefined || known === undefined) throw new Error("no connections");
    windows.enter(stranger.server);
    upload(windows, known);
    expect(await seen(connections)).toEqual([SMALL, LARGE]);
  });

  test("sixteen uploads on four connections have equal ones, which together keep within the budget", async () => {
    const connections = await pairs(4);
    const windows = make();
    for (let call = 0; call < 16; call++) upload(windows, connections[Math.floor(call / 4)] ?? raise());
    const sizes = await seen(connections);
    expect(new Set(sizes)).toEqual(new Set([256 * KIB]));
    expect(sizes.reduce((sum, size) => sum + 4 * (size - SMALL), 0)).toBeLessThanOrEqual(BUDGET);
  });

  test("more uploads than the budget has room for have small ones, whoever came first", async () => {
    const connections = await pairs(4);
    const windows = make();
    for (let call = 0; call < 1_000; call++) upload(windows, connections[Math.floor(call / 250)] ?? raise());
    expect(await seen(connections)).toEqual([SMALL, SMALL, SMALL, SMALL]);
  });

  test("a connection whose last upload ended has small ones, and leaves its room to the next call of others", async () => {
    const connections = await pairs(2);
    const [one, other] = connections;
    if (one === undefined || other === undefined) throw new Error("no connections");
    const windows = make();
    const many = Array.from({ length: 20 }, () => upload(windows, one));
    upload(windows, other);
    expect(await seen(connections)).toEqual([256 * KIB, 256 * KIB]);
    for (const call of many) call[Symbol.dispose]();
    upload(windows, other);
    expect(await seen(connections)).toEqual([SMALL, LARGE]);
  });

  test("a peer that acknowledges nothing is told so few sizes that it is not cut off", async () => {
    const [pair] = await pairs(1);
    if (pair === undefined) throw new Error("no connection");
    const windows = make();
    // Nothing is read in between: all this is unacknowledged.
    for (let round = 0; round < 20; round++) {
      const calls = Array.from({ length: 6 }, () => upload(windows, pair));
      for (const call of calls) call[Symbol.dispose]();
    }
    expect(await seen([pair])).toEqual([SMALL]);
    expect(pair.server.destroyed).toBe(false);
  });
});

function raise(): never {
  throw new Error("no connection");
}
