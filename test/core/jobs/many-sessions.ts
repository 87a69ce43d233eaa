import Database from "better-sqlite3";

export interface ManySessions {
  readonly project: string;
  readonly count: number;
  /** Sessions with one creation time: time n has `perTime` of them. */
  readonly perTime: number;
  /** Every so many-th session has no artifact; the rest are fresh under the signature. */
  readonly staleEvery: number;
  readonly signature: string;
}

/** Puts sealed sessions into a store's file directly, far faster than recording them. */
export function insertSessions(path: string, { project, count, perTime, staleEvery, signature }: ManySessions): void {
  const database = new Database(path);
  try {
    database.pragma("synchronous = OFF");
    database.pragma("cache_size = -262144");
    database.prepare("INSERT OR IGNORE INTO projects (id, created_at) VALUES (?, 1)").run(project);
    database.prepare("INSERT OR IGNORE INTO pipeline_signatures (signature) VALUES (?)").run(signature);
    database
      .prepare(
        `INSERT INTO sessions (project, id, status, created_at, updated_at, events, sealed_at, sealed_missing, score, pipeline)
         WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :count)
         SELECT :project, printf('s%08d', n), 'sealed', 1000000 + cast(n / :perTime AS INTEGER), 2000000, 40, 2000000, '[]', n % 100,
           CASE WHEN n % :staleEvery = 0 THEN NULL
             ELSE (SELECT id FROM pipeline_signatures WHERE signature = :signature) END FROM n`,
      )
      .run({ project, count, perTime, staleEvery, signature });
    database.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
}
