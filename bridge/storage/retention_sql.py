"""The statements of retention and erasure, apart from `statements`: nothing else runs them."""

from bridge.storage.statements import SECTIONS

# Windows of ids, so that each read is short however few of them are due; the pure decision is made again in core.
LAST_SECTION = "SELECT coalesce(max(id), 0) AS id FROM sections"
DUE = (
    SECTIONS
    + """
WHERE sections.id > :after AND sections.id <= :upto AND deleted_at IS NULL AND state IN ('stored', 'failed', 'lost')
  AND coalesce(ended_at, requested_at) + coalesce(keep_s, :keep_s) * 1000000 <= :now
ORDER BY sections.id
"""
)
TOTALS = """
SELECT count(*) AS count, coalesce(sum(size_bytes), 0) AS size_bytes FROM sections
WHERE id > :after AND id <= :upto AND deleted_at IS NULL AND state IN ('stored', 'failed', 'lost')
"""
DELETED = SECTIONS + "WHERE deleted_at >= ? ORDER BY sections.id"
SECTIONS_OF_CALL = SECTIONS + "WHERE call_id = CAST(? AS TEXT) ORDER BY sections.id"

# Which of these names (a JSON list of [record, rule, file]) are sections.
NAMED = """
SELECT record_id, rule_id, file, sections.path, deleted_at FROM json_each(?) AS wanted
JOIN sections ON record_id = wanted.value ->> 0 AND rule_id = wanted.value ->> 1 AND file = wanted.value ->> 2
"""

# What is known of a call.
CDRS_OF_CALL = "SELECT * FROM cdrs WHERE call_id = CAST(? AS TEXT)"
CDRS_OF_RECORD = """
SELECT cdrs.* FROM cdr_records JOIN cdrs ON cdrs.id = cdr_records.cdr WHERE record_id = CAST(? AS TEXT)
"""
CDR_PARTICIPANTS = "SELECT identity FROM cdr_participants WHERE cdr = ? ORDER BY position"
CDR_RECORDS = "SELECT record_id FROM cdr_records WHERE cdr = ? ORDER BY position"
ENTRIES_OF_CALL = "SELECT * FROM journal WHERE call_id = CAST(? AS TEXT)"
PERSONAL_OF_CALL = """
SELECT number, fact_personal.name, value FROM facts JOIN fact_personal ON fact = number
WHERE call_id = CAST(? AS TEXT) AND value IS NOT NULL ORDER BY number
"""
RUNS = "SELECT count(*) AS count FROM running_calls WHERE call_id = CAST(? AS TEXT)"
BEGAN = "SELECT min(at) AS at FROM facts WHERE call_id = CAST(? AS TEXT) AND kind = 'call.began'"
# The calls that became this one, and the one that it became: by facts_joined (without + not searched, measured).
JOINED = """
SELECT data ->> 'joined' AS joined FROM facts WHERE call_id = CAST(?1 AS TEXT) AND kind = 'call.joined'
UNION SELECT call_id FROM facts WHERE data ->> 'joined' = +CAST(?1 AS TEXT) AND kind = 'call.joined'
"""
RECORDS_OF_CALL = "SELECT DISTINCT record_id FROM sections WHERE call_id = CAST(? AS TEXT)"

# Where somebody is found: all numbers that are kept, and the calls with one of them.
NUMBERS = """
SELECT source_number AS number FROM cdrs UNION SELECT destination_number FROM cdrs UNION SELECT dialed FROM cdrs
UNION SELECT number FROM journal UNION SELECT extension FROM journal UNION SELECT number FROM cdr_parties
UNION SELECT value FROM fact_personal WHERE name IN ('number', 'dialed', 'extension') AND value IS NOT NULL
"""
CALLS_WITH_NUMBER = """
SELECT call_id FROM cdrs WHERE CAST(:number AS TEXT) IN (source_number, destination_number, dialed)
UNION SELECT call_id FROM journal WHERE CAST(:number AS TEXT) IN (number, extension)
UNION SELECT call_id FROM cdr_parties JOIN cdrs ON cdrs.id = cdr WHERE number = CAST(:number AS TEXT)
UNION SELECT call_id FROM fact_personal JOIN facts ON facts.number = fact
    WHERE value = CAST(:number AS TEXT) AND name IN ('number', 'dialed', 'extension') AND call_id IS NOT NULL
"""
CALLS_OF_USER = """
SELECT call_id FROM cdrs WHERE CAST(:identity AS TEXT) IN (source_identity, destination_identity)
UNION SELECT call_id FROM cdr_participants JOIN cdrs ON cdrs.id = cdr WHERE identity = CAST(:identity AS TEXT)
UNION SELECT call_id FROM journal WHERE identity = CAST(:identity AS TEXT)
UNION SELECT call_id FROM section_participants JOIN sections ON sections.id = section
    WHERE identity = CAST(:identity AS TEXT)
UNION SELECT call_id FROM sections WHERE owner = CAST(:identity AS TEXT)
UNION SELECT call_id FROM fact_personal JOIN facts ON facts.number = fact
    WHERE name = 'identity' AND value = CAST(:identity AS TEXT) AND call_id IS NOT NULL
    AND kind NOT IN ('recording.played', 'recording.downloaded',
                     'call.tagged', 'call.untagged', 'call.noted', 'call.note-removed')
UNION SELECT facts.call_id FROM running_calls JOIN facts ON facts.call_id = running_calls.call_id, json_each(audience)
    WHERE json_each.value = CAST(:identity AS TEXT)
"""
NAMES_OF_USER = """
SELECT source_name AS name, source_number AS number FROM cdrs WHERE source_identity = CAST(:identity AS TEXT)
UNION SELECT destination_name, destination_number FROM cdrs WHERE destination_identity = CAST(:identity AS TEXT)
UNION SELECT '', extension FROM journal WHERE identity = CAST(:identity AS TEXT)
UNION SELECT name, number FROM cdr_participants JOIN cdr_parties USING (cdr)
    WHERE cdr_participants.identity = CAST(:identity AS TEXT) AND cdr_parties.identity = CAST(:identity AS TEXT)
"""
# Facts that are no call's: a user's flags, the holds on somebody.
PERSONAL_OF_NO_CALL = """
SELECT number, fact_personal.name, value FROM facts JOIN fact_personal ON fact = number
WHERE call_id IS NULL AND value IS NOT NULL ORDER BY number
"""
# Who has listened to a call, or written about it, was not in it.
LISTENED = """
SELECT number, call_id, fact_personal.name, value FROM facts JOIN fact_personal ON fact = number
WHERE fact_personal.name = 'identity' AND value = CAST(? AS TEXT) AND call_id IS NOT NULL
    AND kind IN ('recording.played', 'recording.downloaded',
                 'call.tagged', 'call.untagged', 'call.noted', 'call.note-removed')
ORDER BY number
"""

# What is forgotten.
# The digest stays: the chain of facts stands on it.
ERASE_PERSONAL = "UPDATE fact_personal SET value = NULL, salt = NULL WHERE fact = :fact AND name = CAST(:name AS TEXT)"
REWRITE_ENTRY = """
UPDATE journal SET user_id = CAST(:user_id AS TEXT), identity = CAST(:identity AS TEXT),
    device_id = CAST(:device_id AS TEXT), device_name = CAST(:device_name AS TEXT),
    location_id = CAST(:location_id AS TEXT), location_name = CAST(:location_name AS TEXT),
    name = CAST(:name AS TEXT), number = CAST(:number AS TEXT), extension = CAST(:extension AS TEXT)
WHERE id = :id
"""
REWRITE_CDR = """
UPDATE cdrs SET source_name = CAST(:source_name AS TEXT), source_number = CAST(:source_number AS TEXT),
    source_identity = CAST(:source_identity AS TEXT), destination_name = CAST(:destination_name AS TEXT),
    destination_number = CAST(:destination_number AS TEXT),
    destination_identity = CAST(:destination_identity AS TEXT), dialed = CAST(:dialed AS TEXT),
    found_by = CAST(:found_by AS TEXT)
WHERE id = :id
"""
FORGET_CDR_PARTICIPANT = "DELETE FROM cdr_participants WHERE cdr = :id AND identity = CAST(:identity AS TEXT)"
FORGET_DEMANDS = "DELETE FROM demands WHERE call_id = CAST(:call_id AS TEXT) AND owner = CAST(:identity AS TEXT)"
FORGET_PAUSES = "DELETE FROM pauses WHERE call_id = CAST(:call_id AS TEXT) AND identity = CAST(:identity AS TEXT)"
FORGET_FLAGS = "DELETE FROM user_flags WHERE identity = CAST(:identity AS TEXT)"

# Wishes in calls that are over: the recorder ends its own; these are what a crash left.
FORGET_OLD_DEMANDS = """
DELETE FROM demands WHERE since < :before AND call_id NOT IN (SELECT call_id FROM running_calls)
"""
FORGET_OLD_PAUSES = """
DELETE FROM pauses WHERE since < :before AND call_id NOT IN (SELECT call_id FROM running_calls)
"""

PUT_ERASURE = """
INSERT INTO erasures (id, systemname, number, identity, names, numbers, who, why, asked_at, salt, digest, done_at)
VALUES (CAST(:id AS TEXT), CAST(:systemname AS TEXT), CAST(:number AS TEXT), CAST(:identity AS TEXT), :names, :numbers,
    CAST(:who AS TEXT), CAST(:why AS TEXT), :asked_at, :salt, :digest, :done_at)
ON CONFLICT (id) DO UPDATE SET
    number = excluded.number, identity = excluded.identity, names = excluded.names, numbers = excluded.numbers,
    done_at = excluded.done_at
"""
ADD_ERASURE_CALL = """
INSERT OR IGNORE INTO erasure_calls (erasure, call_id, systemname)
VALUES (CAST(:erasure AS TEXT), CAST(:call_id AS TEXT), CAST(:systemname AS TEXT))
"""
END_ERASURE_CALL = """
DELETE FROM erasure_calls WHERE erasure = CAST(:erasure AS TEXT) AND call_id = CAST(:call_id AS TEXT)
"""
ERASURES = "SELECT * FROM erasures WHERE done_at IS NULL ORDER BY asked_at, id"
ERASURE_CALLS = "SELECT call_id FROM erasure_calls WHERE erasure = CAST(? AS TEXT) ORDER BY call_id"
