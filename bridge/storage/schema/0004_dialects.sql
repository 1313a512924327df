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

-- The recordings of exports, in the order of their zips; of a finished one those that are in it. They are not in the
-- JSON above, so that progress is a small row, and a deleted section finds the zips that hold it.
CREATE TABLE export_parts (
    export TEXT NOT NULL,
    number INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    cdr INTEGER NOT NULL,
    record_id TEXT NOT NULL,
    rule_id INTEGER NOT NULL,
    file INTEGER NOT NULL,
    PRIMARY KEY (export, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX export_parts_section ON export_parts (record_id, rule_id, file);

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
ALTER TABLE sections ADD COLUMN cdr INTEGER REFERENCES cdrs (id) ON DELETE SET NULL;
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

-- Callbacks (`bridge.core.webhooks`): `kept` is JSON, with the secrets that sign, which nothing but this file's mode
-- (0600) protects. Up to the fact `cursor` everything was made into deliveries. `failures` are times, JSON.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    kept TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    failures TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One callback of a fact on its way to a webhook. Its body is made from the fact when it is sent: names and numbers
-- stand there alone. `next_at` is NULL for what has ended, and for what waits behind another of its `order_key`.
CREATE TABLE webhook_deliveries (
    webhook TEXT NOT NULL,
    fact INTEGER NOT NULL,
    part INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    order_key TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER,
    status INTEGER,
    error TEXT,
    ended_at INTEGER,
    PRIMARY KEY (webhook, fact, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, next_at, fact, part) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (webhook, order_key, fact, part)
WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (state, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_deliveries_given_up ON webhook_deliveries (webhook, fact, part) WHERE state = 'given-up';

-- The token that one was made with over HTTP; where that one is ended, so is this one.
ALTER TABLE tokens ADD COLUMN made_with TEXT;
CREATE INDEX tokens_made_with ON tokens (made_with) WHERE made_with IS NOT NULL;

PRAGMA user_version = 4;
