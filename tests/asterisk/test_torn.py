"""A caller's number with line breaks: what it forges is not believed, and what is true is found all the same."""

import asyncio
from pathlib import Path

import pytest

from bridge.asterisk.inbox import Connected, Lost
from bridge.asterisk.torn import is_torn, mended
from bridge.asterisk.wire import RawMessage
from bridge.core.messages import channel_seen
from tests.asterisk.fake_server import fake_asterisk
from tests.asterisk.harness import connected, running
from tests.core.pbx import START

FIXTURES = Path(__file__).parents[2] / "fixtures"
HOSTILE = ("forged-hangup", "line-breaks")

HEAD = b"Channel: PJSIP/trunk-9\r\nChannelState: 4\r\nChannelStateDesc: Ring\r\nCallerIDNum: "
TAIL = (
    b"\r\nCallerIDName: <unknown>\r\nConnectedLineNum: <unknown>\r\nConnectedLineName: <unknown>\r\nLanguage: en"
    b"\r\nAccountCode: \r\nContext: from-trunk\r\nExten: 4930555\r\nPriority: 1\r\nUniqueid: 1.9\r\nLinkedid: 1.9"
)
FORGED = b"Event: Hangup\r\nUniqueid: 1.1\r\nCause: 16"


def event(number: bytes) -> bytes:
    return b"Event: Newchannel\r\nPrivilege: call,all\r\n" + HEAD + number + TAIL


def blocks(path: Path) -> list[bytes]:
    return [block.strip(b"\r\n") for block in path.read_bytes().split(b"\r\n\r\n")]


@pytest.mark.parametrize("folder", sorted(FIXTURES.glob("*/events.ami")), ids=lambda path: path.parent.name)
def test_of_real_captures_only_those_of_hostile_callers_are_torn(folder: Path) -> None:
    hostile = folder.parent.name.endswith(HOSTILE)
    assert any(map(is_torn, blocks(folder))) is hostile


@pytest.mark.parametrize(
    "number",
    [
        b"1\r\n\r\n" + FORGED,
        b"1\r\nUniqueid: 1.1",
        b"1\r\nContext: internal",
        b"1" + TAIL + b"\r\n\r\n" + FORGED,
        b"1\r\nLinkedid: 1.1\r\n\r\nEvent: X",
    ],
)
def test_whatever_a_number_adds_shows(number: bytes) -> None:
    pieces = event(number).split(b"\r\n\r\n")
    assert is_torn(pieces[0]) or is_torn(pieces[-1])


def test_an_untouched_event_is_not_torn() -> None:
    assert not is_torn(event(b"+4915112345"))
    assert not is_torn(event(b'"; DROP TABLE calls; --'))


def test_an_item_of_a_list_is_put_together_with_its_own_ids() -> None:
    first, *pieces = event(b"1\r\n\r\n" + FORGED + b"\r\n\r\nEvent: X\r\nUniqueid: 1.1").split(b"\r\n\r\n")
    whole = mended(first, pieces)
    assert whole is not None
    assert not is_torn(whole)
    seen = channel_seen(RawMessage(whole, START), START)
    assert seen is not None
    assert (seen.channel, seen.uniqueid, seen.exten, seen.caller_number) == ("PJSIP/trunk-9", "1.9", "4930555", "")


async def test_a_torn_event_is_the_last_of_its_connection_and_the_next_begins_with_a_snapshot() -> None:
    async with fake_asterisk() as fake, running(fake) as connection:
        await connected(connection)
        fake.emit(event(b"1\r\n\r\n" + FORGED) + b"\r\n\r\n")
        items: list[object] = []
        async with asyncio.timeout(20):
            while not any(isinstance(item, Connected) for item in items):
                items += await connection.next_batch(10)
        lost, again = items
        assert isinstance(lost, Lost)
        assert lost.code == "asterisk-message-torn"
        assert isinstance(again, Connected)


def test_the_quick_look_says_what_the_thorough_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [block for path in sorted(FIXTURES.glob("*/events.ami")) for block in blocks(path)]
    told += [
        piece for number in (b"1\r\nLinkedid: 2", b"1\r\n\r\n" + FORGED) for piece in event(number).split(b"\r\n\r\n")
    ]
    quick = [is_torn(block) for block in told]
    monkeypatch.setattr("bridge.asterisk.torn._ONCE", (b"no message has this",))
    assert [is_torn(block) for block in told] == quick
    assert 0 < sum(quick) < len(quick)
