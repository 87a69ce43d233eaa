import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

// The tables of migrations/sqlite that queries composed at run time name, with the columns they use.

export const sessions = sqliteTable("sessions", {
  key: integer().primaryKey(),
  project: text().notNull(),
  id: text().notNull(),
  status: text({ enum: ["open", "sealed"] }).notNull(),
  createdAt: integer("created_at").notNull(),
  collector: text(),
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
