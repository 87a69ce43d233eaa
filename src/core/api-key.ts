import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { AppError } from "./errors.ts";
import type { KeyRecord, Scope } from "./store/store.ts";

export const SCOPES: readonly Scope[] = ["ingest", "read", "process", "admin"];

export interface NewKey {
  readonly project: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAtMs: number | undefined;
}

export interface CreatedKey {
  readonly key: KeyRecord;
  /** The whole `slk_…`, told this once. */
  readonly secret: string;
}

/** Makes a key that is not stored yet. Fails with `invalid_argument` BAD_ID or BAD_KEY_OPTIONS. */
export function mintKey(wanted: NewKey, nowMs: number): CreatedKey {
  checkNewKey(wanted, nowMs);
  const apiKey = newApiKey();
  const key: KeyRecord = {
    id: apiKey.id,
    project: wanted.project,
    name: wanted.name,
    scopes: SCOPES.filter((scope) => wanted.scopes.includes(scope)),
    hash: hashSecret(apiKey.secret),
    createdAtMs: nowMs,
    expiresAtMs: wanted.expiresAtMs,
    revokedAtMs: undefined,
    lastUsedAtMs: undefined,
    replacedBy: undefined,
  };
  return { key, secret: formatApiKey(apiKey) };
}

/** Fails with `invalid_argument` BAD_ID. */
export function checkProject(project: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(project)) return project;
  throw new AppError(
    "invalid_argument",
    "A project's id is 1 to 128 characters of A-Z a-z 0-9 . _ : -, and begins with a letter or digit.",
    { reason: "BAD_ID", metadata: { field: "project" } },
  );
}

/** An API key as it is presented: `slk_<id>_<secret>`. */
export interface ApiKey {
  /** 12 characters of lower-case base 32: no secret. */
  readonly id: string;
  /** 32 random bytes as 43 digits of base 62. */
  readonly secret: string;
}

function newApiKey(): ApiKey {
  return { id: randomId(), secret: base62(randomBytes(32)) };
}

function formatApiKey({ id, secret }: ApiKey): string {
  return `slk_${id}_${secret}`;
}

/** Fails with `invalid_argument` BAD_KEY; the message holds nothing of what was presented. */
export function parseApiKey(presented: string): ApiKey {
  const match = API_KEY.exec(presented);
  const [, id, secret] = match ?? [];
  if (id !== undefined && secret !== undefined) return { id, secret };
  throw new AppError("invalid_argument", `That is no Sluice API key: ${flawOf(presented)}.`, { reason: "BAD_KEY" });
}

/**
 * What is stored of a secret. Plain sha256 is enough: a slow hash defends words that people choose,
 * and 256 random bits can't be guessed however fast a guess is.
 */
function hashSecret(secret: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(secret).digest());
}

/** Takes as long for a wrong secret as for the right one. */
export function secretMatches(secret: string, hash: Uint8Array): boolean {
  const presented = hashSecret(secret);
  return hash.length === presented.length && timingSafeEqual(presented, hash);
}

/** Replaces the secret of every API key in a text: `slk_<id>_***`. */
export function redactApiKeys(text: string): string {
  return text.replaceAll(ANY_API_KEY, "slk_$1_***");
}

const API_KEY = /^slk_([a-z2-7]{12})_([0-9A-Za-z]{43})$/;
/** Looser than API_KEY: a key that was cut short or mistyped is a secret too. */
const ANY_API_KEY = /slk_([a-z0-9]{1,12})_[0-9A-Za-z]+/gi;

function flawOf(presented: string): string {
  if (presented === "") return "it is empty";
  if (/\s/.test(presented)) return "it has white space in it";
  if (!presented.startsWith("slk_")) return "a key begins with slk_";
  return "a key is slk_, 12 characters, _ and 43 characters; part of it is missing or changed";
}

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 62^43 is the first power of 62 past 2^256. */
const SECRET_DIGITS = 43;

function randomId(): string {
  return Array.from(randomBytes(12), (byte) => BASE32.charAt(byte & 31)).join("");
}

function base62(bytes: Uint8Array): string {
  let rest = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  let digits = "";
  while (digits.length < SECRET_DIGITS) {
    digits = BASE62.charAt(Number(rest % 62n)) + digits;
    rest /= 62n;
  }
  return digits;
}

function checkNewKey({ project, name, scopes, expiresAtMs }: NewKey, nowMs: number): void {
  checkProject(project);
  if (name.length < 1 || name.length > 128 || /\p{Cc}/u.test(name)) {
    throw badOptions("A key needs a name of 1 to 128 characters, none of them a control character.");
  }
  if (scopes.length === 0 || !scopes.every((scope) => SCOPES.includes(scope))) {
    throw badOptions(`A key needs at least one scope of ${SCOPES.join(", ")}.`);
  }
  if (expiresAtMs !== undefined && !(Number.isSafeInteger(expiresAtMs) && expiresAtMs > nowMs)) {
    throw badOptions("A key must expire in the future.");
  }
}

function badOptions(message: string): AppError {
  return new AppError("invalid_argument", message, { reason: "BAD_KEY_OPTIONS" });
}
