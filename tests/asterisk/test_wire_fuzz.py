"""Whatever bytes come for AMI: no exception leaves framing and parsers, nothing whole is dropped, memory is bounded."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.asterisk.manager import AmiManager, AmiProtocol
from bridge.asterisk.wire import FrameBuffer, RawMessage
from bridge.core.errors import AsteriskError
from bridge.core.messages import PARSERS, parse
from tests.asterisk.test_torn import FIXTURES, blocks

NOW = datetime(2026, 1, 1, tzinfo=UTC)
END = b"\r\n\r\n"
GREETING = b"Asterisk Call Manager/11.0.0\r\n"
NAMES = sorted(PARSERS)
HEADERS = sorted(
    {
        line.partition(b": ")[0].decode()
        for path in FIXTURES.glob("22-*/events.ami")
        for block in blocks(path)[:400]
        for line in block.split(b"\r\n")
        if b": " in line
    }
)

# What a value may hold: nothing, numbers that are none, escapes that end too soon, bytes that are no UTF-8, long ones.
values = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"", b"-1", b"9" * 400, b"1e999", b"nan", b"\\", b"\\x", b'"\\"', b"\xff\xfe", b"\0", b"\xe2\x82"]
    ),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
lines = st.tuples(st.sampled_from(HEADERS), values).map(lambda pair: pair[0].encode() + b": " + pair[1])
soups = st.tuples(st.sampled_from(NAMES), st.lists(st.one_of(lines, st.binary(max_size=20)), max_size=25)).map(
    lambda pair: b"\r\n".join([b"Event: " + pair[0].encode(), *pair[1]])
)
pieces = st.one_of(st.binary(max_size=60), st.sampled_from([b"\r\n", b"\n", b"\r", END, END + END, GREETING]), soups)


def cut(stream: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        yield stream[at : at + size]
        at, turn = at + size, turn + 1


cuts = st.lists(st.integers(min_value=1, max_value=97), min_size=1, max_size=12)


@settings(deadline=None)
@given(parts=st.lists(pieces, max_size=12), sizes=cuts, limit=st.integers(min_value=40, max_value=400))
def test_framing_gives_every_whole_block_or_says_that_one_is_too_long(
    parts: list[bytes], sizes: list[int], limit: int
) -> None:
    stream = GREETING + b"".join(parts)
    frames, found, fed = FrameBuffer(limit), list[bytes](), b""
    for chunk in cut(stream, sizes):
        fed += chunk
        *whole, rest = fed.removeprefix(GREETING).split(END)
        try:
            found += frames.feed(chunk)
        except AsteriskError:
            # Only a block that is really too long ends it, and all that was whole before has been given.
            assert len(rest) > limit
            assert found == whole
            return
        assert len(frames._tail) <= limit + len(chunk)
    assert found == stream.removeprefix(GREETING).split(END)[:-1]


@settings(deadline=None, max_examples=500)
@given(block=soups)
def test_no_message_is_too_strange_to_be_parsed(block: bytes) -> None:
    message = RawMessage(block, NOW)
    event = parse(message, NOW)
    assert event is None or event.at.tzinfo is not None
    assert all(isinstance(value, str) for pair in message.pairs() for value in pair)


class Pipe(asyncio.Transport):
    """A connection that takes all and sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True


@asynccontextmanager
async def logged_in() -> AsyncIterator[tuple[AmiManager, AmiProtocol, list[RawMessage]]]:
    """A protocol that hands every event it knows into a list."""
    manager = AmiManager("127.0.0.1", 1, lambda: NOW)
    protocol = manager.protocol = manager._make_protocol()
    protocol.connection_made(Pipe())
    told: list[RawMessage] = []
    for name in NAMES:
        manager.register_event(name, told.append)
    protocol.data_received(GREETING)
    yield manager, protocol, told
    manager.close()
    assert manager.lost.done()


REAL = [
    block
    for name in ("22-blind-transfer-by-callee", "22-queue", "22-attended-transfer")
    for path in FIXTURES.glob(f"{name}*/events.ami")
    for block in blocks(path)
    if any(block.startswith(b"Event: " + name.encode() + b"\r\n") for name in NAMES)
][:60]
# Noise that no caller could put into one of Asterisk's own messages: it stands between them.
noise = st.one_of(
    st.binary(max_size=80).filter(lambda data: END not in data and not data.startswith(b"Event: ")),
    st.sampled_from(
        [
            b"",
            b"Response: Success\r\nActionID: nobody\r\nMessage: late",
            b"Response: Error",
            b"Event: Unknown\r\nX: " + b"x" * 3000,
            b"Event: Unknown\r\n" + b"\r\n".join([b"Variable: a"] * 300),
            b"Event:",
            b"ActionID: 1\r\nActionID: 2",
        ]
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), sizes=cuts)
def test_every_event_that_is_whole_is_handed_on_in_its_order(data: st.DataObject, sizes: list[int]) -> None:
    wanted = data.draw(st.lists(st.sampled_from(REAL), max_size=10))
    stream = b"".join(block + END + data.draw(noise.map(lambda block: block.strip(b"\r\n") + END)) for block in wanted)

    async def fed() -> None:
        async with logged_in() as (manager, protocol, told):
            for chunk in cut(stream, sizes):
                protocol.data_received(chunk)
            assert [message.raw for message in told] == wanted
            assert not manager.lost.done()

    asyncio.run(fed())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=st.lists(st.one_of(pieces, soups.map(lambda soup: soup + END)), max_size=12), sizes=cuts)
def test_nothing_that_comes_raises(parts: list[bytes], sizes: list[int]) -> None:
    async def fed() -> None:
        async with logged_in() as (manager, protocol, told):
            for chunk in cut(b"".join(parts), sizes):
                if manager.lost.done():
                    break  # a torn event, or one without end: the connection is given up, with its reason
                protocol.data_received(chunk)
            for message in told:
                parse(message, NOW)
            if manager.lost.done():
                assert isinstance(manager.lost.result(), AsteriskError)

    asyncio.run(fed())


@pytest.mark.parametrize("junk", [b"x" * 65536, b"Output: y\r\n" * 6000, b"\r\n" * 30000, b"\0" * 65536])
async def test_a_flood_without_end_costs_no_more_than_one_message(junk: bytes) -> None:
    async with logged_in() as (manager, protocol, _):
        protocol.frames._limit = limit = 1_000_000
        tracemalloc.start()
        try:
            for _ in range(3 * limit // len(junk)):
                protocol.data_received(junk)
                if manager.lost.done():
                    break
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 * (limit + len(junk))
