import { type CreatedKey, checkProject, mintKey, type NewKey, parseApiKey, SCOPES, secretMatches } from "./api-key.ts";
import { type Clock, withDeadline } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { KeyRecord, Scope, Store } from "./store/store.ts";

/** Who makes a call. */
export interface Principal {
  /** undefined: an anonymous caller on the loopback. */
  readonly keyId: string | undefined;
  /** undefined: any project, which only an anonymous caller on the loopback has. */
  readonly project: string | undefined;
  readonly scopes: ReadonlySet<Scope>;
  /** Aborts with an `unauthenticated` AppError when the key ends: revoked, rotated out or expired. */
  readonly signal: AbortSignal;
}

/** A principal for as long as its call lasts. Dispose it, or its key is watched for ever. */
export interface Lease extends Disposable {
  readonly principal: Principal;
}

/** A caller on the loopback that has no key and needs none. */
export function anonymous(): Lease {
  const { signal } = new AbortController();
  return {
    principal: { keyId: undefined, project: undefined, scopes: new Set(SCOPES), signal },
    [Symbol.dispose]: () => undefined,
  };
}

/** Fails with `permission_denied` SCOPE_MISSING. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.scopes.has(scope)) return;
  throw new AppError("permission_denied", `This needs a key with the scope ${scope}.`, {
    reason: "SCOPE_MISSING",
    metadata: { scope },
  });
}

/**
 * The project a call is about: the one asked for, or with "" the key's own ("default" without a
 * key). Fails with `permission_denied` PROJECT_MISMATCH for any other, in the same words whether
 * there is such a project or not.
 */
export function resolveProject(principal: Principal, requested: string): string {
  if (principal.project === undefined) return checkProject(requested === "" ? "default" : requested);
  if (requested === "" || requested === principal.project) return principal.project;
  throw new AppError("permission_denied", "This key is for another project.", { reason: "PROJECT_MISMATCH" });
}

export type KeyStore = Pick<Store, "createKey" | "readKey" | "listKeys" | "rotateKey" | "revokeKey" | "touchKey">;

export interface KeysOptions {
  readonly store: KeyStore;
  readonly clock: Clock;
  /** How old what is known of a key may be, in milliseconds. */
  readonly refreshMs?: number;
  /** Told of a failure to re-read or touch a key, which is tried again by itself. */
  readonly onFailure?: (error: AppError) => void;
}

const CACHE_CAPACITY = 10_000;
const TOUCH_EVERY_MS = 60_000;
const STORE_DEADLINE_MS = 10_000;
const READS_AT_ONCE = 32;

/**
 * API keys: made, ended, and checked. While leases are held, their keys are re-read from the store
 * every `refreshMs`, so a key that another process revokes ends its streams here within that time.
 * Disposing it stops the watching and waits for what is being written.
 */
export class Keys implements AsyncDisposable {
  readonly #store: KeyStore;
  readonly #clock: Clock;
  readonly #refreshMs: number;
  readonly #onFailure: (error: AppError) => void;
  readonly #cache = new Map<string, CachedKey>();
  readonly #live = new Map<string, LiveKey>();
  readonly #touches = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #watch: Promise<void> | undefined;

  constructor({ store, clock, refreshMs = 1000, onFailure = () => undefined }: KeysOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#refreshMs = refreshMs;
    this.#onFailure = onFailure;
  }

  /** Fails with `invalid_argument` BAD_ID or BAD_KEY_OPTIONS. */
  async create(wanted: NewKey, signal: AbortSignal): Promise<CreatedKey> {
    const created = mintKey(wanted, this.#clock.now());
    await this.#store.createKey(created.key, signal);
    return created;
  }

  /** Newest first, ended ones too. `project` undefined means all. */
  async list(project: string | undefined, signal: AbortSignal): Promise<KeyRecord[]> {
    return await this.#store.listKeys(project, signal);
  }

  /**
   * A new key with the same name and scopes, and the lifetime the old one had. The old key goes on
   * for `overlapMs`. `project` undefined means any. Fails with `not_found` KEY_NOT_FOUND, or
   * `failed_precondition` KEY_REVOKED or KEY_REPLACED.
   */
  async rotate(
    id: string,
    { project, overlapMs }: { readonly project: string | undefined; readonly overlapMs: number },
    signal: AbortSignal,
  ): Promise<CreatedKey> {
    if (!Number.isSafeInteger(overlapMs) || overlapMs < 0) {
      throw new AppError("invalid_argument", "The overlap must be 0 or more whole milliseconds.", {
        reason: "BAD_KEY_OPTIONS",
      });
    }
    const old = await this.#find(id, project, signal);
    if (old.replacedBy !== undefined) {
      throw new AppError("failed_precondition", `The key ${id} was rotated already; rotate ${old.replacedBy}.`, {
        reason: "KEY_REPLACED",
        metadata: { replaced_by: old.replacedBy },
      });
    }
    const now = this.#clock.now();
    const expiresAtMs = old.expiresAtMs === undefined ? undefined : now + (old.expiresAtMs - old.createdAtMs);
    const created = mintKey({ project: old.project, name: old.name, scopes: old.scopes, expiresAtMs }, now);
    await this.#store.rotateKey(id, created.key, now + overlapMs, signal);
    // Nothing may fail from here on: the secret would be lost.
    const endsAtMs = Math.min(old.expiresAtMs ?? Number.POSITIVE_INFINITY, now + overlapMs);
    this.#remember(id, { ...old, expiresAtMs: endsAtMs, replacedBy: created.key.id }, now);
    return created;
  }

  /** Ends a key and its leases. Revoking twice is no error. Fails with `not_found` KEY_NOT_FOUND. */
  async revoke(
    id: string,
    { project }: { readonly project: string | undefined },
    signal: AbortSignal,
  ): Promise<KeyRecord> {
    await this.#find(id, project, signal);
    const record = await this.#store.revokeKey(id, this.#clock.now(), signal);
    this.#remember(id, record, this.#clock.now());
    return record;
  }

  /**
   * Fails with `unauthenticated` UNAUTHENTICATED, in the same words whether the key is malformed,
   * unknown, wrong, revoked or expired. What a store that doesn't answer throws is thrown.
   */
  async authenticate(presented: string, signal: AbortSignal): Promise<Lease> {
    const { id, secret } = parseOrRefuse(presented);
    const record = await this.#read(id, signal);
    const matches = secretMatches(secret, record?.hash ?? NO_HASH);
    if (record === undefined || !matches || hasEnded(record, this.#clock.now())) throw unauthenticated();
    this.#touch(record);
    return this.#lease(record);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AppError("cancelled", "The keys are closing.", { reason: "CANCELLED" }));
    await this.#watch;
    await Promise.all(this.#touches);
  }

  async #find(id: string, project: string | undefined, signal: AbortSignal): Promise<KeyRecord> {
    const record = await this.#store.readKey(id, signal);
    if (record !== undefined && (project === undefined || record.project === project)) return record;
    throw new AppError("not_found", `There is no key ${JSON.stringify(id)}.`, { reason: "KEY_NOT_FOUND" });
  }

  async #read(id: string, signal: AbortSignal): Promise<KeyRecord | undefined> {
    const cached = this.#cache.get(id);
    if (cached !== undefined && Math.abs(this.#clock.now() - cached.readAtMs) < this.#refreshMs) return cached.record;
    return await this.#refresh(id, signal);
  }

  async #refresh(id: string, signal: AbortSignal): Promise<KeyRecord | undefined> {
    const readAtMs = this.#clock.now();
    const record = await this.#store.readKey(id, signal);
    this.#remember(id, record, readAtMs);
    return record;
  }

  /** Unknown ids are not cached: whoever makes them up must not push out the keys in use. */
  #remember(id: string, record: KeyRecord | undefined, readAtMs: number): void {
    const touchedAtMs = this.#cache.get(id)?.touchedAtMs ?? Number.NEGATIVE_INFINITY;
    this.#cache.delete(id);
    if (record !== undefined) {
      this.#cache.set(id, { record, readAtMs, touchedAtMs });
      if (this.#cache.size > CACHE_CAPACITY) {
        for (const oldest of this.#cache.keys()) {
          this.#cache.delete(oldest);
          break;
        }
      }
    }
    const live = this.#live.get(id);
    if (live === undefined) return;
    live.record = record;
    this.#endIfOver(id, live);
  }

  #lease(record: KeyRecord): Lease {
    const live: LiveKey = this.#live.get(record.id) ?? { record, leases: new Set() };
    // A controller a lease, so that what listens to one is free to go with it.
    const ended = new AbortController();
    live.leases.add(ended);
    this.#live.set(record.id, live);
    this.#watch ??= this.#watchLive();
    return {
      principal: { keyId: record.id, project: record.project, scopes: new Set(record.scopes), signal: ended.signal },
      [Symbol.dispose]: () => {
        live.leases.delete(ended);
        if (live.leases.size === 0 && this.#live.get(record.id) === live) this.#live.delete(record.id);
      },
    };
  }

  /** Runs while there are leases, and no longer: an idle process has no timer of ours. */
  async #watchLive(): Promise<void> {
    const { signal } = this.#closing;
    while (this.#live.size > 0 && !signal.aborted) {
      try {
        await this.#clock.sleep(this.#refreshMs, signal);
      } catch {
        // Only closing ends the sleep early.
        break;
      }
      for (const [id, live] of this.#live) this.#endIfOver(id, live);
      await this.#refreshLive(signal);
    }
    this.#watch = undefined;
  }

  async #refreshLive(signal: AbortSignal): Promise<void> {
    const ids = [...this.#live.keys()];
    for (let at = 0; at < ids.length && !signal.aborted; at += READS_AT_ONCE) {
      const deadline = withDeadline(signal, STORE_DEADLINE_MS);
      const reads = ids.slice(at, at + READS_AT_ONCE).map((id) => this.#refresh(id, deadline));
      for (const read of await Promise.allSettled(reads)) {
        // Streams outlive a store that is away: without it they can neither store nor read.
        if (read.status === "rejected" && !signal.aborted) this.#onFailure(AppError.from(read.reason));
      }
    }
  }

  #endIfOver(id: string, live: LiveKey): void {
    if (live.record !== undefined && !hasEnded(live.record, this.#clock.now())) return;
    this.#live.delete(id);
    for (const lease of live.leases) lease.abort(ended());
  }

  #touch(record: KeyRecord): void {
    const cached = this.#cache.get(record.id);
    const now = this.#clock.now();
    if (cached === undefined || this.#closing.signal.aborted) return;
    const last = Math.max(cached.touchedAtMs, record.lastUsedAtMs ?? Number.NEGATIVE_INFINITY);
    if (now - last < TOUCH_EVERY_MS) return;
    cached.touchedAtMs = now;
    const touch = this.#store
      .touchKey(record.id, now, AbortSignal.timeout(STORE_DEADLINE_MS))
      .catch((error: unknown) => this.#onFailure(AppError.from(error)))
      .finally(() => this.#touches.delete(touch));
    this.#touches.add(touch);
  }
}

interface CachedKey {
  readonly record: KeyRecord;
  readonly readAtMs: number;
  touchedAtMs: number;
}

interface LiveKey {
  /** undefined: the store has it no more. */
  record: KeyRecord | undefined;
  readonly leases: Set<AbortController>;
}

/** Compared with when there is no such key, so that an unknown id costs what a wrong secret does. */
const NO_HASH = new Uint8Array(32);

function hasEnded({ revokedAtMs, expiresAtMs }: KeyRecord, nowMs: number): boolean {
  return revokedAtMs !== undefined || (expiresAtMs !== undefined && expiresAtMs <= nowMs);
}

function parseOrRefuse(presented: string): { readonly id: string; readonly secret: string } {
  try {
    return parseApiKey(presented);
  } catch (error) {
    throw unauthenticated(error);
  }
}

function unauthenticated(cause?: unknown): AppError {
  return new AppError("unauthenticated", "This needs a valid API key.", { reason: "UNAUTHENTICATED", cause });
}

function ended(): AppError {
  return new AppError("unauthenticated", "The API key of this call has ended; come back with a current one.", {
    reason: "UNAUTHENTICATED",
  });
}
