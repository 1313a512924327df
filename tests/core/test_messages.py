"""AMI message to typed event."""

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.asterisk.wire import RawMessage
from bridge.core import messages as m
from bridge.core.ids import Uniqueid

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def message(**headers: str) -> RawMessage:
    return RawMessage("\r\n".join(f"{name}: {value}" for name, value in headers.items()).encode(), NOW)


def test_a_new_channel_says_who_calls_what() -> None:
    event = m.parse(
        message(
            Event="Newchannel",
            Timestamp="1795235721.611845",
            Channel="PJSIP/alice-1",
            ChannelState="4",
            CallerIDNum="101",
            CallerIDName=r"Anna \"Ännchen\"",
            Context="internal",
            Exten="600",
            Uniqueid="1795235721.9",
            Linkedid="1795235721.9",
        ),
        NOW,
    )
    assert isinstance(event, m.ChannelSeen)
    assert (event.caller_name, event.exten, event.state_up) == ('Anna "Ännchen"', "600", False)
    assert event.at == datetime(2026, 11, 21, 4, 35, 21, 611845, tzinfo=UTC)


def test_unknown_is_no_number() -> None:
    event = m.parse(message(Event="NewCallerid", Uniqueid="1.1", CallerIDNum="<unknown>", CallerIDName=""), NOW)
    assert isinstance(event, m.CallerIdChanged)
    assert event.caller_number == ""


@pytest.mark.parametrize("stamp", ["", "soon", "nan", "inf", "1e300"])
def test_a_timestamp_that_is_none_gives_the_time_of_receipt(stamp: str) -> None:
    event = m.parse(message(Event="Hangup", Uniqueid="1.1", Cause="16", Timestamp=stamp), NOW)
    assert event == m.ChannelHungUp(NOW, Uniqueid("1.1"), 16)


@pytest.mark.parametrize("name", sorted(m.PARSERS))
def test_an_event_without_its_headers_is_nothing(name: str) -> None:
    assert m.parse(message(Event=name), NOW) is None


def test_an_event_that_nobody_needs_is_nothing() -> None:
    assert m.parse(message(Event="RTCPSent", Uniqueid="1.1"), NOW) is None


@given(st.sampled_from(sorted(m.PARSERS)), st.binary(max_size=300))
def test_whatever_bytes_come_no_exception_leaves(name: str, rest: bytes) -> None:
    event = m.parse(RawMessage(b"Event: " + name.encode() + b"\r\nUniqueid: 1.1\r\nChannel: " + rest, NOW), NOW)
    assert event is None or isinstance(event, get_args(m.Event))
