"""What came from Asterisk, on its way to the engine."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected, Item, Lost
from bridge.clock import SteadyClock
from bridge.core.messages import parse
from bridge.core.records import Fact, FactKind
from bridge.core.store import AppendFact
from bridge.engine import Engine, Input

_BATCH = 1000


async def pump(connection: AmiConnection, engine: Engine, clock: SteadyClock) -> None:
    """From the connection's queue into the engine's, in order."""
    while True:
        batch = await connection.next_batch(_BATCH)
        if not batch:
            return
        if engine.idle:
            clock.catch_up()
        await engine.feed([one for item in batch for one in _inputs(item, clock.ahead)])


def _inputs(item: Item, ahead: timedelta) -> Sequence[Input]:
    """`ahead` is how far our time is before the machine's, by which Asterisk says its own."""
    if isinstance(item, Connected):
        data = {"version": item.version, "restarted": item.restarted, "channels": len(item.snapshot.channels)}
        return (AppendFact(Fact(FactKind.ASTERISK_CONNECTED, item.at, data=data)), item.snapshot)
    if isinstance(item, Lost):
        data = {"code": item.code, "reason": item.reason}
        return (AppendFact(Fact(FactKind.ASTERISK_LOST, item.at, data=data)),)
    event = parse(item, item.received_at)
    if event is None:
        return ()
    return (replace(event, at=event.at + ahead) if ahead and item.header("Timestamp") else event,)
