-- Recorded screenshots that go when they are old. Times are epoch milliseconds.

-- When a blob was removed for its age; NULL is not. The row stays, so that whoever asks is told.
ALTER TABLE blobs ADD COLUMN removed_at INTEGER;
-- Whether its bytes are gone too: that follows.
ALTER TABLE blobs ADD COLUMN purged INTEGER NOT NULL DEFAULT 0 CHECK (purged IN (0, 1));
CREATE INDEX blobs_unpurged ON blobs (removed_at) WHERE removed_at IS NOT NULL AND purged = 0;

-- When the session's blobs were removed, those that no other session needed.
ALTER TABLE sessions ADD COLUMN originals_removed_at INTEGER;
CREATE INDEX sessions_with_originals ON sessions (project, sealed_at, key)
  WHERE status = 'sealed' AND originals_removed_at IS NULL;
-- Who else names a blob.
CREATE INDEX session_blobs_by_blob ON session_blobs (blob_id, session_key);
