"""Reads captures: what AMI said, byte for byte, in a file."""

from collections.abc import Iterator
from datetime import UTC, datetime

from bridge.asterisk.wire import FrameBuffer, RawMessage
from bridge.core.errors import BadInputError, Problem
from bridge.core.messages import asterisk_time, parse
from bridge.core.people import People
from bridge.core.replay import Replay, Replayed
from bridge.core.rules import RuleSet

_NEVER = datetime.fromtimestamp(0, UTC)
MAX_BYTES = 256 * 1024 * 1024
"""The longest capture that is read."""


def read_messages(content: bytes, name: str) -> list[RawMessage]:
    """The events of a capture, each with its time: its own Timestamp, else that of the event before it.

    A capture is what a manager session was sent: banner and answers to actions are passed over, and so is an event
    that is cut off at the end. Raises BadInputError for what is none, or has no Timestamps.
    """
    if b"\r\n" not in content:
        content = content.replace(b"\n", b"\r\n")  # an editor or mailer has been at it
    # TestEvent ends in two blank lines (measured).
    framed = (block.removeprefix(b"\r\n") for block in FrameBuffer(MAX_BYTES).feed(content))
    blocks = [block for block in framed if block.startswith(b"Event: ")]
    if not blocks:
        raise BadInputError((Problem(name, 1, 1, "is no capture: it holds no event of Asterisk's manager interface"),))
    first = next((at for at in (_time(block) for block in blocks) if at is not None), None)
    if first is None:
        words = "has no Timestamps: set timestampevents=yes in manager.conf and capture anew"
        raise BadInputError((Problem(name, 1, 1, words),))
    return list(_timed(blocks, first))


def _time(block: bytes) -> datetime | None:
    at = asterisk_time(RawMessage(block, _NEVER), _NEVER)
    return at if at is not _NEVER else None


def _timed(blocks: list[bytes], at: datetime) -> Iterator[RawMessage]:
    for block in blocks:
        at = _time(block) or at
        yield RawMessage(block, at)


def replay(messages: list[RawMessage], rules: RuleSet, people: People) -> Replayed:
    """What these rules would have recorded of a capture."""
    run = Replay(rules, people)
    for message in messages:
        event = parse(message, message.received_at)
        if event is not None:
            run.take(event)
    return run.result
