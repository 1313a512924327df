-- Nothing is lost, and everything is accounted for.

-- Numbers that stood in a fact's data belong among its personal values, where they can be erased.
DROP TRIGGER facts_are_not_changed;
INSERT INTO fact_personal (fact, name, systemname, value)
SELECT number, 'dialed', systemname, json_extract(data, '$.dialed') FROM facts
WHERE kind = 'call.began' AND json_type(data, '$.dialed') = 'text';
UPDATE facts SET data = json_remove(data, '$.dialed') WHERE kind = 'call.began';
INSERT INTO fact_personal (fact, name, systemname, value)
SELECT number, 'extension', systemname, json_extract(data, '$.extension') FROM facts
WHERE kind = 'journal.entry' AND json_type(data, '$.extension') = 'text';
UPDATE facts SET data = json_remove(data, '$.extension') WHERE kind = 'journal.entry';
CREATE TRIGGER facts_are_not_changed BEFORE UPDATE ON facts
BEGIN
    SELECT RAISE(ABORT, 'facts are never changed');
END;

-- When its file was deleted; the row stays as a tombstone.
ALTER TABLE sections ADD COLUMN deleted_at INTEGER;

-- The calls that run, as far as a restart has to know them (`bridge.core.kept`, JSON); gone when the call is over.
CREATE TABLE running_calls (
    call_id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    kept TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which talk a section records.
ALTER TABLE sections ADD COLUMN talk_id TEXT NOT NULL DEFAULT '';
CREATE INDEX sections_talk ON sections (talk_id) WHERE talk_id <> '';

-- Every second of every talk is accounted for: what held for each rule (NULL: for none), or why it did not record
-- (`reason`; NULL: it was to record). A span without `ended_at` lasts as long as its talk.
CREATE TABLE talks (
    talk_id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    call_id TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX talks_call ON talks (call_id);
CREATE INDEX talks_open ON talks (began_at) WHERE ended_at IS NULL;

CREATE TABLE talk_spans (
    talk_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    rule_id INTEGER,
    reason TEXT,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (talk_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX cdrs_ended ON cdrs (ended_at);
CREATE INDEX cdrs_call ON cdrs (call_id, ended_at);
CREATE INDEX facts_away ON facts (at)
WHERE kind IN ('asterisk.lost', 'asterisk.connected', 'recbridge.started', 'recbridge.stopped');

-- Legal holds: what one covers (all that is given has to fit) is not deleted. A released one stays; `number` and
-- `identity` go when the person is erased.
CREATE TABLE holds (
    id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    call_id TEXT,
    record_id TEXT,
    number TEXT,
    identity TEXT,
    since INTEGER,
    until INTEGER,
    who TEXT NOT NULL CHECK (who <> ''),
    why TEXT NOT NULL CHECK (why <> ''),
    set_at INTEGER NOT NULL,
    released_at INTEGER,
    released_by TEXT NOT NULL,
    released_why TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER holds_are_not_deleted BEFORE DELETE ON holds
BEGIN
    SELECT RAISE(ABORT, 'a hold is released, never deleted');
END;

-- Requests to erase a person, and the calls in which something still keeps it. `names` and `numbers` (JSON) are a
-- user's; nobody is named any more when it is done. `digest` is scrypt over the number or identity with `salt`, hex.
CREATE TABLE erasures (
    id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    number TEXT,
    identity TEXT,
    names TEXT NOT NULL,
    numbers TEXT NOT NULL,
    who TEXT NOT NULL CHECK (who <> ''),
    why TEXT NOT NULL CHECK (why <> ''),
    asked_at INTEGER NOT NULL,
    salt TEXT NOT NULL,
    digest TEXT NOT NULL,
    done_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE erasure_calls (
    erasure TEXT NOT NULL REFERENCES erasures (id),
    call_id TEXT NOT NULL,
    systemname TEXT NOT NULL,
    PRIMARY KEY (erasure, call_id)
) STRICT, WITHOUT ROWID;

-- What a call's facts know of people, and whose file must be gone by now.
CREATE INDEX facts_call ON facts (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX facts_joined ON facts (data ->> 'joined') WHERE kind = 'call.joined';
CREATE INDEX sections_call ON sections (call_id);
CREATE INDEX sections_deleted ON sections (deleted_at) WHERE deleted_at IS NOT NULL;

-- How far the daemon's own changes have come (`bridge.core.store.Mark`), and the last fact of that commit: one row,
-- written with them.
CREATE TABLE taken (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    systemname TEXT NOT NULL,
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,
    fact INTEGER NOT NULL
) STRICT;

-- The chain of facts (`bridge.core.chain`). Facts and values that are there already get theirs next, by
-- `bridge.storage.chaining`, in the same transaction. A value is erased with its salt; its digest stays.
ALTER TABLE facts ADD COLUMN hash BLOB;
ALTER TABLE fact_personal ADD COLUMN salt BLOB;
ALTER TABLE fact_personal ADD COLUMN digest BLOB;

DROP TRIGGER personal_values_are_only_erased;
CREATE TRIGGER personal_values_are_only_erased BEFORE UPDATE ON fact_personal
WHEN NEW.value IS NOT NULL OR NEW.salt IS NOT NULL OR NEW.fact <> OLD.fact OR NEW.name <> OLD.name
  OR NEW.systemname <> OLD.systemname OR NEW.digest IS NOT OLD.digest
BEGIN
    SELECT RAISE(ABORT, 'a personal value of a fact can only be erased');
END;

CREATE TRIGGER personal_values_are_not_replaced BEFORE INSERT ON fact_personal
WHEN EXISTS (SELECT 1 FROM fact_personal WHERE fact = NEW.fact AND name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'a personal value of a fact can only be erased');
END;

PRAGMA user_version = 3;
