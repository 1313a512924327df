-- What other systems' clients need: settings made over HTTP, exports, callbacks.

-- What an admin sets over HTTP; it stands over the configuration. `value` is JSON.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Exports of recordings (`bridge.core.exports`, JSON); their zips lie beside the database.
CREATE TABLE exports (
    id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    kept TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX exports_asked ON exports (asked_at, id);

-- Mails that wait to be sent; a row goes once its mail is sent, or given up.
CREATE TABLE mails (
    id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    tries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX mails_due ON mails (due_at, id);

-- Finished calls as they are searched. `found_by` is what a search looks into, folded (`bridge.storage.folding`); rows
-- that are there already get theirs next, by `bridge.storage.linking`, in the same transaction.
ALTER TABLE cdrs ADD COLUMN status TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE cdrs ADD COLUMN destination_context TEXT NOT NULL DEFAULT '';
ALTER TABLE cdrs ADD COLUMN found_by TEXT NOT NULL DEFAULT '';
UPDATE cdrs SET status = 'answered' WHERE answered_at IS NOT NULL;
CREATE INDEX cdrs_started ON cdrs (started_at);

-- The call that a section belongs to, once it has ended, and the uuid that its file has outside
-- (`bridge.core.cdrs.recording_uuid`).
ALTER TABLE sections ADD COLUMN cdr INTEGER REFERENCES cdrs (id);
ALTER TABLE sections ADD COLUMN uuid TEXT NOT NULL DEFAULT '';
UPDATE sections SET cdr =
    (SELECT cdr FROM cdr_records JOIN cdrs ON cdrs.id = cdr
     WHERE cdr_records.record_id = sections.record_id AND cdrs.ended_at >= sections.requested_at ORDER BY cdr LIMIT 1);
CREATE INDEX sections_cdr ON sections (cdr) WHERE cdr IS NOT NULL;

-- The highest number of a finished call that was deleted: one row. It is not given again.
CREATE TABLE deleted_cdrs (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    systemname TEXT NOT NULL,
    last INTEGER NOT NULL
) STRICT;

PRAGMA user_version = 4;
