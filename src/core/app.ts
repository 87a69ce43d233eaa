import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Keys } from "./auth.ts";
import type { BlobStore } from "./blobs/blobs.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Config } from "./config.ts";
import { makeDurableDirectory } from "./durable-directory.ts";
import { AppError } from "./errors.ts";
import type { Logger } from "./log.ts";
import type { Store } from "./store/store.ts";

/** What a process works with. Disposing it closes everything in reverse. */
export interface App extends AsyncDisposable {
  readonly config: Config;
  readonly clock: Clock;
  readonly store: Store;
  /** What was recorded. The daemon alone writes it. */
  readonly blobs: BlobStore;
  /** What stages made of it, and may be shown. Any process writes it, whole blobs only. */
  readonly derived: BlobStore;
  readonly keys: Keys;
}

export interface AppOptions {
  /** Make the store when there is none; without it that is `no_store`. */
  readonly create: boolean;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Durability of the store; anything but FULL is for tests that show what FULL is for. */
  readonly synchronous?: "FULL" | "NORMAL";
}

/**
 * The composition root: opens what the settings name. The only place that knows adapters, each of
 * which loads when it is used.
 */
export async function openApp(config: Config, options: AppOptions): Promise<App> {
  await using opened = new AsyncDisposableStack();
  const { clock = systemClock, logger } = options;
  const store = opened.use(await openStore(config, options));
  const blobs = opened.use(await openBlobs(config.blobs.path, config));
  const derived = opened.use(await openBlobs(derivedPath(config), config));
  const onFailure = (err: AppError): void => logger?.warn({ err }, "keys could not be read again");
  const keys = opened.use(new Keys({ store, clock, onFailure }));
  const resources = opened.move();
  return { config, clock, store, blobs, derived, keys, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function openStore(config: Config, options: AppOptions): Promise<Store & AsyncDisposable> {
  const { SqliteStore } = await import("./store/sqlite/sqlite-store.ts");
  const { create, synchronous = "FULL" } = options;
  if (create) await makeStoreDirectory(config);
  return await SqliteStore.open({ path: config.store.path, limits: config.limits, create, synchronous });
}

async function openBlobs(dir: string, { limits }: Config): Promise<BlobStore & AsyncDisposable> {
  const { LocalBlobStore } = await import("./blobs/local.ts");
  return await LocalBlobStore.open({ dir, maxBytes: limits.blobBytes });
}

/** Where derived blobs live: where the setting says, else beside the recorded ones. */
function derivedPath({ blobs, derived }: Config): string {
  return derived?.path ?? join(dirname(blobs.path), "derived");
}

async function makeStoreDirectory({ store }: Config): Promise<void> {
  const dir = dirname(store.path);
  try {
    await makeDurableDirectory(dir);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError(
      "no_store",
      `The directory ${dir} of the store can't be made: ${why}. Name another with --store.`,
      {
        reason: "STORE_DIRECTORY",
        cause: error,
      },
    );
  }
}

/** Makes this process the store's only daemon. Fails with `locked` STORE_LOCKED, naming the one there is. */
export async function ownStore(config: Config, description: string): Promise<Disposable> {
  await makeStoreDirectory(config);
  const { StoreOwner } = await import("./store/sqlite/owner.ts");
  return StoreOwner.take(config.store.path, description);
}

export interface MigrationReport {
  /** 0 for a store that is not there yet. */
  readonly current: number;
  readonly latest: number;
  readonly applied: readonly { readonly number: number; readonly name: string; readonly appliedAtMs: number }[];
  readonly pending: readonly { readonly number: number; readonly name: string }[];
}

/** Fails with `no_store` when there is none. */
export async function migrationStatus(config: Config): Promise<MigrationReport> {
  const { readStatus } = await import("./store/sqlite/migrate.ts");
  const status = existsSync(config.store.path) ? readStatus(config.store.path) : undefined;
  if (status !== undefined) return status;
  throw new AppError("no_store", `There is no store at ${config.store.path}. Make one with: sluice migrate up`, {
    reason: "NO_STORE",
  });
}

/** Makes the store, or brings it to this release's schema. Returns what was applied. */
export async function migrateUp(
  config: Config,
): Promise<readonly { readonly number: number; readonly name: string }[]> {
  const { openDatabase } = await import("./store/sqlite/database.ts");
  const { migrateUp: up } = await import("./store/sqlite/migrate.ts");
  await makeStoreDirectory(config);
  const database = openDatabase({ path: config.store.path, synchronous: "FULL", readonly: false });
  try {
    return up(database, systemClock.now).map(({ number, name }) => ({ number, name }));
  } finally {
    database.close();
  }
}
