import type { Database } from "better-sqlite3";
import { and, desc, eq, exists, gte, lt, or, type SQL, sql } from "drizzle-orm";
import { type BetterSQLite3Database, drizzle } from "drizzle-orm/better-sqlite3";
import { AppError } from "../../errors.ts";
import type { SessionQuery } from "../store.ts";
import { sessionLabels, sessions } from "./schema.ts";

export interface IdPage {
  readonly ids: readonly string[];
  readonly nextCursor: string | undefined;
}

/** The ids of a page of sessions, newest first, by keyset. */
export function listIds(database: Database, query: SessionQuery): IdPage {
  const orm = drizzle({ client: database });
  const rows = orm
    .select({ id: sessions.id, createdAt: sessions.createdAt })
    .from(sessions)
    .where(and(...conditions(orm, query)))
    .orderBy(desc(sessions.createdAt), desc(sessions.id))
    .limit(query.limit + 1)
    .all();
  const page = rows.slice(0, query.limit);
  const last = page.at(-1);
  return {
    ids: page.map((row) => row.id),
    nextCursor: rows.length > query.limit && last !== undefined ? printCursor(last.createdAt, last.id) : undefined,
  };
}

/** Literals, not parameters: each status has an index of its own, which only they bring into the plan. */
const STATUS = { open: sql`${sessions.status} = 'open'`, sealed: sql`${sessions.status} = 'sealed'` };

function conditions(orm: BetterSQLite3Database, query: SessionQuery): (SQL | undefined)[] {
  return [
    eq(sessions.project, query.project),
    query.status && STATUS[query.status],
    query.sinceMs === undefined ? undefined : gte(sessions.createdAt, query.sinceMs),
    query.untilMs === undefined ? undefined : lt(sessions.createdAt, query.untilMs),
    query.collector === undefined ? undefined : eq(sessions.collector, query.collector),
    query.cursor === undefined ? undefined : before(parseCursor(query.cursor)),
    ...query.labels.map(({ name, value }) =>
      exists(
        orm
          .select({ key: sessionLabels.sessionKey })
          .from(sessionLabels)
          .where(
            and(
              eq(sessionLabels.sessionKey, sessions.key),
              eq(sessionLabels.name, name),
              eq(sessionLabels.value, value),
            ),
          ),
      ),
    ),
  ];
}

interface Cursor {
  readonly createdAt: number;
  readonly id: string;
}

function before({ createdAt, id }: Cursor): SQL | undefined {
  return or(lt(sessions.createdAt, createdAt), and(eq(sessions.createdAt, createdAt), lt(sessions.id, id)));
}

function printCursor(createdAt: number, id: string): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString("base64url");
}

function parseCursor(cursor: string): Cursor {
  try {
    const [createdAt, id]: unknown[] = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (typeof createdAt === "number" && typeof id === "string") return { createdAt, id };
  } catch {
    // Falls through to the one error there is for a token that is not ours.
  }
  throw new AppError("invalid_argument", "The page token is not one that a list call returned.", {
    reason: "BAD_PAGE_TOKEN",
  });
}
