"""Finished calls as they are searched: what is asked of those recordings of theirs that somebody may hear."""

from collections.abc import Sequence

from bridge.core.ids import Identity
from bridge.storage.values import json_in, text_in

Condition = tuple[str, list[object]]
"""SQL that holds or not for a row, and the values for its question marks."""

RECORDINGS = "sections.cdr IS NOT NULL AND sections.state IN ('closed', 'stored')"
_HEARD = """
sections.owner IN ({texts})
OR EXISTS (SELECT 1 FROM section_participants AS hearing
           WHERE hearing.section = sections.id AND hearing.identity IN ({texts}))
"""
_RECORDED = """
cdrs.recorded AND EXISTS (SELECT 1 FROM sections WHERE sections.cdr = cdrs.id AND {recordings} AND ({heard}))
"""
_TAGGED = "cdrs.id IN (SELECT cdr FROM cdr_tags WHERE tag = json_extract(?, '$') AND source = 'rule')"
_HEARD_TAGGED = """
EXISTS (SELECT 1 FROM sections, json_each(sections.tags) AS tag
        WHERE sections.cdr = cdrs.id AND {recordings} AND ({heard}) AND tag.value = json_extract(?, '$'))
"""
_COUNTED = "(SELECT count(*) FROM sections WHERE sections.cdr = cdrs.id AND {recordings} AND ({heard}))"
_NAMED = """
SELECT sections.cdr FROM recording_search JOIN sections ON sections.id = recording_search.rowid
WHERE recording_search MATCH ? AND instr(recording_search.name, ?) > 0 AND ({heard})
"""


def heard(heard_by: Sequence[Identity] | None) -> Condition:
    """Of a row of sections: one of these took part in it or owns it. None means all."""
    if heard_by is None:
        return "1", []
    known = encodable(heard_by)
    return _HEARD.format(texts=marks(known)), known * 2


def recorded(wanted: bool, heard_by: Sequence[Identity] | None) -> Condition:
    """Of a row of cdrs: it has such a recording, or has none."""
    which, values = heard(heard_by)
    if heard_by is None:
        return "cdrs.recorded = ?", [int(wanted)]
    sql = _RECORDED.format(recordings=RECORDINGS, heard=which)
    return (sql if wanted else f"NOT ({sql})"), values


def counted(heard_by: Sequence[Identity] | None) -> Condition:
    """How many such recordings a row of cdrs has."""
    which, values = heard(heard_by)
    return _COUNTED.format(recordings=RECORDINGS, heard=which), values


def tagged(tag: str, heard_by: Sequence[Identity] | None) -> Condition:
    """Of a row of cdrs: such a recording has this tag."""
    if heard_by is None:
        return _TAGGED, [json_in(tag)]
    sql, values = heard_tagged(tag, heard_by)
    return f"{_TAGGED} AND {sql}", [json_in(tag), *values]


def heard_tagged(tag: str, heard_by: Sequence[Identity]) -> Condition:
    """The same, for a row that is looked at anyway."""
    which, values = heard(heard_by)
    return _HEARD_TAGGED.format(recordings=RECORDINGS, heard=which), [*values, json_in(tag)]


def named(phrase: str, text: str, heard_by: Sequence[Identity] | None) -> Condition:
    """The numbers of the calls that have such a recording with this text in its name; `phrase` is a part of it."""
    which, values = heard(heard_by)
    return _NAMED.format(heard=which), [phrase, text, *values]


def encodable(texts: Sequence[str]) -> list[object]:
    """Those that a row may hold."""
    found: list[object] = []
    for text in texts:
        try:
            found.append(text_in(text))
        except UnicodeEncodeError:
            continue
    return found


def marks(values: Sequence[object]) -> str:
    """A question mark for each of these texts."""
    return ", ".join(["CAST(? AS TEXT)"] * len(values))
