"""What may be deleted: nothing under a hold, nothing younger than it has to be kept, never more than half."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.records import Section, SectionState
from bridge.core.retention import (
    CallTrace,
    Hold,
    Target,
    Totals,
    at_most_half,
    covers,
    fits,
    judge,
    number_matches,
)
from bridge.core.sections import FINAL
from tests.storage import kept

NOW = kept.NOON + timedelta(days=400)
TRACE = CallTrace(
    call_ids=frozenset({kept.CALL}),
    record_ids=frozenset({kept.RECORD}),
    numbers=frozenset({"+49 731 12345", "822"}),
    identities=frozenset({Identity("alice")}),
    began_at=kept.NOON,
    ended_at=kept.NOON + timedelta(minutes=5),
)
NOTHING = timedelta(0)

_targets = st.builds(
    Target,
    call_id=st.none() | st.sampled_from([kept.CALL, CallId("9.9")]),
    record_id=st.none() | st.sampled_from([kept.RECORD, RecordId("9_9")]),
    number=st.none() | st.sampled_from(["+49*", "822", "1"]),
    identity=st.none() | st.sampled_from(["alice", "bob"]).map(Identity),
    since=st.none() | st.sampled_from([kept.NOON, NOW]),
    until=st.none() | st.sampled_from([kept.NOON, kept.NOON - timedelta(days=1)]),
)
_holds = st.lists(
    st.builds(Hold, st.text(), _targets, st.just("x"), st.just("y"), st.just(NOW), st.none() | st.just(NOW)), max_size=3
)
_sections = st.builds(
    kept.section,
    state=st.sampled_from(SectionState),
    ended_at=st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    keep_s=st.none() | st.floats(0, 10**10),
    deleted_at=st.none() | st.just(NOW),
)
_keeps = st.timedeltas(timedelta(0), timedelta(days=36_500))


def hold(**target: object) -> Hold:
    return Hold("h", Target(**target), "eve", "a case", kept.NOON)  # type: ignore[arg-type]


def stored(**values: Any) -> Section:
    return kept.section(state=SectionState.STORED, ended_at=kept.NOON, **values)


@given(_sections, _holds, _keeps, st.booleans())
def test_only_what_is_final_free_and_old_enough_goes(
    section: Section, holds: list[Hold], keep: timedelta, whole: bool
) -> None:
    trace = replace(TRACE, whole=whole)
    verdict = judge(section, holds, trace, NOW, keep)
    duty = keep if section.keep_s is None else timedelta(seconds=section.keep_s)
    held = any(covers(one, trace) for one in holds)
    old = NOW - (section.ended_at or section.requested_at) >= duty
    assert verdict.may_go == (section.state in FINAL and section.deleted_at is None and not held and old)
    if not verdict.may_go and section.state in FINAL and section.deleted_at is None:
        assert verdict.holds or (verdict.kept_until is not None and verdict.kept_until > NOW)


@given(_sections, _targets, _keeps)
def test_a_hold_that_fits_always_wins(section: Section, target: Target, keep: timedelta) -> None:
    one = Hold("h", target, "eve", "a case", NOW)
    if fits(target, TRACE):
        assert not judge(section, [one], TRACE, NOW, keep).may_go
    released = replace(one, released_at=NOW)
    assert judge(section, [released], TRACE, NOW, keep) == judge(section, [], TRACE, NOW, keep)


@given(_targets)
def test_a_call_that_is_not_known_as_a_whole_is_covered_sooner(target: Target) -> None:
    one = Hold("h", target, "eve", "a case", NOW)
    assert covers(one, replace(TRACE, whole=False)) or not covers(one, TRACE)


@pytest.mark.parametrize(
    ("target", "covered"),
    [
        ({"number": "+4973112345"}, True),
        ({"number": "+49 (731) 12-345"}, True),
        ({"number": "*12345"}, True),
        ({"number": "12345"}, False),
        ({"identity": Identity("alice")}, True),
        ({"identity": Identity("bob")}, False),
        ({"call_id": kept.CALL, "identity": Identity("bob")}, False),
        ({"record_id": kept.RECORD}, True),
        ({"since": kept.NOON + timedelta(minutes=1)}, True),
        ({"since": kept.NOON + timedelta(minutes=6)}, False),
        ({"until": kept.NOON}, True),
        ({"until": kept.NOON - timedelta(seconds=1)}, False),
    ],
)
def test_what_a_hold_covers(target: dict[str, object], covered: bool) -> None:
    assert covers(hold(**target), TRACE) is covered


def test_before_the_cdr_is_there_a_number_may_be_anybodys() -> None:
    ringing = replace(TRACE, numbers=frozenset(), whole=False)
    assert covers(hold(number="+4973112345"), ringing)
    assert not covers(hold(number="+4973112345", call_id=CallId("9.9")), ringing)


def test_the_rules_own_keep_stands_over_the_default_and_over_a_request() -> None:
    section = stored(keep_s=timedelta(days=500).total_seconds())
    for keep in (NOTHING, timedelta(days=365)):
        verdict = judge(section, [], TRACE, NOW, keep)
        assert (verdict.may_go, verdict.kept_until) == (False, kept.NOON + timedelta(days=500))
    short = stored(keep_s=60.0)
    assert judge(short, [], TRACE, NOW, timedelta(days=3650)).may_go
    young = judge(stored(), [], TRACE, kept.NOON + timedelta(hours=1), timedelta(days=365))
    assert not young.may_go
    assert judge(stored(), [], TRACE, kept.NOON + timedelta(hours=1), NOTHING).may_go


def test_a_keep_beyond_the_calendar_is_for_ever() -> None:
    verdict = judge(stored(keep_s=1e12), [], TRACE, NOW, NOTHING)
    assert verdict.kept_until == datetime.max.replace(tzinfo=UTC)


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 1000), st.integers(0, 1000))
def test_no_more_than_half_of_either(going: int, rest: int, going_bytes: int, rest_bytes: int) -> None:
    stored_all = Totals(going + rest, going_bytes + rest_bytes)
    assert at_most_half(Totals(going, going_bytes), stored_all) == (going <= rest and going_bytes <= rest_bytes)


def test_an_empty_number_is_nobodys() -> None:
    assert not number_matches("*", ["", ""])
    assert number_matches("004[9]*", ["004[9]1"])
