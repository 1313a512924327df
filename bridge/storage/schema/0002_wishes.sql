-- What users wish, for as long as it holds; after a new start it is read back. Few rows at any time, but for user_flags.

-- A user's demand that a rule records on demand.
CREATE TABLE demands (
    record_id TEXT NOT NULL,
    rule_id INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    call_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (record_id, rule_id)
) STRICT, WITHOUT ROWID;

-- A user's (`identity`) pause of a record; `resumed` is a JSON list of rule ids.
CREATE TABLE pauses (
    record_id TEXT NOT NULL,
    identity TEXT NOT NULL,
    systemname TEXT NOT NULL,
    call_id TEXT NOT NULL,
    admin INTEGER NOT NULL CHECK (admin IN (0, 1)),
    since INTEGER NOT NULL,
    resumed TEXT NOT NULL,
    PRIMARY KEY (record_id, identity)
) STRICT, WITHOUT ROWID;

-- What a user has set for itself; it stands over users.yml.
CREATE TABLE user_flags (
    identity TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    call_record_incoming_internal_enabled INTEGER NOT NULL CHECK (call_record_incoming_internal_enabled IN (0, 1)),
    call_record_incoming_external_enabled INTEGER NOT NULL CHECK (call_record_incoming_external_enabled IN (0, 1)),
    call_record_outgoing_internal_enabled INTEGER NOT NULL CHECK (call_record_outgoing_internal_enabled IN (0, 1)),
    call_record_outgoing_external_enabled INTEGER NOT NULL CHECK (call_record_outgoing_external_enabled IN (0, 1)),
    online_call_record_enabled INTEGER NOT NULL CHECK (online_call_record_enabled IN (0, 1))
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
