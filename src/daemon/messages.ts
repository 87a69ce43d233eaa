import { create } from "@bufbuild/protobuf";
import type { Limits } from "../core/limits.ts";
import type {
  KeyRecord,
  Problem,
  Scope,
  Seal,
  SealCommand,
  Session,
  SessionInfo,
  StreamEnd,
} from "../core/store/store.ts";
import {
  type Limits as LimitsMessage,
  LimitsSchema,
  type QuarantinedEvent,
  QuarantinedEventSchema,
  type Sealed,
  SealedSchema,
  type SealSession,
  type SessionInfo as SessionInfoMessage,
  SessionInfoSchema,
} from "../wire/gen/sluice/v1/ingest_pb.ts";
import { type ApiKey, ApiKeySchema, Scope as ScopeMessage } from "../wire/gen/sluice/v1/keys_pb.ts";
import { type Session as SessionMessage, SessionSchema, SessionStatus } from "../wire/gen/sluice/v1/sessions_pb.ts";

// Domain values as messages, and messages as domain values.

export function infoOf(message: SessionInfoMessage | undefined): SessionInfo | undefined {
  if (message === undefined) return undefined;
  const { task, collector, startUrl, userAgent, labels, rawJson } = message;
  return {
    task,
    collector,
    startUrl,
    userAgent,
    rawJson,
    labels: labels.map(({ name, value }) => ({ name, value })),
  };
}

export function limitsOf(limits: Limits): LimitsMessage {
  return create(LimitsSchema, {
    messageBytes: BigInt(limits.messageBytes),
    eventBytes: BigInt(limits.eventBytes),
    batchEvents: limits.batchEvents,
    blobBytes: BigInt(limits.blobBytes),
  });
}

export function problemOf({ seq, path, reason }: Problem): QuarantinedEvent {
  return create(QuarantinedEventSchema, { seq, path, reason });
}

/** `own` is the stream an upload seals when it names none. */
export function sealCommandOf(
  { project, session }: { readonly project: string; readonly session: string },
  message: SealSession | undefined,
  own: StreamEnd | undefined,
): Omit<SealCommand, "jobs"> {
  const named = (message?.streams ?? []).map(({ stream, lastSeq }) => ({
    stream: stream === "" ? "main" : stream,
    lastSeq,
  }));
  return {
    project,
    session,
    streams: named.length === 0 && own !== undefined ? [own] : named,
    allowMissingBlobs: message?.allowMissingBlobs ?? false,
    expectedVersion: message === undefined || message.expectedVersion === 0n ? undefined : message.expectedVersion,
  };
}

export function sealedOf(seal: Seal): Sealed {
  const { version, sealedAtMs, missingBlobs } = seal;
  return create(SealedSchema, { version, sealedAtMs: BigInt(sealedAtMs), missingBlobs: [...missingBlobs] });
}

export function sessionOf(session: Session): SessionMessage {
  const { state, info, seal } = session;
  return create(SessionSchema, {
    project: session.project,
    id: session.id,
    ...(info === undefined ? {} : { info: create(SessionInfoSchema, { ...info, labels: [...info.labels] }) }),
    status: seal === undefined ? SessionStatus.OPEN : SessionStatus.SEALED,
    version: session.version,
    createdAtMs: BigInt(session.createdAtMs),
    updatedAtMs: BigInt(session.updatedAtMs),
    sealedAtMs: BigInt(seal?.sealedAtMs ?? 0),
    streams: session.streams.map(({ stream, lastSeq }) => ({ stream, durableSeq: lastSeq })),
    events: BigInt(state.events),
    quarantined: BigInt(state.quarantined),
    eventBytes: BigInt(state.bytes),
    blobs: BigInt(session.blobs),
    missingBlobs: BigInt(session.missingBlobs),
    firstEventMs: BigInt(state.firstMs ?? 0),
    lastEventMs: BigInt(state.lastMs ?? 0),
    types: Object.entries(state.types).map(([type, count]) => ({ type, count: BigInt(count) })),
    lastUrl: state.page?.url ?? "",
    lastTitle: state.page?.title ?? "",
  });
}

export function keyOf(key: KeyRecord): ApiKey {
  return create(ApiKeySchema, {
    id: key.id,
    project: key.project,
    name: key.name,
    scopes: key.scopes.map((scope) => SCOPES[scope]),
    createdAtMs: BigInt(key.createdAtMs),
    expiresAtMs: BigInt(key.expiresAtMs ?? 0),
    revokedAtMs: BigInt(key.revokedAtMs ?? 0),
    lastUsedAtMs: BigInt(key.lastUsedAtMs ?? 0),
    replacedBy: key.replacedBy ?? "",
  });
}

/** undefined for a scope this release does not know. */
export function scopeOf(message: ScopeMessage): Scope | undefined {
  const entry = Object.entries(SCOPES).find(([, value]) => value === message);
  return SCOPE_NAMES.find((scope) => scope === entry?.[0]);
}

const SCOPES: Readonly<Record<Scope, ScopeMessage>> = {
  ingest: ScopeMessage.INGEST,
  read: ScopeMessage.READ,
  process: ScopeMessage.PROCESS,
  admin: ScopeMessage.ADMIN,
};
const SCOPE_NAMES: readonly Scope[] = ["ingest", "read", "process", "admin"];
