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

-- The recordings of exports, in the order of their zips; of a finished one those that were not deleted before. They are
-- not in the JSON above, so that progress is a small row, and a deleted section finds the zips that hold or name it.
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

-- Finished calls as they are searched. `found_by` is what a search looks into (`bridge.storage.folding`); rows that are
-- there already get theirs next, by `bridge.storage.linking`, in the same transaction.
ALTER TABLE cdrs ADD COLUMN status TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE cdrs ADD COLUMN destination_context TEXT NOT NULL DEFAULT '';
ALTER TABLE cdrs ADD COLUMN found_by TEXT NOT NULL DEFAULT '';
UPDATE cdrs SET status = 'answered' WHERE answered_at IS NOT NULL;

-- The call that a section belongs to, once it has ended, and the uuid that its file has outside
-- (`bridge.core.cdrs.recording_uuid`; '' until `bridge.storage.linking` has set it).
ALTER TABLE sections ADD COLUMN cdr INTEGER REFERENCES cdrs (id) ON DELETE SET NULL;
ALTER TABLE sections ADD COLUMN uuid TEXT NOT NULL DEFAULT '';
UPDATE sections SET cdr =
    (SELECT cdr FROM cdr_records JOIN cdrs ON cdrs.id = cdr
     WHERE cdr_records.record_id = sections.record_id AND cdrs.ended_at >= sections.requested_at ORDER BY cdr LIMIT 1);
CREATE INDEX sections_cdr ON sections (cdr) WHERE cdr IS NOT NULL;

-- Whether a call has a recording: a section that failed or was lost is none.
ALTER TABLE cdrs ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0 CHECK (recorded IN (0, 1));
UPDATE cdrs SET recorded = 1
WHERE id IN (SELECT cdr FROM sections WHERE cdr IS NOT NULL AND state IN ('closed', 'stored'));
CREATE TRIGGER calls_are_recorded_by_new_sections AFTER INSERT ON sections
WHEN NEW.cdr IS NOT NULL AND NEW.state IN ('closed', 'stored')
BEGIN
    UPDATE cdrs SET recorded = 1 WHERE id = NEW.cdr AND NOT recorded;
END;
CREATE TRIGGER calls_are_recorded_by_sections AFTER UPDATE OF cdr, state ON sections
WHEN NEW.cdr IS NOT OLD.cdr OR (NEW.cdr IS NOT NULL AND NEW.state <> OLD.state)
BEGIN
    UPDATE cdrs SET recorded = NOT recorded
    WHERE id IN (OLD.cdr, NEW.cdr) AND recorded <>
        EXISTS (SELECT 1 FROM sections WHERE cdr = cdrs.id AND state IN ('closed', 'stored'));
END;

-- Newest first, and counted by day without the rows themselves.
CREATE INDEX cdrs_started ON cdrs (started_at, status, recorded, direction);

-- How many calls there are: in the third year nobody waits until they are counted.
CREATE TABLE cdr_counts (
    systemname TEXT NOT NULL,
    status TEXT NOT NULL,
    recorded INTEGER NOT NULL,
    direction TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (systemname, status, recorded, direction)
) STRICT, WITHOUT ROWID;
INSERT INTO cdr_counts SELECT systemname, status, recorded, direction, count(*) FROM cdrs GROUP BY 1, 2, 3, 4;
CREATE TRIGGER calls_are_counted AFTER INSERT ON cdrs
BEGIN
    INSERT INTO cdr_counts VALUES (NEW.systemname, NEW.status, NEW.recorded, NEW.direction, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER calls_are_counted_anew AFTER UPDATE OF status, recorded, direction ON cdrs
WHEN NEW.status <> OLD.status OR NEW.recorded <> OLD.recorded OR NEW.direction <> OLD.direction
BEGIN
    UPDATE cdr_counts SET count = count - 1
    WHERE systemname = OLD.systemname AND status = OLD.status AND recorded = OLD.recorded
        AND direction = OLD.direction;
    INSERT INTO cdr_counts VALUES (NEW.systemname, NEW.status, NEW.recorded, NEW.direction, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER deleted_calls_are_not_counted AFTER DELETE ON cdrs
BEGIN
    UPDATE cdr_counts SET count = count - 1
    WHERE systemname = OLD.systemname AND status = OLD.status AND recorded = OLD.recorded
        AND direction = OLD.direction;
END;

-- Any part of what calls are found by, three characters or more. Texts are folded already.
CREATE VIRTUAL TABLE cdr_search USING
    fts5 (found_by, content = 'cdrs', content_rowid = 'id', columnsize = 0, tokenize = 'trigram case_sensitive 1');
-- The store puts its pieces together between two commits: by itself every 64th would take up to 90 ms (measured).
INSERT INTO cdr_search (cdr_search, rank) VALUES ('automerge', 0);
CREATE TRIGGER calls_are_found AFTER INSERT ON cdrs
WHEN NEW.found_by <> ''
BEGIN
    INSERT INTO cdr_search (rowid, found_by) VALUES (NEW.id, NEW.found_by);
END;
CREATE TRIGGER calls_are_not_found_by_what_they_were AFTER UPDATE OF found_by ON cdrs
WHEN OLD.found_by <> '' AND NEW.found_by <> OLD.found_by
BEGIN
    INSERT INTO cdr_search (cdr_search, rowid, found_by) VALUES ('delete', OLD.id, OLD.found_by);
END;
CREATE TRIGGER calls_are_found_by_what_they_are AFTER UPDATE OF found_by ON cdrs
WHEN NEW.found_by <> '' AND NEW.found_by <> OLD.found_by
BEGIN
    INSERT INTO cdr_search (rowid, found_by) VALUES (NEW.id, NEW.found_by);
END;
CREATE TRIGGER deleted_calls_are_not_found AFTER DELETE ON cdrs
WHEN OLD.found_by <> ''
BEGIN
    INSERT INTO cdr_search (cdr_search, rowid, found_by) VALUES ('delete', OLD.id, OLD.found_by);
END;

-- The same for the names that recordings have outside (`bridge.core.cdrs.recording_name`), in small letters.
CREATE VIEW recording_names (id, name) AS
SELECT id, strftime('%Y-%m-%dt%H_%M_%Sutc-', coalesce(started_at, requested_at) / 1000000, 'unixepoch')
    || cdr || '-' || uuid || '.wav'
FROM sections WHERE cdr IS NOT NULL AND state IN ('closed', 'stored') AND uuid <> '';
CREATE VIRTUAL TABLE recording_search USING
    fts5 (name, content = 'recording_names', content_rowid = 'id', columnsize = 0,
          tokenize = 'trigram case_sensitive 1');
INSERT INTO recording_search (recording_search, rank) VALUES ('automerge', 0);
CREATE TRIGGER new_recordings_are_found AFTER INSERT ON sections
WHEN NEW.cdr IS NOT NULL
BEGIN
    INSERT INTO recording_search (rowid, name) SELECT id, name FROM recording_names WHERE id = NEW.id;
END;
CREATE TRIGGER recordings_are_not_found_by_what_they_were
BEFORE UPDATE OF cdr, state, requested_at, started_at, uuid ON sections
WHEN OLD.cdr IS NOT NULL AND (NEW.cdr IS NOT OLD.cdr OR NEW.state <> OLD.state OR NEW.uuid <> OLD.uuid
    OR NEW.requested_at <> OLD.requested_at OR NEW.started_at IS NOT OLD.started_at)
BEGIN
    INSERT INTO recording_search (recording_search, rowid, name)
    SELECT 'delete', id, name FROM recording_names WHERE id = OLD.id;
END;
CREATE TRIGGER recordings_are_found_by_what_they_are
AFTER UPDATE OF cdr, state, requested_at, started_at, uuid ON sections
WHEN NEW.cdr IS NOT NULL AND (NEW.cdr IS NOT OLD.cdr OR NEW.state <> OLD.state OR NEW.uuid <> OLD.uuid
    OR NEW.requested_at <> OLD.requested_at OR NEW.started_at IS NOT OLD.started_at)
BEGIN
    INSERT INTO recording_search (rowid, name) SELECT id, name FROM recording_names WHERE id = NEW.id;
END;
CREATE TRIGGER deleted_recordings_are_not_found BEFORE DELETE ON sections
WHEN OLD.cdr IS NOT NULL
BEGIN
    INSERT INTO recording_search (recording_search, rowid, name)
    SELECT 'delete', id, name FROM recording_names WHERE id = OLD.id;
END;

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
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (webhook, order_key, next_at, fact, part)
WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (state, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_deliveries_given_up ON webhook_deliveries (webhook, fact, part) WHERE state = 'given-up';

-- The token that one was made with over HTTP; where that one is ended, so is this one.
ALTER TABLE tokens ADD COLUMN made_with TEXT;
CREATE INDEX tokens_made_with ON tokens (made_with) WHERE made_with IS NOT NULL;

PRAGMA user_version = 4;
