from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.asterisk.wire import MAX_HEADERS, MAX_LINE, Fields, FrameBuffer, RawMessage, encode_action
from bridge.core.errors import AsteriskError, InvalidAmiValueError
from bridge.core.messages import CallerIdChanged, parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GREETING = b"Asterisk Call Manager/11.0.0\r\n"


def message(*lines: bytes) -> RawMessage:
    return RawMessage(b"\r\n".join(lines), NOW)


class CountingBuffer(bytearray):
    """A bytearray that notes how many bytes it was made to search."""

    searched = 0

    def find(self, sub: Any, start: Any = None, end: Any = None, /) -> int:
        found = super().find(sub, start, end)
        self.searched += (len(self) if found < 0 else found + len(sub)) - (start or 0)
        return found


@settings(deadline=None)
@given(
    blocks=st.lists(st.binary(max_size=40).map(lambda b: b"X: " + b.translate(None, b"\r\n")), max_size=8),
    greeting=st.sampled_from([GREETING, b""]),
    cuts=st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=20),
)
def test_any_cut_of_the_stream_gives_the_same_blocks(blocks: list[bytes], greeting: bytes, cuts: list[int]) -> None:
    stream = greeting + b"".join(block + b"\r\n\r\n" for block in blocks)
    frames, found, at, turn = FrameBuffer(), list[bytes](), 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += frames.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == blocks
    assert frames.banner == greeting.decode().strip()


def test_a_long_message_in_many_chunks_is_searched_once() -> None:
    frames = FrameBuffer()
    frames.feed(GREETING)
    frames._tail = counting = CountingBuffer()
    chunk, chunks = b"Output: " + b"x" * 1014 + b"\r\n", 8 * 1024
    for _ in range(chunks):
        assert frames.feed(chunk) == []
    assert frames.feed(b"\r\n") == [(chunk * chunks)[:-2]]
    # Once over all of it, and three bytes again for each chunk's border.
    assert counting.searched <= len(chunk) * chunks + 3 * chunks + 4


def test_a_message_without_end_is_refused_at_the_limit() -> None:
    frames = FrameBuffer(limit=1000)
    frames.feed(GREETING + b"x" * 900)
    with pytest.raises(AsteriskError, match="longer than 1000 bytes"):
        frames.feed(b"x" * 200)


def test_the_limit_holds_for_one_message_and_not_for_a_chunk_of_many() -> None:
    frames = FrameBuffer(limit=1000)
    assert len(frames.feed(GREETING + (b"x" * 100 + b"\r\n\r\n") * 50)) == 50


def test_an_umlaut_across_two_chunks_stays_whole() -> None:
    stream = GREETING + "Event: NewCallerid\r\nUniqueid: 1.1\r\nCallerIDName: Jürgen\r\n\r\n".encode()
    cut = stream.index("ü".encode()) + 1
    frames = FrameBuffer()
    [raw] = frames.feed(stream[:cut]) + frames.feed(stream[cut:])
    assert RawMessage(raw, NOW).header("CallerIDName") == "Jürgen"


def test_an_empty_last_header_is_kept() -> None:
    [raw] = FrameBuffer().feed(GREETING + b"Event: VarSet\r\nVariable: X\r\nValue: \r\n\r\n")
    found = RawMessage(raw, NOW)
    assert found.all("Value") == ("",)
    assert found.pairs()[-1] == ("Value", "")


def test_bytes_that_are_no_utf8_come_out_and_go_back_unchanged() -> None:
    name = message(b"Event: Newchannel", b"Channel: SIP/\xfc-1").header("Channel")
    assert encode_action("Hangup", "1", {"Channel": name}).endswith(b"Channel: SIP/\xfc-1\r\n\r\n")


def test_a_header_is_found_by_its_whole_name_at_a_line_s_begin() -> None:
    found = message(b"Event: Dial", b"DestUniqueid: 2", b"Info: Uniqueid: 3", b"Uniqueid: 1")
    assert found.header("Uniqueid") == "1"
    assert found.header("queid") == ""
    assert found.header("Absent") == ""


def test_of_a_repeated_header_the_first_counts_and_all_are_there() -> None:
    found = message(b"Event: UserEvent", b"Channel: real", b"Channel: forged", b"Event: Hangup")
    assert found.header("Event") == "UserEvent"
    assert found.header("Channel") == "real"
    assert found.all("Channel") == ("real", "forged")


def test_a_raw_message_parses_as_a_core_event() -> None:
    found = message(
        b"Event: NewCallerid",
        b"Timestamp: 1795235313.5",
        b"Uniqueid: 1.1",
        b"CallerIDNum: 4711",
        b'CallerIDName: \xc3\x84nn \\"Ei\\"',
    )
    event = parse(found, NOW)
    assert isinstance(event, CallerIdChanged)
    assert (event.caller_number, event.caller_name) == ("4711", 'Änn "Ei"')
    assert event.at.timestamp() == 1795235313.5


@pytest.mark.parametrize("value", ["a\r\nAction: Hangup", "a\nAction: Hangup", "a\rb", "a\0b"])
def test_a_value_that_would_begin_another_line_is_refused(value: str) -> None:
    with pytest.raises(InvalidAmiValueError):
        encode_action("Setvar", "1", {"Variable": "X", "Value": value})
    with pytest.raises(InvalidAmiValueError):
        encode_action("Originate", "1", {"Variable": ["A=1", value]})
    with pytest.raises(InvalidAmiValueError):
        encode_action(value, "1", {})


@pytest.mark.parametrize("name", ["", "A: B", "A\nB", "A B"])
def test_a_header_s_name_is_a_word(name: str) -> None:
    with pytest.raises(InvalidAmiValueError):
        encode_action("Setvar", "1", {name: "x"})


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({"V": "x" * (MAX_LINE - 3)}, True),
        ({"V": "x" * (MAX_LINE - 2)}, False),
        ({"V": "ü" * (MAX_LINE // 2 - 1)}, False),
        ({"V": ["x"] * (MAX_HEADERS - 2)}, True),
        ({"V": ["x"] * (MAX_HEADERS - 1)}, False),
    ],
)
def test_what_asterisk_would_cut_off_is_refused(fields: Fields, taken: bool) -> None:
    if taken:
        assert encode_action("Ping", "1", fields).endswith(b"\r\n\r\n")
    else:
        with pytest.raises(InvalidAmiValueError):
            encode_action("Ping", "1", fields)
