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

-- The uniqueids of those connected in the section's talk, as a JSON list: after a restart its MixMonitor is only taken
-- over where they are still the same. `deleted_at` is when its file was deleted; the row stays as a tombstone.
ALTER TABLE sections ADD COLUMN parties TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sections ADD COLUMN deleted_at INTEGER;

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
CREATE INDEX sections_call ON sections (call_id);
CREATE INDEX sections_deleted ON sections (deleted_at) WHERE deleted_at IS NOT NULL;

PRAGMA user_version = 3;
