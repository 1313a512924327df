"""What the daemon's parts tell about this moment, for the metrics."""

from collections import Counter

from bridge.api.metrics import Numbers
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.policy import ConnectionState
from bridge.books import Books
from bridge.engine import Engine
from bridge.feed.stream import Hub
from bridge.keeper import Keeper


def numbers(connection: AmiConnection, engine: Engine, keeper: Keeper, hub: Hub, books: Books) -> Numbers:
    """Of this moment."""
    recorder = engine.recorder
    return Numbers(
        calls=sum(1 for call in recorder.tracker.calls.values() if call.legs),
        talks=len(recorder.stretches),
        sections=Counter(section.state for section in recorder.sectioner.book.open()),
        asterisk_connected=connection.state is ConnectionState.CONNECTED,
        asterisk_waiting=connection.waiting,
        inbox_waiting=engine.waiting,
        changes_waiting=keeper.waiting,
        changes_lost=keeper.lost,
        streams=hub.streams,
        coverage=books.totals,
    )
