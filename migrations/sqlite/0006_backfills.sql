-- Backfills: recordings made by other tools, brought in from files. Times are epoch milliseconds.

CREATE TABLE backfills (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  -- JSON: what was named, and how it is brought in.
  sources TEXT NOT NULL,
  settings TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
  version INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- A file, or a directory that is one recording. `digest` is of its bytes.
CREATE TABLE backfill_items (
  key INTEGER PRIMARY KEY,
  backfill INTEGER NOT NULL REFERENCES backfills (key),
  project TEXT NOT NULL,
  path TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  outcome TEXT NOT NULL CHECK (outcome IN ('begun', 'imported', 'duplicate', 'refused', 'passed_over')),
  format TEXT NOT NULL DEFAULT '',
  sessions INTEGER NOT NULL DEFAULT 0,
  events INTEGER NOT NULL DEFAULT 0,
  quarantined INTEGER NOT NULL DEFAULT 0,
  blobs INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX backfill_items_by_path ON backfill_items (backfill, path);
-- Content decides what is there already.
CREATE INDEX backfill_items_imported ON backfill_items (project, digest) WHERE outcome = 'imported';
CREATE INDEX backfill_items_by_outcome ON backfill_items (backfill, outcome);

-- Sessions to seal when all of their streams have come.
CREATE TABLE backfill_sessions (
  backfill INTEGER NOT NULL REFERENCES backfills (key),
  session TEXT NOT NULL,
  PRIMARY KEY (backfill, session)
) STRICT, WITHOUT ROWID;
