"""What is asked for at Asterisk."""

import re

from bridge.asterisk import filters
from bridge.core import messages
from bridge.core.messages import CHANNEL_EVENTS, DTMF, PARSERS


def test_keys_that_are_pressed_are_asked_for_only_by_name() -> None:
    assert set(filters.EVENTS) == set(PARSERS) - {DTMF, *CHANNEL_EVENTS}
    assert not [one for one in filters.criteria(filters.EVENTS, ()) if DTMF in one["MatchCriteria"]]
    assert list(filters.criteria([DTMF], ())) == [
        {"MatchCriteria": "name(DTMFEnd),header(Direction),method(exact)", "Filter": "Received"}
    ]


def test_the_first_filter_is_one_that_hides_nothing_on_an_older_asterisk_and_all_compile_there() -> None:
    first, *others = filters.criteria(["UserEvent", "Newexten", DTMF, "VarSet", "Hangup"], {"RECBRIDGE"})
    assert first == {"MatchCriteria": "name(Hangup)"}
    assert all("Filter" in one for one in others)
    assert len(others) == 4
    # It takes each for an expression about the whole event.
    assert all(re.compile(one["Filter"]) for one in others)


def test_every_user_event_that_is_understood_is_asked_for_in_any_case() -> None:
    [one] = filters.criteria(["UserEvent"], ())
    asked = re.compile(one["Filter"])
    assert {name.lower() for name in filters.USER_EVENTS} == set(messages._USER_EVENTS)
    for name in filters.USER_EVENTS:
        assert all(asked.search(written) for written in (name, name.lower(), name.upper()))
    assert not any(asked.search(other) for other in ("RecordToggles", "XRecordToggle", "Other", ""))
