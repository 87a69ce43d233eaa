-- Jobs, and what stages made. Times are epoch milliseconds.

CREATE TABLE job_kinds (
  kind TEXT PRIMARY KEY,
  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  -- NULL is no bound.
  max_running INTEGER CHECK (max_running >= 0)
) STRICT, WITHOUT ROWID;

-- Ids are never given again: a lease names its job by id, and may outlive it.
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL REFERENCES job_kinds (kind),
  project TEXT NOT NULL REFERENCES projects (id),
  session_key INTEGER NOT NULL REFERENCES sessions (key),
  state TEXT NOT NULL CHECK (state IN ('scheduled', 'available', 'running', 'done', 'dead', 'cancelled')),
  priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
  campaign TEXT,
  -- Names of the stages the session may go on with, a JSON array; NULL is all.
  stages TEXT,
  created_at INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  -- Of the latest attempt.
  started_at INTEGER,
  ended_at INTEGER,
  -- Attempts that ended; those snoozed or lost are not among them.
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  lost INTEGER NOT NULL DEFAULT 0 CHECK (lost >= 0),
  -- Grows with every claim.
  fence INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
  lease_owner TEXT,
  lease_until INTEGER,
  -- Somebody wants the running attempt to end.
  cancel INTEGER NOT NULL DEFAULT 0 CHECK (cancel IN (0, 1)),
  -- Enqueued again while it ran: it will run once more.
  rerun INTEGER NOT NULL DEFAULT 0 CHECK (rerun IN (0, 1)),
  error_reason TEXT,
  error_message TEXT,
  CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
  CHECK ((state = 'running') = (lease_until IS NOT NULL)),
  CHECK (state <> 'running' OR started_at IS NOT NULL),
  CHECK (state = 'running' OR cancel + rerun = 0),
  CHECK ((state IN ('done', 'dead', 'cancelled')) = (ended_at IS NOT NULL)),
  CHECK (state <> 'dead' OR error_reason IS NOT NULL),
  CHECK ((error_reason IS NULL) = (error_message IS NULL))
) STRICT;
-- One unfinished job of a kind a session. By session key, not name: what is enqueued together lies together.
CREATE UNIQUE INDEX jobs_unfinished ON jobs (session_key, kind) WHERE ended_at IS NULL;
CREATE INDEX jobs_by_session ON jobs (session_key);
CREATE INDEX jobs_by_project ON jobs (project);
CREATE INDEX jobs_by_campaign ON jobs (campaign, state) WHERE campaign IS NOT NULL;
-- One index a state, so that no state's jobs slow another's. The claim reads jobs_available from its start.
CREATE INDEX jobs_scheduled ON jobs (kind, run_at) WHERE state = 'scheduled';
CREATE INDEX jobs_available ON jobs (kind, priority) WHERE state = 'available';
CREATE INDEX jobs_running ON jobs (kind, lease_until) WHERE state = 'running';
CREATE INDEX jobs_done ON jobs (kind, ended_at) WHERE state = 'done';
CREATE INDEX jobs_dead ON jobs (kind) WHERE state = 'dead';
CREATE INDEX jobs_cancelled ON jobs (kind, ended_at) WHERE state = 'cancelled';

-- Attempts that did not end well, by the fence each was run under.
CREATE TABLE job_attempts (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  fence INTEGER NOT NULL,
  attempt INTEGER NOT NULL CHECK (attempt >= 1),
  outcome TEXT NOT NULL CHECK (outcome IN ('retry', 'snooze', 'discard', 'cancelled', 'lost')),
  owner TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (job, fence)
) STRICT, WITHOUT ROWID;

-- `payload` is canonical JSON in `encoding` (src/core/session/segment.ts), and `sha256` is of the payload.
CREATE TABLE artifacts (
  id INTEGER PRIMARY KEY,
  session_key INTEGER NOT NULL REFERENCES sessions (key),
  key BLOB NOT NULL CHECK (length(key) = 32),
  stage TEXT NOT NULL,
  version INTEGER NOT NULL,
  params_hash TEXT NOT NULL,
  params TEXT NOT NULL,
  -- [{"name": …, "hash": …}, …]
  inputs TEXT NOT NULL,
  output BLOB NOT NULL CHECK (length(output) = 32),
  created_at INTEGER NOT NULL,
  duration_ms REAL NOT NULL,
  -- The job that made it, which may be pruned by now.
  job INTEGER NOT NULL,
  campaign TEXT,
  encoding INTEGER NOT NULL CHECK (encoding IN (0, 1)),
  raw_bytes INTEGER NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  payload BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX artifacts_by_key ON artifacts (session_key, key);

-- The current artifact of each stage.
CREATE TABLE artifact_heads (
  session_key INTEGER NOT NULL REFERENCES sessions (key),
  stage TEXT NOT NULL,
  artifact INTEGER NOT NULL REFERENCES artifacts (id),
  PRIMARY KEY (session_key, stage)
) STRICT, WITHOUT ROWID;

-- The derived blobs an artifact names.
CREATE TABLE artifact_blobs (
  artifact INTEGER NOT NULL REFERENCES artifacts (id),
  blob_id BLOB NOT NULL CHECK (length(blob_id) = 32),
  PRIMARY KEY (artifact, blob_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline_signatures (
  id INTEGER PRIMARY KEY,
  signature TEXT NOT NULL UNIQUE CHECK (signature <> '')
) STRICT;

-- The definitions the session is fresh under; NULL is none.
ALTER TABLE sessions ADD COLUMN pipeline INTEGER REFERENCES pipeline_signatures (id);
ALTER TABLE sessions ADD COLUMN score REAL;

-- Each status its own index. The sealed one holds what a plan over all sessions reads; open
-- sessions are not in it, so that their appends do not write it.
DROP INDEX sessions_by_status;
CREATE INDEX sessions_open ON sessions (project, created_at, id) WHERE status = 'open';
CREATE INDEX sessions_sealed ON sessions (project, created_at, id, pipeline, sealed_at, score)
  WHERE status = 'sealed';
