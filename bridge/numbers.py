"""What the daemon's parts tell about this moment, for the metrics."""

from collections import Counter

from bridge.api.metrics import CallbackNumbers, Numbers
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.policy import ConnectionState
from bridge.books import Books
from bridge.engine import Engine
from bridge.feed.stream import Hub
from bridge.feed.webhooks import Webhooks
from bridge.keeper import Keeper


def numbers(
    connection: AmiConnection, engine: Engine, keeper: Keeper, hub: Hub, books: Books, *, webhooks: Webhooks
) -> Numbers:
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
        callbacks=_callbacks(webhooks),
    )


def _callbacks(webhooks: Webhooks) -> CallbackNumbers:
    tally = webhooks.tally()
    return CallbackNumbers(
        webhooks=Counter("enabled" if one.enabled else "disabled" for one in webhooks.all),
        waiting=tally.waiting,
        behind=webhooks.behind(),
        attempts={"delivered": tally.delivered, "failed": tally.failed},
        given_up=tally.given_up,
    )
