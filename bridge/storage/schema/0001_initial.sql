-- The first schema. One database belongs to one PBX: `systemname` says which PBX a row came from, and is part of no key,
-- so that giving the PBX another name hides nothing. Times are microseconds since 1970 UTC. TEXT columns hold Asterisk's
-- own bytes: a name that is no valid UTF-8 is kept as it came.
PRAGMA application_id = 1380270914; -- 'RECB'

-- What happened. `data` and `audience` are JSON. AUTOINCREMENT: a number is never given twice.
CREATE TABLE facts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    systemname TEXT NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    call_id TEXT,
    record_id TEXT,
    rule_id INTEGER,
    file INTEGER,
    data TEXT NOT NULL,
    audience TEXT NOT NULL
) STRICT;

-- The names and numbers of people in a fact, one row a value, so that one of them can be erased (NULL) by itself.
CREATE TABLE fact_personal (
    fact INTEGER NOT NULL REFERENCES facts (number),
    name TEXT NOT NULL,
    systemname TEXT NOT NULL,
    value TEXT,
    PRIMARY KEY (fact, name)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER facts_are_not_changed BEFORE UPDATE ON facts
BEGIN
    SELECT RAISE(ABORT, 'facts are never changed');
END;

CREATE TRIGGER facts_are_not_deleted BEFORE DELETE ON facts
BEGIN
    SELECT RAISE(ABORT, 'facts are never deleted');
END;

-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER facts_are_not_replaced BEFORE INSERT ON facts
WHEN EXISTS (SELECT 1 FROM facts WHERE number = NEW.number)
BEGIN
    SELECT RAISE(ABORT, 'facts are never changed');
END;

CREATE TRIGGER personal_values_are_only_erased BEFORE UPDATE ON fact_personal
WHEN NEW.value IS NOT NULL OR NEW.fact <> OLD.fact OR NEW.name <> OLD.name
BEGIN
    SELECT RAISE(ABORT, 'a personal value of a fact can only be erased');
END;

CREATE TRIGGER personal_values_leave_their_row BEFORE DELETE ON fact_personal
BEGIN
    SELECT RAISE(ABORT, 'a personal value of a fact is erased by setting it to NULL');
END;

-- One MixMonitor run each. The report's columns are all NULL until the file was looked into; `peak` and `rms` are JSON.
CREATE TABLE sections (
    id INTEGER PRIMARY KEY,
    systemname TEXT NOT NULL,
    record_id TEXT NOT NULL,
    rule_id INTEGER NOT NULL,
    file INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    state TEXT NOT NULL,
    type TEXT NOT NULL,
    owner TEXT,
    leg TEXT NOT NULL,
    leg_channel TEXT NOT NULL,
    headchannel TEXT NOT NULL,
    tailchannel TEXT NOT NULL,
    path TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    tags TEXT NOT NULL,
    mixmonitor_id TEXT,
    reason TEXT,
    duration_s REAL,
    size_bytes INTEGER,
    sample_rate_hz INTEGER,
    channels INTEGER,
    peak TEXT,
    rms TEXT,
    sha256 TEXT,
    stereo INTEGER NOT NULL CHECK (stereo IN (0, 1)),
    leg_is_left INTEGER NOT NULL CHECK (leg_is_left IN (0, 1)),
    rate_hz INTEGER NOT NULL,
    keep_s REAL,
    UNIQUE (record_id, rule_id, file)
) STRICT;

CREATE INDEX sections_open ON sections (id) WHERE state NOT IN ('stored', 'failed', 'lost');

CREATE INDEX sections_requested ON sections (requested_at);

CREATE TABLE section_participants (
    section INTEGER NOT NULL REFERENCES sections (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (section, position)
) STRICT, WITHOUT ROWID;

-- A user's sections, newest first.
CREATE INDEX section_participants_identity ON section_participants (identity, section);

-- What is drawn; apart from `sections`, whose rows stay small enough to be read by the thousand.
CREATE TABLE section_peaks (
    section INTEGER PRIMARY KEY REFERENCES sections (id) ON DELETE CASCADE,
    systemname TEXT NOT NULL,
    peaks BLOB NOT NULL
) STRICT;

-- `id` is the number of the fact that announced the entry; `number` is the other side's phone number.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY REFERENCES facts (number),
    systemname TEXT NOT NULL,
    call_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    identity TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    inbound INTEGER NOT NULL CHECK (inbound IN (0, 1)),
    internal INTEGER NOT NULL CHECK (internal IN (0, 1)),
    duration_s INTEGER NOT NULL,
    connected_s INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    device_name TEXT NOT NULL,
    location_id TEXT NOT NULL,
    location_name TEXT NOT NULL,
    name TEXT NOT NULL,
    number TEXT NOT NULL,
    prefix TEXT NOT NULL,
    result TEXT NOT NULL,
    result_details TEXT NOT NULL,
    via TEXT NOT NULL,
    via_details TEXT NOT NULL,
    extension TEXT NOT NULL,
    record_id TEXT
) STRICT;

CREATE INDEX journal_identity ON journal (identity, id);
CREATE INDEX journal_record ON journal (record_id, id) WHERE record_id IS NOT NULL;
CREATE INDEX journal_call ON journal (call_id);

CREATE TABLE cdrs (
    id INTEGER PRIMARY KEY,
    systemname TEXT NOT NULL,
    call_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    answered_at INTEGER,
    ended_at INTEGER NOT NULL,
    direction TEXT NOT NULL,
    source_name TEXT NOT NULL,
    source_number TEXT NOT NULL,
    source_identity TEXT,
    destination_name TEXT NOT NULL,
    destination_number TEXT NOT NULL,
    destination_identity TEXT,
    dialed TEXT NOT NULL,
    context TEXT NOT NULL,
    queue TEXT NOT NULL,
    talked_s REAL NOT NULL,
    hangup_cause INTEGER
) STRICT;

CREATE TABLE cdr_records (
    cdr INTEGER NOT NULL REFERENCES cdrs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    record_id TEXT NOT NULL,
    PRIMARY KEY (cdr, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX cdr_records_record ON cdr_records (record_id, cdr);

CREATE TABLE cdr_participants (
    cdr INTEGER NOT NULL REFERENCES cdrs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (cdr, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX cdr_participants_identity ON cdr_participants (identity, cdr);

-- `scopes` is JSON; the secret itself is nowhere.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    identity TEXT NOT NULL,
    role TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
