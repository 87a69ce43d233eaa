-- What was exported: so that an export can be checked, and those that name a session found. Times are epoch milliseconds.

CREATE TABLE exports (
  key INTEGER PRIMARY KEY,
  -- sha256 over all of it, as its manifest has it.
  root BLOB NOT NULL CHECK (length(root) = 32),
  project TEXT NOT NULL REFERENCES projects (id),
  format TEXT NOT NULL,
  -- Where it was written.
  path TEXT NOT NULL,
  examples INTEGER NOT NULL CHECK (examples >= 0),
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX exports_by_root ON exports (root, path);
CREATE INDEX exports_by_project ON exports (project, created_at, key);

-- The sessions an export names, by id: they may be gone by now.
CREATE TABLE export_sessions (
  export INTEGER NOT NULL REFERENCES exports (key),
  session TEXT NOT NULL,
  PRIMARY KEY (export, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX export_sessions_by_session ON export_sessions (session, export);
