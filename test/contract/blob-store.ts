import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BlobStore } from "../../src/core/blobs/blobs.ts";
import { AppError } from "../../src/core/errors.ts";

/** A BlobStore on data of its own. */
export interface BlobStoreFixture extends AsyncDisposable {
  readonly store: BlobStore;
  /** Closes the store and opens it again on the same data. */
  reopen(): Promise<void>;
  /** Changes a byte of a published blob behind the store's back. */
  damage(project: string, id: string): Promise<void>;
}

/** The promises of BlobStore, for any adapter. `maxBytes` is the largest blob the store may accept. */
export function blobStoreContract(
  technology: string,
  open: (options: { readonly maxBytes: number }) => Promise<BlobStoreFixture>,
): void {
  const never = new AbortController().signal;
  const maxBytes = 1024 * 1024;

  describe(`BlobStore on ${technology}`, () => {
    test("a blob written whole is stored and reads back as the same bytes", async () => {
      await using fixture = await open({ maxBytes });
      for (const bytes of [randomBytes(1), randomBytes(4500), randomBytes(maxBytes), Buffer.alloc(0)]) {
        expect(await put(fixture.store, "p", bytes)).toEqual({ received: bytes.length, stored: true });
        expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
        expect(await fixture.store.progress("p", idOf(bytes), never)).toEqual({ received: bytes.length, stored: true });
      }
    });

    test("a blob read back arrives in chunks of at most 256 KiB", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(maxBytes - 7);
      await put(fixture.store, "p", bytes);
      const sizes = (await chunksOf(fixture.store, "p", idOf(bytes))).map((chunk) => chunk.length);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1024);
    });

    test("a blob never seen has progress 0 and reads as not_found BLOB_NOT_FOUND", async () => {
      await using fixture = await open({ maxBytes });
      const id = idOf(randomBytes(8));
      expect(await fixture.store.progress("p", id, never)).toEqual({ received: 0, stored: false });
      expect(await failure(readAll(fixture.store, "p", id))).toMatchObject({
        code: "not_found",
        reason: "BLOB_NOT_FOUND",
      });
    });

    test("a blob put whole is stored, as often and by as many as put it", async () => {
      await using fixture = await open({ maxBytes });
      const { store } = fixture;
      const blobs = [randomBytes(1), randomBytes(4500), randomBytes(maxBytes), Buffer.alloc(0)];
      const ids = await Promise.all([...blobs, ...blobs, ...blobs].map((bytes) => store.put("p", bytes, never)));
      expect(ids).toEqual([...blobs, ...blobs, ...blobs].map(idOf));
      for (const bytes of blobs) {
        expect(bytes.equals(await readAll(store, "p", idOf(bytes)))).toBe(true);
        expect(await store.progress("p", idOf(bytes), never)).toEqual({ received: bytes.length, stored: true });
      }
      expect(await failure(readAll(store, "q", idOf(blobs[0] ?? Buffer.of())))).toMatchObject({ code: "not_found" });
      await fixture.reopen();
      for (const bytes of blobs) expect(await fixture.store.put("p", bytes, never)).toBe(idOf(bytes));
    });

    test("a blob put whole while it arrives in chunks is stored, and so its next chunk says", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(1000);
      await writeAt(fixture.store, "p", bytes, 0, 600);
      await fixture.store.put("p", bytes, never);
      expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
      expect(await writeAt(fixture.store, "p", bytes, 600, 1000)).toEqual({ received: 1000, stored: true });
      expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
    });

    test("a blob removed is as if it had never been, if that is sure when its turn comes", async () => {
      await using fixture = await open({ maxBytes });
      const { store } = fixture;
      const bytes = randomBytes(1000);
      const id = await store.put("p", bytes, never);
      await store.put("q", bytes, never);
      await store.remove("p", id, async () => false, never);
      expect(await store.progress("p", id, never)).toEqual({ received: 1000, stored: true });
      await store.remove("p", id, async () => true, never);
      await store.remove("p", id, () => Promise.reject(new Error("nobody asks")), never);
      expect(await store.progress("p", id, never)).toEqual({ received: 0, stored: false });
      expect(await failure(readAll(store, "p", id))).toMatchObject({ reason: "BLOB_NOT_FOUND" });
      expect(bytes.equals(await readAll(store, "q", id))).toBe(true);
      await fixture.reopen();
      expect(await fixture.store.progress("p", id, never)).toEqual({ received: 0, stored: false });
      expect(await put(fixture.store, "p", bytes)).toEqual({ received: 1000, stored: true });
    });

    test("a blob that is written while it is about to be removed is there or is asked for anew", async () => {
      await using fixture = await open({ maxBytes });
      const { store } = fixture;
      const bytes = randomBytes(1000);
      const id = await store.put("p", bytes, never);
      const asked = Promise.withResolvers<void>();
      const answer = Promise.withResolvers<boolean>();
      const removing = store.remove(
        "p",
        id,
        () => {
          asked.resolve();
          return answer.promise;
        },
        never,
      );
      await asked.promise;
      const writing = writeAt(store, "p", bytes, 0, 1000);
      answer.resolve(true);
      await removing;
      expect(await writing).toEqual({ received: 1000, stored: true });
      expect(bytes.equals(await readAll(store, "p", id))).toBe(true);
    });

    test("a blob half arrived reads as not_found", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(1000);
      await writeAt(fixture.store, "p", bytes, 0, 600);
      expect(await failure(readAll(fixture.store, "p", idOf(bytes)))).toMatchObject({ code: "not_found" });
    });

    test("a chunk that does not begin at what was received is out_of_range and writes nothing", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(1000);
      expect(await failure(writeAt(fixture.store, "p", bytes, 10, 20))).toMatchObject(wrongOffset(0));
      expect(await writeAt(fixture.store, "p", bytes, 0, 400)).toEqual({ received: 400, stored: false });
      for (const at of [0, 399, 401, 900]) {
        expect(await failure(writeAt(fixture.store, "p", bytes, at, at + 50))).toMatchObject(wrongOffset(400));
      }
      expect(await fixture.store.progress("p", idOf(bytes), never)).toEqual({ received: 400, stored: false });
      expect(await writeAt(fixture.store, "p", bytes, 400, 1000)).toEqual({ received: 1000, stored: true });
      expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
    });

    test("an empty chunk in the right place changes nothing", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(10);
      await writeAt(fixture.store, "p", bytes, 0, 5);
      expect(await writeAt(fixture.store, "p", bytes, 5, 5)).toEqual({ received: 5, stored: false });
      expect(await writeAt(fixture.store, "p", bytes, 5, 10)).toEqual({ received: 10, stored: true });
    });

    test("bytes that don't hash to the id are data_loss BLOB_MISMATCH, are removed, and the right ones can follow", async () => {
      await using fixture = await open({ maxBytes });
      for (const cuts of [
        [0, 3000],
        [0, 1000, 3000],
      ]) {
        const right = randomBytes(3000);
        const wrong = Buffer.from(right);
        wrong[500] = (wrong[500] ?? 0) ^ 1;
        expect(await failure(putIn(fixture.store, "p", wrong, cuts, idOf(right)))).toMatchObject({
          code: "data_loss",
          reason: "BLOB_MISMATCH",
        });
        expect(await fixture.store.progress("p", idOf(right), never)).toEqual({ received: 0, stored: false });
        expect(await failure(readAll(fixture.store, "p", idOf(right)))).toMatchObject({ code: "not_found" });
        expect(await put(fixture.store, "p", right)).toEqual({ received: 3000, stored: true });
      }
    });

    test("a stored blob answers stored to any chunk of it, also after a reopen", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(1000);
      await put(fixture.store, "p", bytes);
      for (let round = 0; round < 2; round++) {
        for (const [from, to] of [
          [0, 1000],
          [0, 10],
          [500, 600],
          [1000, 1000],
        ] as const) {
          expect(await writeAt(fixture.store, "p", bytes, from, to)).toEqual({ received: 1000, stored: true });
        }
        await fixture.reopen();
      }
      expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
    });

    test("a blob in one project is not there in another", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(100);
      await put(fixture.store, "a", bytes);
      expect(await fixture.store.progress("b", idOf(bytes), never)).toEqual({ received: 0, stored: false });
      expect(await failure(readAll(fixture.store, "b", idOf(bytes)))).toMatchObject({ code: "not_found" });
      await writeAt(fixture.store, "b", bytes, 0, 50);
      expect(await fixture.store.progress("a", idOf(bytes), never)).toEqual({ received: 100, stored: true });
    });

    test("an id, project, size or offset that can't be is invalid_argument and touches nothing", async () => {
      await using fixture = await open({ maxBytes });
      const { store } = fixture;
      const data = randomBytes(4);
      const good = { id: idOf(data), size: 4, offset: 0, data };
      const ids = [
        "",
        "..",
        "../../etc/passwd",
        idOf(data).toUpperCase(),
        `${idOf(data)}0`,
        idOf(data).slice(1),
        `${idOf(data)}\n`,
      ];
      const projects = ["", ".", "..", "../a", "a/b", "a\\b", "-a", "a\0b", "ä", "a\n", "x".repeat(129)];
      const chunks = [
        { ...good, offset: 1 },
        { ...good, offset: -1 },
        { ...good, offset: 0.5 },
        { ...good, size: 3 },
        { ...good, size: -1 },
        { ...good, size: Number.NaN },
        { ...good, size: maxBytes + 1 },
        { ...good, size: 2 ** 60 },
      ];
      const invalid = { code: "invalid_argument" };
      for (const id of ids) {
        expect(await failure(store.write("p", { ...good, id }, never)), id).toMatchObject(invalid);
        expect(await failure(store.progress("p", id, never)), id).toMatchObject(invalid);
        expect(await failure(readAll(store, "p", id)), id).toMatchObject(invalid);
      }
      for (const project of projects) {
        expect(await failure(store.write(project, good, never)), project).toMatchObject(invalid);
        expect(await failure(store.progress(project, good.id, never)), project).toMatchObject(invalid);
        expect(await failure(readAll(store, project, good.id)), project).toMatchObject(invalid);
      }
      for (const chunk of chunks) expect(await failure(store.write("p", chunk, never))).toMatchObject(invalid);
      for (const project of projects) expect(await failure(store.put(project, data, never))).toMatchObject(invalid);
      expect(await failure(store.put("p", randomBytes(maxBytes + 1), never))).toMatchObject({
        ...invalid,
        reason: "BLOB_TOO_LARGE",
      });
      expect(await store.progress("p", good.id, never)).toEqual({ received: 0, stored: false });
    });

    test("a damaged blob is data_loss BLOB_CORRUPT when it is read", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(300_000);
      await put(fixture.store, "p", bytes);
      await fixture.damage("p", idOf(bytes));
      expect(await failure(readAll(fixture.store, "p", idOf(bytes)))).toMatchObject({
        code: "data_loss",
        reason: "BLOB_CORRUPT",
      });
    });

    test("a signal that has aborted stops every call before it starts", async () => {
      await using fixture = await open({ maxBytes });
      const { store } = fixture;
      const bytes = randomBytes(100);
      const chunk = { id: idOf(bytes), size: 100, offset: 0, data: bytes };
      const aborted = AbortSignal.abort();
      expect(await failure(store.write("p", chunk, aborted))).toMatchObject({ code: "cancelled" });
      expect(await failure(store.put("p", bytes, aborted))).toMatchObject({ code: "cancelled" });
      expect(await store.progress("p", chunk.id, never)).toEqual({ received: 0, stored: false });
      await put(store, "p", bytes);
      expect(await failure(store.progress("p", chunk.id, aborted))).toMatchObject({ code: "cancelled" });
      expect(await failure(readAll(store, "p", chunk.id, aborted))).toMatchObject({ code: "cancelled" });
      expect(await failure(store.ping(aborted))).toMatchObject({ code: "cancelled" });
      expect(await failure(store.ping(AbortSignal.abort(new Error("the caller left"))))).toMatchObject({
        code: "cancelled",
      });
    });

    test("a reader that leaves early does not hold the blob", async () => {
      await using fixture = await open({ maxBytes });
      const bytes = randomBytes(maxBytes);
      await put(fixture.store, "p", bytes);
      for await (const chunk of fixture.store.read("p", idOf(bytes), never)) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
    });

    test("ping resolves while blobs can be written, and a closed store is unavailable", async () => {
      await using fixture = await open({ maxBytes });
      await fixture.store.ping(never);
      const { store } = fixture;
      await fixture.reopen();
      await fixture.store.ping(never);
      expect(await failure(store.ping(never))).toMatchObject({ code: "unavailable" });
      expect(await failure(put(store, "p", randomBytes(3)))).toMatchObject({ code: "unavailable" });
      expect(await failure(store.put("p", randomBytes(3), never))).toMatchObject({ code: "unavailable" });
    });

    test("however a blob is cut and however often the store is reopened, it arrives as the same bytes", {
      timeout: 60_000,
    }, async () => {
      await using fixture = await open({ maxBytes });
      const step = fc.oneof(
        {
          weight: 6,
          arbitrary: fc.record({ do: fc.constant("send" as const), bytes: fc.integer({ min: 1, max: 40_000 }) }),
        },
        {
          weight: 2,
          arbitrary: fc.record({ do: fc.constant("resend" as const), back: fc.integer({ min: 1, max: 5000 }) }),
        },
        { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
      );
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: 120_000 }),
          fc.array(step, { maxLength: 12 }),
          async (size, steps) => {
            const bytes = randomBytes(size);
            for (const todo of steps) {
              const { received, stored } = await fixture.store.progress("p", idOf(bytes), never);
              if (todo.do === "reopen") await fixture.reopen();
              else if (todo.do === "send") await writeAt(fixture.store, "p", bytes, received, received + todo.bytes);
              else if (!stored && received > 0) {
                const at = Math.max(0, received - todo.back);
                expect(await failure(writeAt(fixture.store, "p", bytes, at, at + 1))).toMatchObject(
                  wrongOffset(received),
                );
              }
            }
            await resume(fixture.store, "p", bytes, 50_000);
            expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
          },
        ),
        { numRuns: 60 },
      );
    });

    test("senders of the same blobs at the same time all see them stored, and the bytes are right", {
      timeout: 60_000,
    }, async () => {
      await using fixture = await open({ maxBytes });
      const cuts = fc.array(fc.integer({ min: 500, max: 30_000 }), { minLength: 1, maxLength: 5 });
      await fc.assert(
        fc.asyncProperty(
          fc.array(cuts, { minLength: 2, maxLength: 5 }),
          fc.integer({ min: 1, max: 90_000 }),
          async (senders, size) => {
            const blobs = [randomBytes(size), randomBytes(size)];
            await Promise.all(
              senders.flatMap((chunkSizes) => blobs.map((bytes) => resume(fixture.store, "p", bytes, ...chunkSizes))),
            );
            for (const bytes of blobs) expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
          },
        ),
        { numRuns: 40 },
      );
    });

    test("a sender of wrong bytes can delay a right one, never spoil its blob", { timeout: 60_000 }, async () => {
      await using fixture = await open({ maxBytes });
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 2, max: 60_000 }), fc.integer({ min: 1, max: 12 }), async (size, chunks) => {
          const step = Math.ceil(size / chunks);
          const bytes = randomBytes(size);
          const wrong = randomBytes(size);
          const spoil = putIn(fixture.store, "p", wrong, cutEvery(size, step), idOf(bytes)).catch((error: unknown) => {
            expect(["BLOB_OFFSET", "BLOB_MISMATCH"]).toContain(AppError.from(error).reason);
          });
          await Promise.all([spoil, resume(fixture.store, "p", bytes, step)]);
          expect(bytes.equals(await readAll(fixture.store, "p", idOf(bytes)))).toBe(true);
        }),
        { numRuns: 60 },
      );
    });
  });

  /** Sends what is missing, as a collector does: from `received`, again from 0 after a mismatch. */
  async function resume(store: BlobStore, project: string, bytes: Buffer, ...chunkSizes: number[]): Promise<void> {
    let { received, stored } = await store.progress(project, idOf(bytes), never);
    for (let turn = 0; !stored; turn++) {
      const to = received + (chunkSizes[turn % chunkSizes.length] ?? bytes.length);
      try {
        ({ received, stored } = await writeAt(store, project, bytes, received, to));
      } catch (error) {
        const { reason, metadata } = AppError.from(error);
        expect(["BLOB_OFFSET", "BLOB_MISMATCH"]).toContain(reason);
        received = receivedIn(metadata);
      }
    }
  }

  function put(store: BlobStore, project: string, bytes: Buffer) {
    return writeAt(store, project, bytes, 0, bytes.length);
  }

  async function putIn(
    store: BlobStore,
    project: string,
    bytes: Buffer,
    cuts: readonly number[],
    id: string,
  ): Promise<void> {
    for (const [turn, from] of cuts.slice(0, -1).entries()) {
      await writeAt(store, project, bytes, from, cuts[turn + 1] ?? bytes.length, id);
    }
  }

  function writeAt(store: BlobStore, project: string, bytes: Buffer, from: number, to: number, id = idOf(bytes)) {
    return store.write(project, { id, size: bytes.length, offset: from, data: bytes.subarray(from, to) }, never);
  }

  async function chunksOf(store: BlobStore, project: string, id: string, signal = never): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of store.read(project, id, signal)) chunks.push(chunk);
    return chunks;
  }

  async function readAll(store: BlobStore, project: string, id: string, signal = never): Promise<Buffer> {
    return Buffer.concat(await chunksOf(store, project, id, signal));
  }
}

function receivedIn({ received }: Readonly<Record<string, string>>): number {
  return Number(received);
}

function idOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function cutEvery(size: number, step: number): number[] {
  return [...Array.from({ length: Math.ceil(size / step) }, (_, turn) => turn * step), size];
}

function wrongOffset(received: number) {
  return { code: "out_of_range", reason: "BLOB_OFFSET", metadata: { received: String(received) } };
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => (error instanceof AppError ? error : `not an AppError: ${error}`),
  );
}
