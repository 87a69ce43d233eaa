-- Projects, sessions, streams, packed events, blobs and keys. Times are epoch milliseconds.

CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  open_sessions INTEGER NOT NULL DEFAULT 0 CHECK (open_sessions >= 0)
) STRICT, WITHOUT ROWID;

-- The fold of a session's events stands in its row, from `events` to `page`.
CREATE TABLE sessions (
  key INTEGER PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects (id),
  id TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'sealed')),
  version INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  collector TEXT,
  info TEXT,
  events INTEGER NOT NULL DEFAULT 0,
  quarantined INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  types TEXT NOT NULL DEFAULT '{}',
  first_ms INTEGER,
  last_ms INTEGER,
  page TEXT,
  sealed_at INTEGER,
  -- Ids of the blobs that were missing at the seal, a JSON array.
  sealed_missing TEXT,
  CHECK ((status = 'sealed') = (sealed_at IS NOT NULL)),
  CHECK ((sealed_at IS NULL) = (sealed_missing IS NULL))
) STRICT;
CREATE UNIQUE INDEX sessions_by_id ON sessions (project, id);
CREATE INDEX sessions_by_time ON sessions (project, created_at, id);
CREATE INDEX sessions_by_status ON sessions (project, status, created_at, id);

CREATE TABLE session_labels (
  session_key INTEGER NOT NULL REFERENCES sessions (key),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (session_key, name, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_labels_by_value ON session_labels (name, value, session_key);

CREATE TABLE streams (
  key INTEGER PRIMARY KEY,
  session_key INTEGER NOT NULL REFERENCES sessions (key),
  id TEXT NOT NULL,
  durable_seq INTEGER NOT NULL DEFAULT 0 CHECK (durable_seq >= 0),
  -- Grows with every upload that opens the stream; an append with an older one is refused.
  epoch INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX streams_by_id ON streams (session_key, id);

-- A batch as stored. `payload` is a frame (src/core/session/segment.ts) in `encoding`, and
-- `sha256` is of the payload.
CREATE TABLE segments (
  key INTEGER PRIMARY KEY,
  stream_key INTEGER NOT NULL REFERENCES streams (key),
  first_seq INTEGER NOT NULL CHECK (first_seq >= 1),
  last_seq INTEGER NOT NULL,
  encoding INTEGER NOT NULL CHECK (encoding IN (0, 1)),
  raw_bytes INTEGER NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  payload BLOB NOT NULL,
  CHECK (last_seq >= first_seq)
) STRICT;
CREATE UNIQUE INDEX segments_by_seq ON segments (stream_key, first_seq);

CREATE TABLE quarantine (
  stream_key INTEGER NOT NULL REFERENCES streams (key),
  seq INTEGER NOT NULL,
  path TEXT NOT NULL,
  reason TEXT NOT NULL,
  event BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (stream_key, seq)
) STRICT;

CREATE TABLE blobs (
  project TEXT NOT NULL REFERENCES projects (id),
  id BLOB NOT NULL CHECK (length(id) = 32),
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (project, id)
) STRICT, WITHOUT ROWID;

-- The blobs a session's events name, stored or not.
CREATE TABLE session_blobs (
  session_key INTEGER NOT NULL REFERENCES sessions (key),
  blob_id BLOB NOT NULL CHECK (length(blob_id) = 32),
  PRIMARY KEY (session_key, blob_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects (id),
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER,
  replaced_by TEXT REFERENCES keys (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_project ON keys (project, created_at);
