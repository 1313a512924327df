"""What the daemon's parts tell about this moment, for the metrics."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bridge.api.numbers import CallbackNumbers, KeepingNumbers, Numbers, WaitingNumbers
from bridge.asterisk.connection import AmiConnection
from bridge.backlog import Backlog
from bridge.books import Books
from bridge.core.calls import Call
from bridge.core.space import LowSpace
from bridge.engine import Engine
from bridge.feed.stream import Hub
from bridge.feed.webhooks import Webhooks
from bridge.housekeeping import Housekeeping
from bridge.keeper import Keeper
from bridge.loop_lag import LoopLag
from bridge.mail import Mailer
from bridge.spool_watch import SpoolWatch


@dataclass(frozen=True, slots=True)
class Parts:
    """Whom to ask."""

    connection: AmiConnection
    engine: Engine
    keeper: Keeper
    intents_bytes: Callable[[], int]
    hub: Hub
    books: Books
    webhooks: Webhooks
    housekeeping: Housekeeping
    backlog: Backlog
    mailer: Mailer
    disk: SpoolWatch
    low_space: LowSpace
    loop_lag: LoopLag
    clock: Callable[[], datetime]


def numbers(parts: Parts) -> Numbers:
    """Of this moment. Asks nobody who could keep it waiting: neither the database nor a disk."""
    connection, engine, keeper, recorder = parts.connection, parts.engine, parts.keeper, parts.engine.recorder
    space = parts.disk.look.space
    return Numbers(
        calls=sum(map(_has_leg, recorder.tracker.calls.values())),
        talks=len(recorder.stretches),
        sections=Counter((section.rule_id, section.state) for section in recorder.sectioner.book.open()),
        rules=[placed.rule.id for placed in recorder.rules.rules],
        asterisk=str(connection.state),
        asterisk_version=connection.version,
        asterisk_waiting=connection.waiting,
        inbox_waiting=engine.waiting,
        changes_waiting=keeper.waiting,
        bounds={"asterisk": connection.bound, "inbox": engine.bound, "database": keeper.bound},
        changes_lost=keeper.lost,
        streams=parts.hub.streams,
        spool_low_bytes=None if space is None else parts.low_space.of(space),
        metered=engine.metered(),
        coverage=parts.books.totals,
        callbacks=_callbacks(parts.webhooks),
        keeping=_keeping(parts),
        waiting=_waiting(parts),
        loop_lag=parts.loop_lag.late,
    )


def _has_leg(call: Call) -> bool:
    return any(not channel.local for channel in call.channels.values())


def _callbacks(webhooks: Webhooks) -> CallbackNumbers:
    tally = webhooks.tally()
    return CallbackNumbers(
        webhooks=Counter("enabled" if one.enabled else "disabled" for one in webhooks.all),
        waiting=tally.waiting,
        behind=webhooks.behind(),
        attempts={"delivered": tally.delivered, "failed": tally.failed},
        given_up=tally.given_up,
    )


def _keeping(parts: Parts) -> KeepingNumbers:
    keeper, housekeeping = parts.keeper, parts.housekeeping
    done_at = housekeeping.done_at
    return KeepingNumbers(
        commits=keeper.commits,
        commit_failures=keeper.failures,
        intents_bytes=parts.intents_bytes(),
        deleted_sections=housekeeping.deleted.count,
        deleted_bytes=housekeeping.deleted.size_bytes,
        deleted_calls=housekeeping.deleted_calls,
        failures=housekeeping.failures,
        done_at_s=None if done_at is None else done_at.timestamp(),
    )


def _waiting(parts: Parts) -> WaitingNumbers:
    oldest_at = parts.backlog.oldest_at
    return WaitingNumbers(
        exports=parts.backlog.exports,
        oldest_export_s=0.0 if oldest_at is None else max(0.0, (parts.clock() - oldest_at).total_seconds()),
        mails=parts.mailer.waiting,
        mails_given_up=parts.mailer.given_up,
    )
