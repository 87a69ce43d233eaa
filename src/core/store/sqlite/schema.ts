import { blob, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

// The tables as migrations/sqlite makes them, for the queries that are composed at run time.

export const projects = sqliteTable("projects", {
  id: text().primaryKey(),
  createdAt: integer("created_at").notNull(),
  openSessions: integer("open_sessions").notNull().default(0),
});

export const sessions = sqliteTable("sessions", {
  key: integer().primaryKey(),
  project: text().notNull(),
  id: text().notNull(),
  status: text({ enum: ["open", "sealed"] }).notNull(),
  version: integer().notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
  collector: text(),
  info: text(),
  events: integer().notNull(),
  quarantined: integer().notNull(),
  bytes: integer().notNull(),
  types: text().notNull(),
  firstMs: integer("first_ms"),
  lastMs: integer("last_ms"),
  page: text(),
  sealedAt: integer("sealed_at"),
  sealedMissing: text("sealed_missing"),
});

export const sessionLabels = sqliteTable(
  "session_labels",
  {
    sessionKey: integer("session_key").notNull(),
    name: text().notNull(),
    value: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.sessionKey, table.name, table.value] })],
);

export const streams = sqliteTable("streams", {
  key: integer().primaryKey(),
  sessionKey: integer("session_key").notNull(),
  id: text().notNull(),
  durableSeq: integer("durable_seq").notNull(),
  epoch: integer().notNull(),
});

export const quarantine = sqliteTable(
  "quarantine",
  {
    streamKey: integer("stream_key").notNull(),
    seq: integer().notNull(),
    path: text().notNull(),
    reason: text().notNull(),
    event: blob({ mode: "buffer" }).notNull(),
    at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.streamKey, table.seq] })],
);

export const keys = sqliteTable("keys", {
  id: text().primaryKey(),
  project: text().notNull(),
  name: text().notNull(),
  scopes: text().notNull(),
  hash: blob({ mode: "buffer" }).notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at"),
  revokedAt: integer("revoked_at"),
  lastUsedAt: integer("last_used_at"),
  replacedBy: text("replaced_by"),
});
