-- What people look at: the console and the operator's tools.

-- The rules as they were in force, one row each time that they changed, each until the next one's `since`. `files` (a list
-- of [name, text]) and `users` (of each what matching knows) are JSON. `erased`: somebody in it was erased since.
CREATE TABLE rule_sets (
    id INTEGER PRIMARY KEY,
    systemname TEXT NOT NULL,
    since INTEGER NOT NULL,
    digest TEXT NOT NULL,
    files TEXT NOT NULL,
    users TEXT NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0 CHECK (erased IN (0, 1))
) STRICT;

-- What the rules (`rule_set`) were asked of a talk (`facts`, JSON: `bridge.core.asked.facts_item`, as of `facts_at`), so
-- that the answers can be told again. It goes with its talk.
CREATE TABLE talk_asked (
    talk_id TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    rule_set INTEGER,
    facts_at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0 CHECK (erased IN (0, 1)),
    PRIMARY KEY (talk_id, asked_at)
) STRICT, WITHOUT ROWID;

-- The tags of finished calls: those that their recordings have from rules (the triggers below keep them), and those that
-- people put on calls (`by` an identity, `at` a time). `started_at` is the call's.
CREATE TABLE cdr_tags (
    cdr INTEGER NOT NULL REFERENCES cdrs (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('rule', 'user')),
    systemname TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    by TEXT,
    at INTEGER,
    PRIMARY KEY (cdr, tag, source)
) STRICT, WITHOUT ROWID;
INSERT INTO cdr_tags
SELECT DISTINCT sections.cdr, tag.value, 'rule', cdrs.systemname, cdrs.started_at, NULL, NULL
FROM sections JOIN cdrs ON cdrs.id = sections.cdr, json_each(sections.tags) AS tag
WHERE sections.state IN ('closed', 'stored') AND sections.tags <> '[]';
CREATE INDEX cdr_tags_tag ON cdr_tags (tag, started_at, cdr);
CREATE TRIGGER calls_are_tagged_by_new_sections AFTER INSERT ON sections
WHEN NEW.cdr IS NOT NULL AND NEW.tags <> '[]' AND NEW.state IN ('closed', 'stored')
BEGIN
    INSERT INTO cdr_tags SELECT cdrs.id, tag.value, 'rule', cdrs.systemname, cdrs.started_at, NULL, NULL
    FROM cdrs, json_each(NEW.tags) AS tag WHERE cdrs.id = NEW.cdr ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER calls_are_tagged_by_sections AFTER UPDATE OF cdr, state, tags ON sections
WHEN (NEW.tags <> '[]' OR OLD.tags <> '[]') AND (NEW.cdr IS NOT OLD.cdr
    OR (NEW.cdr IS NOT NULL AND (NEW.tags <> OLD.tags
        OR (NEW.state IN ('closed', 'stored')) <> (OLD.state IN ('closed', 'stored')))))
BEGIN
    DELETE FROM cdr_tags WHERE cdr IN (OLD.cdr, NEW.cdr) AND source = 'rule' AND NOT EXISTS (
        SELECT 1 FROM sections, json_each(sections.tags) AS tag
        WHERE sections.cdr = cdr_tags.cdr AND sections.state IN ('closed', 'stored') AND tag.value = cdr_tags.tag);
    INSERT INTO cdr_tags SELECT cdrs.id, tag.value, 'rule', cdrs.systemname, cdrs.started_at, NULL, NULL
    FROM cdrs, json_each(NEW.tags) AS tag
    WHERE cdrs.id = NEW.cdr AND NEW.state IN ('closed', 'stored') ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER calls_are_not_tagged_by_deleted_sections AFTER DELETE ON sections
WHEN OLD.cdr IS NOT NULL AND OLD.tags <> '[]'
BEGIN
    DELETE FROM cdr_tags WHERE cdr = OLD.cdr AND source = 'rule' AND NOT EXISTS (
        SELECT 1 FROM sections, json_each(sections.tags) AS tag
        WHERE sections.cdr = cdr_tags.cdr AND sections.state IN ('closed', 'stored') AND tag.value = cdr_tags.tag);
END;

-- The newest calls of a user, a number, a queue, and so on are found without a look at all of them, or at all others.
ALTER TABLE cdr_participants ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;
DROP INDEX cdr_participants_identity;
UPDATE cdr_participants SET started_at = (SELECT started_at FROM cdrs WHERE id = cdr);
CREATE INDEX cdr_participants_identity ON cdr_participants (identity, started_at, cdr);
CREATE INDEX cdrs_direction ON cdrs (direction, started_at);
CREATE INDEX cdrs_status ON cdrs (status, started_at);
CREATE INDEX cdrs_recorded ON cdrs (recorded, started_at);
CREATE INDEX cdrs_queue ON cdrs (queue, started_at) WHERE queue <> '';
CREATE INDEX cdrs_source ON cdrs (source_number, started_at);
CREATE INDEX cdrs_destination ON cdrs (destination_number, started_at);
CREATE INDEX cdrs_talked ON cdrs (talked_s, started_at);

-- How many calls began in each span of `span` hours (1, 24 or 720; `start` counts spans since 1970): all (`kind` ''), of
-- each queue, user and tag. What is counted is `tallied`: a call's commit sets that last, when its lists are there. What is
-- of one time stands together: a commit writes few pages.
CREATE TABLE cdr_tallies (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    span INTEGER NOT NULL,
    start INTEGER NOT NULL,
    direction TEXT NOT NULL,
    status TEXT NOT NULL,
    recorded INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    calls INTEGER NOT NULL,
    PRIMARY KEY (span, start, kind, value, direction, status, recorded)
) STRICT, WITHOUT ROWID;
INSERT INTO cdr_tallies
SELECT '', '', 1, started_at / 3600000000, direction, status, recorded, min(systemname), count(*) FROM cdrs
GROUP BY 4, 5, 6, 7;
INSERT INTO cdr_tallies
SELECT 'queue', queue, 1, started_at / 3600000000, direction, status, recorded, min(systemname), count(*)
FROM cdrs WHERE queue <> '' GROUP BY 2, 4, 5, 6, 7;
INSERT INTO cdr_tallies
SELECT 'user', identity, 1, cdrs.started_at / 3600000000, direction, status, recorded, min(cdrs.systemname),
    count(DISTINCT cdr)
FROM cdrs JOIN cdr_participants ON cdr = id GROUP BY 2, 4, 5, 6, 7;
INSERT INTO cdr_tallies
SELECT 'tag', tag, 1, cdrs.started_at / 3600000000, direction, status, recorded, min(cdrs.systemname),
    count(DISTINCT cdr)
FROM cdrs JOIN cdr_tags ON cdr = id GROUP BY 2, 4, 5, 6, 7;
INSERT INTO cdr_tallies
SELECT kind, value, column1, start / column1, direction, status, recorded, min(systemname), sum(calls)
FROM cdr_tallies, (VALUES (24), (720)) WHERE span = 1 GROUP BY 1, 2, 3, 4, 5, 6, 7;
ALTER TABLE cdrs ADD COLUMN tallied INTEGER NOT NULL DEFAULT 1 CHECK (tallied IN (0, 1));
CREATE TRIGGER tallies_of_none_go AFTER UPDATE OF calls ON cdr_tallies
WHEN NEW.calls = 0
BEGIN
    DELETE FROM cdr_tallies WHERE kind = NEW.kind AND value = NEW.value AND span = NEW.span AND start = NEW.start
        AND direction = NEW.direction AND status = NEW.status AND recorded = NEW.recorded;
END;
CREATE TRIGGER calls_are_tallied AFTER UPDATE OF tallied ON cdrs
WHEN NEW.tallied > OLD.tallied
BEGIN
    INSERT INTO cdr_tallies
    SELECT kind, value, span.column1, NEW.started_at / 3600000000 / span.column1, NEW.direction, NEW.status,
        NEW.recorded, NEW.systemname, 1
    FROM (SELECT '' AS kind, '' AS value
          UNION ALL SELECT 'queue', NEW.queue WHERE NEW.queue <> ''
          UNION ALL SELECT DISTINCT 'user', identity FROM cdr_participants WHERE cdr = NEW.id
          UNION ALL SELECT DISTINCT 'tag', tag FROM cdr_tags WHERE cdr = NEW.id),
        (VALUES (1), (24), (720)) AS span
    WHERE true ON CONFLICT DO UPDATE SET calls = calls + 1;
END;
CREATE TRIGGER calls_are_tallied_anew AFTER UPDATE OF direction, status, recorded ON cdrs
WHEN OLD.tallied AND (NEW.direction <> OLD.direction OR NEW.status <> OLD.status OR NEW.recorded <> OLD.recorded)
BEGIN
    INSERT INTO cdr_tallies
    SELECT kind, value, span.column1, NEW.started_at / 3600000000 / span.column1,
        iif(change.column1 < 0, OLD.direction, NEW.direction), iif(change.column1 < 0, OLD.status, NEW.status),
        iif(change.column1 < 0, OLD.recorded, NEW.recorded), NEW.systemname, change.column1
    FROM (SELECT '' AS kind, '' AS value
          UNION ALL SELECT 'queue', NEW.queue WHERE NEW.queue <> ''
          UNION ALL SELECT DISTINCT 'user', identity FROM cdr_participants WHERE cdr = NEW.id
          UNION ALL SELECT DISTINCT 'tag', tag FROM cdr_tags WHERE cdr = NEW.id),
        (VALUES (1), (24), (720)) AS span, (VALUES (-1), (1)) AS change
    WHERE true ON CONFLICT DO UPDATE SET calls = calls + excluded.calls;
END;
CREATE TRIGGER deleted_calls_are_not_tallied BEFORE DELETE ON cdrs
WHEN OLD.tallied
BEGIN
    INSERT INTO cdr_tallies
    SELECT kind, value, span.column1, OLD.started_at / 3600000000 / span.column1, OLD.direction, OLD.status,
        OLD.recorded, OLD.systemname, -1
    FROM (SELECT '' AS kind, '' AS value
          UNION ALL SELECT 'queue', OLD.queue WHERE OLD.queue <> ''
          UNION ALL SELECT DISTINCT 'user', identity FROM cdr_participants WHERE cdr = OLD.id
          UNION ALL SELECT DISTINCT 'tag', tag FROM cdr_tags WHERE cdr = OLD.id),
        (VALUES (1), (24), (720)) AS span
    WHERE true ON CONFLICT DO UPDATE SET calls = calls - 1;
END;
-- Where the call itself is deleted these find no row of it any more.
CREATE TRIGGER forgotten_participants_are_not_tallied AFTER DELETE ON cdr_participants
WHEN NOT EXISTS (SELECT 1 FROM cdr_participants WHERE cdr = OLD.cdr AND identity = OLD.identity)
BEGIN
    INSERT INTO cdr_tallies
    SELECT 'user', OLD.identity, span.column1, started_at / 3600000000 / span.column1, direction, status, recorded,
        systemname, -1
    FROM cdrs, (VALUES (1), (24), (720)) AS span
    WHERE id = OLD.cdr AND tallied ON CONFLICT DO UPDATE SET calls = calls - 1;
END;
CREATE TRIGGER new_tags_are_tallied AFTER INSERT ON cdr_tags
WHEN NOT EXISTS (SELECT 1 FROM cdr_tags WHERE cdr = NEW.cdr AND tag = NEW.tag AND source <> NEW.source)
BEGIN
    INSERT INTO cdr_tallies
    SELECT 'tag', NEW.tag, span.column1, started_at / 3600000000 / span.column1, direction, status, recorded,
        systemname, 1
    FROM cdrs, (VALUES (1), (24), (720)) AS span
    WHERE id = NEW.cdr AND tallied ON CONFLICT DO UPDATE SET calls = calls + 1;
END;
CREATE TRIGGER deleted_tags_are_not_tallied AFTER DELETE ON cdr_tags
WHEN NOT EXISTS (SELECT 1 FROM cdr_tags WHERE cdr = OLD.cdr AND tag = OLD.tag)
BEGIN
    INSERT INTO cdr_tallies
    SELECT 'tag', OLD.tag, span.column1, started_at / 3600000000 / span.column1, direction, status, recorded,
        systemname, -1
    FROM cdrs, (VALUES (1), (24), (720)) AS span
    WHERE id = OLD.cdr AND tallied ON CONFLICT DO UPDATE SET calls = calls - 1;
END;

-- What the coverage of finished calls came to (`bridge.core.coverage`), in microseconds: by rule, -1 where none had to do
-- with it; -2 is the whole call, which alone may be `faulty`. NULL is nothing. A call without rows is not added up yet, or
-- something of it has changed since: then its rows go. Nobody is named here.
CREATE TABLE call_coverage (
    ended_at INTEGER NOT NULL,
    cdr INTEGER NOT NULL,
    rule_id INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    faulty INTEGER NOT NULL CHECK (faulty IN (0, 1)),
    recorded INTEGER,
    no_rule INTEGER,
    not_matched INTEGER,
    never INTEGER,
    variable INTEGER,
    on_demand INTEGER,
    paused INTEGER,
    consultation INTEGER,
    follow INTEGER,
    starting INTEGER,
    ending INTEGER,
    unchecked INTEGER,
    failed INTEGER,
    lost INTEGER,
    asterisk_away INTEGER,
    recbridge_away INTEGER,
    unknown INTEGER,
    PRIMARY KEY (ended_at, cdr, rule_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER new_calls_change_coverage AFTER INSERT ON cdrs
BEGIN
    DELETE FROM call_coverage WHERE (ended_at, cdr) IN (SELECT ended_at, id FROM cdrs WHERE call_id = NEW.call_id);
END;
CREATE TRIGGER deleted_calls_have_no_coverage AFTER DELETE ON cdrs
BEGIN
    DELETE FROM call_coverage WHERE ended_at = OLD.ended_at AND cdr = OLD.id;
    DELETE FROM call_coverage WHERE (ended_at, cdr) IN (SELECT ended_at, id FROM cdrs WHERE call_id = OLD.call_id);
END;
CREATE TRIGGER new_talks_change_coverage AFTER INSERT ON talks
BEGIN
    DELETE FROM call_coverage WHERE (ended_at, cdr) IN (SELECT ended_at, id FROM cdrs WHERE call_id = NEW.call_id);
END;
CREATE TRIGGER talks_change_coverage AFTER UPDATE ON talks
BEGIN
    DELETE FROM call_coverage
    WHERE (ended_at, cdr) IN (SELECT ended_at, id FROM cdrs WHERE call_id IN (OLD.call_id, NEW.call_id));
END;
CREATE TRIGGER new_spans_change_coverage AFTER INSERT ON talk_spans
BEGIN
    DELETE FROM call_coverage WHERE (ended_at, cdr) IN (
        SELECT cdrs.ended_at, id FROM talks JOIN cdrs USING (call_id) WHERE talk_id = NEW.talk_id);
END;
CREATE TRIGGER spans_change_coverage AFTER UPDATE ON talk_spans
BEGIN
    DELETE FROM call_coverage WHERE (ended_at, cdr) IN (
        SELECT cdrs.ended_at, id FROM talks JOIN cdrs USING (call_id) WHERE talk_id = NEW.talk_id);
END;
CREATE TRIGGER new_sections_change_coverage AFTER INSERT ON sections
WHEN NEW.talk_id <> ''
BEGIN
    DELETE FROM call_coverage WHERE (ended_at, cdr) IN (
        SELECT cdrs.ended_at, cdrs.id FROM talks JOIN cdrs USING (call_id) WHERE talk_id = NEW.talk_id);
END;
-- What is told of a section: a hold or an erasure alone changes nothing.
CREATE TRIGGER sections_change_coverage AFTER UPDATE ON sections
WHEN (NEW.talk_id, NEW.rule_id, NEW.state, NEW.requested_at, NEW.started_at, NEW.ended_at, NEW.duration_s, NEW.sha256,
      NEW.reason) IS NOT (OLD.talk_id, OLD.rule_id, OLD.state, OLD.requested_at, OLD.started_at, OLD.ended_at,
      OLD.duration_s, OLD.sha256, OLD.reason)
BEGIN
    DELETE FROM call_coverage WHERE (ended_at, cdr) IN (
        SELECT cdrs.ended_at, cdrs.id FROM talks JOIN cdrs USING (call_id) WHERE talk_id IN (OLD.talk_id, NEW.talk_id));
END;

-- Who was in a finished call, in the order of coming (`bridge.core.records.Party`).
CREATE TABLE cdr_parties (
    cdr INTEGER NOT NULL REFERENCES cdrs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    systemname TEXT NOT NULL,
    uniqueid TEXT NOT NULL,
    channel TEXT NOT NULL,
    name TEXT NOT NULL,
    number TEXT NOT NULL,
    identity TEXT,
    outside INTEGER NOT NULL CHECK (outside IN (0, 1)),
    dialed INTEGER NOT NULL CHECK (dialed IN (0, 1)),
    began_at INTEGER NOT NULL,
    answered_at INTEGER,
    ended_at INTEGER NOT NULL,
    dial_status TEXT NOT NULL,
    PRIMARY KEY (cdr, position)
) STRICT, WITHOUT ROWID;

-- What people write about a finished call. `by` is '' once its author is erased.
CREATE TABLE cdr_notes (
    id TEXT PRIMARY KEY,
    cdr INTEGER NOT NULL REFERENCES cdrs (id) ON DELETE CASCADE,
    systemname TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cdr_notes_cdr ON cdr_notes (cdr, at);

-- Which recordings were in the zip of an export that somebody has fetched: the export ends, who has them is still known,
-- by its facts.
CREATE TABLE handed_out (
    record_id TEXT NOT NULL,
    rule_id INTEGER NOT NULL,
    file INTEGER NOT NULL,
    export TEXT NOT NULL,
    systemname TEXT NOT NULL,
    PRIMARY KEY (record_id, rule_id, file, export)
) STRICT, WITHOUT ROWID;
CREATE INDEX facts_exports ON facts (data ->> 'export') WHERE kind = 'export.downloaded';

CREATE INDEX cdr_tags_by_users ON cdr_tags (by) WHERE source = 'user';

PRAGMA user_version = 5;
