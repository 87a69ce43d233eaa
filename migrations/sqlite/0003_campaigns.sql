-- Plans and campaigns: resumable runs over many sessions. Times are epoch milliseconds.

-- One row: the store's own name.
CREATE TABLE store_info (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL
) STRICT;
INSERT INTO store_info (one, id) VALUES (1, lower(hex(randomblob(8))));

CREATE TABLE plans (
  hash TEXT PRIMARY KEY,
  plan TEXT NOT NULL,
  made_at INTEGER NOT NULL
) STRICT;
CREATE INDEX plans_by_time ON plans (made_at);

CREATE TABLE campaigns (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  reason TEXT NOT NULL,
  plan TEXT NOT NULL,
  -- JSON: which sessions, which stages.
  selection TEXT NOT NULL,
  stages TEXT NOT NULL,
  planned INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'budget', 'done', 'cancelled')),
  version INTEGER NOT NULL DEFAULT 1,
  "window" INTEGER NOT NULL CHECK ("window" >= 1),
  rate REAL CHECK (rate > 0),
  deadline INTEGER,
  cursor_at INTEGER,
  cursor_id TEXT,
  exhausted INTEGER NOT NULL DEFAULT 0 CHECK (exhausted IN (0, 1)),
  passed INTEGER NOT NULL DEFAULT 0,
  brought INTEGER NOT NULL DEFAULT 0,
  pace_from INTEGER NOT NULL,
  pace_passed INTEGER NOT NULL DEFAULT 0,
  -- JSON: how its jobs had ended when it did; the ledger forgets them in time.
  final_jobs TEXT,
  driven_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  ended_at INTEGER,
  CHECK ((cursor_at IS NULL) = (cursor_id IS NULL)),
  CHECK ((state IN ('done', 'cancelled')) = (ended_at IS NOT NULL)),
  CHECK ((ended_at IS NULL) = (final_jobs IS NULL))
) STRICT;
-- A plan is applied by one campaign at a time.
CREATE UNIQUE INDEX campaigns_unfinished ON campaigns (plan) WHERE state IN ('running', 'paused', 'budget');
CREATE INDEX campaigns_by_state ON campaigns (state, key);
