"""Every SQL statement that the store runs, apart from the schema. Values are always bound.

`CAST(:x AS TEXT)` takes a text as bytes too (`values.text_in`): Asterisk promises no charset.
"""

BEGIN = "BEGIN IMMEDIATE"
LAST_FACT = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'facts'), 0)"
LAST_HASH = "SELECT hash FROM facts ORDER BY number DESC LIMIT 1"
# Numbers of calls that were deleted are not given again.
LAST_CDR = """
SELECT max(coalesce((SELECT max(id) FROM cdrs), 0), coalesce((SELECT last FROM deleted_cdrs), 0))
"""

ADD_FACT = """
INSERT INTO facts (number, systemname, kind, at, call_id, record_id, rule_id, file, data, audience, hash)
VALUES (:number, CAST(:systemname AS TEXT), :kind, :at, CAST(:call_id AS TEXT), CAST(:record_id AS TEXT), :rule_id,
        :file, :data, :audience, :hash)
"""
ADD_PERSONAL = """
INSERT INTO fact_personal (fact, systemname, name, value, salt, digest)
VALUES (:fact, CAST(:systemname AS TEXT), CAST(:name AS TEXT), CAST(:value AS TEXT), :salt, :digest)
"""
FACTS_AFTER = """
SELECT number, kind, at, call_id, record_id, rule_id, file, data, audience,
       (SELECT json_group_object(name, value) FILTER (WHERE value IS NOT NULL)
        FROM fact_personal WHERE fact = number) AS personal
FROM facts WHERE number > ? ORDER BY number LIMIT max(?, 0)
"""
# Two subqueries: SQLite answers min and max from the index only when each is asked for alone.
FACT_BOUNDS = "SELECT coalesce((SELECT min(number) FROM facts), 1), coalesce((SELECT max(number) FROM facts), 0)"

# The systemname of the first writing stays. A section belongs to the first call that wrote into its record and ended
# after it was asked for: where that has ended already, at once, else with ADD_CDR.
PUT_SECTION = """
INSERT INTO sections (systemname, record_id, rule_id, file, call_id, state, type, owner, leg, leg_channel, headchannel,
    tailchannel, path, requested_at, started_at, ended_at, tags, mixmonitor_id, reason, duration_s, size_bytes,
    sample_rate_hz, channels, peak, rms, sha256, stereo, leg_is_left, rate_hz, keep_s, deleted_at,
    talk_id, uuid, cdr)
VALUES (CAST(:systemname AS TEXT), CAST(:record_id AS TEXT), :rule_id, :file, CAST(:call_id AS TEXT), :state, :type,
    CAST(:owner AS TEXT), CAST(:leg AS TEXT), CAST(:leg_channel AS TEXT), CAST(:headchannel AS TEXT),
    CAST(:tailchannel AS TEXT), CAST(:path AS TEXT), :requested_at, :started_at, :ended_at, :tags,
    CAST(:mixmonitor_id AS TEXT), CAST(:reason AS TEXT), :duration_s, :size_bytes, :sample_rate_hz, :channels, :peak,
    :rms, CAST(:sha256 AS TEXT), :stereo, :leg_is_left, :rate_hz, :keep_s, :deleted_at,
    CAST(:talk_id AS TEXT), :uuid,
    (SELECT cdr FROM cdr_records JOIN cdrs ON cdrs.id = cdr
     WHERE cdr_records.record_id = CAST(:record_id AS TEXT) AND cdrs.ended_at >= :requested_at ORDER BY cdr LIMIT 1))
ON CONFLICT (record_id, rule_id, file) DO UPDATE SET
    call_id = excluded.call_id, state = excluded.state, type = excluded.type, owner = excluded.owner,
    leg = excluded.leg, leg_channel = excluded.leg_channel, headchannel = excluded.headchannel,
    tailchannel = excluded.tailchannel, path = excluded.path, requested_at = excluded.requested_at,
    started_at = excluded.started_at, ended_at = excluded.ended_at, tags = excluded.tags,
    mixmonitor_id = excluded.mixmonitor_id, reason = excluded.reason, duration_s = excluded.duration_s,
    size_bytes = excluded.size_bytes, sample_rate_hz = excluded.sample_rate_hz, channels = excluded.channels,
    peak = excluded.peak, rms = excluded.rms, sha256 = excluded.sha256, stereo = excluded.stereo,
    leg_is_left = excluded.leg_is_left, rate_hz = excluded.rate_hz, keep_s = excluded.keep_s,
    deleted_at = excluded.deleted_at, talk_id = excluded.talk_id, cdr = coalesce(sections.cdr, excluded.cdr)
"""
FORGET_PARTICIPANTS = """
DELETE FROM section_participants WHERE section =
    (SELECT id FROM sections WHERE record_id = CAST(:record_id AS TEXT) AND rule_id = :rule_id AND file = :file)
"""
ADD_PARTICIPANT = """
INSERT INTO section_participants (section, position, systemname, identity)
SELECT id, :position, CAST(:systemname AS TEXT), CAST(:value AS TEXT) FROM sections
WHERE record_id = CAST(:record_id AS TEXT) AND rule_id = :rule_id AND file = :file
"""
FORGET_PEAKS = """
DELETE FROM section_peaks WHERE section =
    (SELECT id FROM sections WHERE record_id = CAST(:record_id AS TEXT) AND rule_id = :rule_id AND file = :file)
"""
ADD_PEAKS = """
INSERT INTO section_peaks (section, systemname, peaks)
SELECT id, CAST(:systemname AS TEXT), :peaks FROM sections
WHERE record_id = CAST(:record_id AS TEXT) AND rule_id = :rule_id AND file = :file
"""
SECTIONS = """
SELECT sections.*, section_peaks.peaks,
       (SELECT json_group_array(identity) FROM
           (SELECT identity FROM section_participants WHERE section = sections.id ORDER BY position)) AS participants
FROM sections LEFT JOIN section_peaks ON section_peaks.section = sections.id
"""
SECTION = SECTIONS + "WHERE record_id = CAST(? AS TEXT) AND rule_id = ? AND file = ?"
SECTIONS_OF = SECTIONS + "WHERE record_id = CAST(? AS TEXT) ORDER BY rule_id, file"
# Word for word the condition of the index sections_open.
OPEN_SECTIONS = SECTIONS + "WHERE state NOT IN ('stored', 'failed', 'lost') ORDER BY sections.id"

FILE_NUMBERS = """
SELECT record_id, rule_id, max(file) AS file FROM sections WHERE requested_at >= ? GROUP BY record_id, rule_id
"""

ADD_ENTRY = """
INSERT INTO journal (id, systemname, call_id, user_id, identity, started_at, inbound, internal, duration_s, connected_s,
    device_id, device_name, location_id, location_name, name, number, prefix, result, result_details, via, via_details,
    extension, record_id)
VALUES (:id, CAST(:systemname AS TEXT), CAST(:call_id AS TEXT), CAST(:user_id AS TEXT), CAST(:identity AS TEXT),
    :started_at, :inbound, :internal, :duration_s, :connected_s, CAST(:device_id AS TEXT), CAST(:device_name AS TEXT),
    CAST(:location_id AS TEXT), CAST(:location_name AS TEXT), CAST(:name AS TEXT), CAST(:number AS TEXT),
    CAST(:prefix AS TEXT), :result, CAST(:result_details AS TEXT), CAST(:via AS TEXT), CAST(:via_details AS TEXT),
    CAST(:extension AS TEXT), CAST(:record_id AS TEXT))
"""
JOURNAL = "SELECT * FROM journal ORDER BY id DESC LIMIT max(?, 0)"
JOURNAL_OF_IDENTITY = "SELECT * FROM journal WHERE identity = CAST(? AS TEXT) ORDER BY id DESC LIMIT max(?, 0)"
# A call that was joined with another wrote into the other's record too: its CDR names both.
JOURNAL_OF_RECORD = """
SELECT * FROM journal WHERE id IN (
    SELECT id FROM journal WHERE record_id = CAST(:record_id AS TEXT)
    UNION
    SELECT journal.id FROM cdr_records JOIN cdrs ON cdrs.id = cdr_records.cdr
        JOIN journal ON journal.call_id = cdrs.call_id
        WHERE cdr_records.record_id = CAST(:record_id AS TEXT))
ORDER BY id
"""

ADD_CDR = """
INSERT INTO cdrs (id, systemname, call_id, started_at, answered_at, ended_at, direction, source_name, source_number,
    source_identity, destination_name, destination_number, destination_identity, dialed, context, queue, talked_s,
    hangup_cause, status, destination_context, found_by, tallied)
VALUES (:id, CAST(:systemname AS TEXT), CAST(:call_id AS TEXT), :started_at, :answered_at, :ended_at,
    CAST(:direction AS TEXT), CAST(:source_name AS TEXT), CAST(:source_number AS TEXT), CAST(:source_identity AS TEXT),
    CAST(:destination_name AS TEXT), CAST(:destination_number AS TEXT), CAST(:destination_identity AS TEXT),
    CAST(:dialed AS TEXT), CAST(:context AS TEXT), CAST(:queue AS TEXT), :talked_s, :hangup_cause,
    :status, CAST(:destination_context AS TEXT), CAST(:found_by AS TEXT), 0)
"""
ADD_CDR_RECORD = """
INSERT INTO cdr_records (cdr, position, systemname, record_id)
VALUES (:cdr, :position, CAST(:systemname AS TEXT), CAST(:value AS TEXT))
"""
# As in PUT_SECTION.
LINK_SECTIONS = """
UPDATE sections SET cdr = :cdr
WHERE record_id = CAST(:value AS TEXT) AND cdr IS NULL
    AND requested_at <= (SELECT ended_at FROM cdrs WHERE id = :cdr)
"""
ADD_CDR_PARTICIPANT = """
INSERT INTO cdr_participants (cdr, position, systemname, identity, started_at)
VALUES (:cdr, :position, CAST(:systemname AS TEXT), CAST(:value AS TEXT),
    (SELECT started_at FROM cdrs WHERE id = :cdr))
"""
# When all that belongs to it is there it is counted, once.
TALLY_CDR = "UPDATE cdrs SET tallied = 1 WHERE id = :id"

ADD_ACCESS = """
INSERT INTO tokens (id, systemname, secret_sha256, identity, role, scopes, created_at, expires_at, made_with)
VALUES (CAST(:id AS TEXT), CAST(:systemname AS TEXT), CAST(:secret_sha256 AS TEXT), CAST(:identity AS TEXT), :role,
    :scopes, :created_at, :expires_at, CAST(:made_with AS TEXT))
"""
ACCESS = "SELECT * FROM tokens WHERE id = CAST(? AS TEXT)"
# With those that were made with it, and so on.
END_ACCESS = """
DELETE FROM tokens WHERE id IN (
    WITH RECURSIVE made (id) AS (
        VALUES (CAST(:id AS TEXT)) UNION SELECT tokens.id FROM made JOIN tokens ON tokens.made_with = made.id
    )
    SELECT id FROM made
)
"""

# As with sections, the systemname of the first writing stays.
PUT_DEMAND = """
INSERT INTO demands (record_id, rule_id, systemname, call_id, owner, since)
VALUES (CAST(:record_id AS TEXT), :rule_id, CAST(:systemname AS TEXT), CAST(:call_id AS TEXT), CAST(:owner AS TEXT),
    :since)
ON CONFLICT (record_id, rule_id) DO UPDATE SET
    call_id = excluded.call_id, owner = excluded.owner, since = excluded.since
"""
END_DEMAND = "DELETE FROM demands WHERE record_id = CAST(:record_id AS TEXT) AND rule_id = :rule_id"
DEMANDS = "SELECT * FROM demands ORDER BY since, record_id, rule_id"

PUT_PAUSE = """
INSERT INTO pauses (record_id, identity, systemname, call_id, admin, since, resumed)
VALUES (CAST(:record_id AS TEXT), CAST(:identity AS TEXT), CAST(:systemname AS TEXT), CAST(:call_id AS TEXT), :admin,
    :since, :resumed)
ON CONFLICT (record_id, identity) DO UPDATE SET
    call_id = excluded.call_id, admin = excluded.admin, since = excluded.since, resumed = excluded.resumed
"""
END_PAUSE = "DELETE FROM pauses WHERE record_id = CAST(:record_id AS TEXT) AND identity = CAST(:identity AS TEXT)"
PAUSES = "SELECT * FROM pauses ORDER BY since, record_id, identity"

PUT_USER_FLAGS = """
INSERT INTO user_flags (identity, systemname, call_record_incoming_internal_enabled,
    call_record_incoming_external_enabled, call_record_outgoing_internal_enabled,
    call_record_outgoing_external_enabled, online_call_record_enabled)
VALUES (CAST(:identity AS TEXT), CAST(:systemname AS TEXT), :call_record_incoming_internal_enabled,
    :call_record_incoming_external_enabled, :call_record_outgoing_internal_enabled,
    :call_record_outgoing_external_enabled, :online_call_record_enabled)
ON CONFLICT (identity) DO UPDATE SET
    call_record_incoming_internal_enabled = excluded.call_record_incoming_internal_enabled,
    call_record_incoming_external_enabled = excluded.call_record_incoming_external_enabled,
    call_record_outgoing_internal_enabled = excluded.call_record_outgoing_internal_enabled,
    call_record_outgoing_external_enabled = excluded.call_record_outgoing_external_enabled,
    online_call_record_enabled = excluded.online_call_record_enabled
"""
USER_FLAGS = "SELECT * FROM user_flags"

# What it covers is changed for one reason alone: the person was erased.
PUT_HOLD = """
INSERT INTO holds (id, systemname, call_id, record_id, number, identity, since, until, who, why, set_at, released_at,
    released_by, released_why)
VALUES (CAST(:id AS TEXT), CAST(:systemname AS TEXT), CAST(:call_id AS TEXT), CAST(:record_id AS TEXT),
    CAST(:number AS TEXT), CAST(:identity AS TEXT), :since, :until, CAST(:who AS TEXT), CAST(:why AS TEXT), :set_at,
    :released_at, CAST(:released_by AS TEXT), CAST(:released_why AS TEXT))
ON CONFLICT (id) DO UPDATE SET
    number = excluded.number, identity = excluded.identity, released_at = excluded.released_at,
    released_by = excluded.released_by, released_why = excluded.released_why
"""
HOLDS = "SELECT * FROM holds ORDER BY set_at, id"

PUT_CALL = """
INSERT INTO running_calls (call_id, systemname, kept)
VALUES (CAST(:call_id AS TEXT), CAST(:systemname AS TEXT), :kept)
ON CONFLICT (call_id) DO UPDATE SET kept = excluded.kept
"""
END_CALL = "DELETE FROM running_calls WHERE call_id = CAST(:call_id AS TEXT)"
RUNNING_CALLS = "SELECT kept FROM running_calls"

TAKEN = "SELECT run, number, fact FROM taken"
PUT_TAKEN = """
INSERT INTO taken (id, systemname, run, number, fact) VALUES (1, CAST(:systemname AS TEXT), :run, :number, :fact)
ON CONFLICT (id) DO UPDATE SET run = excluded.run, number = excluded.number, fact = excluded.fact
"""
