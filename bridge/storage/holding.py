"""Sets and releases legal holds, for the command and the API alike."""

from collections.abc import Sequence
from pathlib import Path

from bridge.core.records import Fact, FactKind
from bridge.core.retention import Hold, Target
from bridge.core.store import AppendFact, PutHold
from bridge.storage.database import SqliteStore
from bridge.storage.traces import rows_of
from bridge.storage.turns import BATCH_WAIT_S, batch_turn


class SqliteHolding:
    """A `bridge.core.call_details.Holding`; `wait_s` is how long it waits for a batch of deletions to be done."""

    def __init__(self, store: SqliteStore, database: Path, wait_s: float = BATCH_WAIT_S) -> None:
        self._store = store
        self._database = database
        self._wait_s = wait_s

    async def holds(self) -> Sequence[Hold]:
        """All that were ever set, oldest first. Raises StoreError."""
        return await self._store.holds()

    async def put(self, hold: Hold) -> None:
        """Set a hold, or release one that was set: what it covers was deleted before it, or is not. Raises StoreError.

        A release of what another has released meanwhile changes nothing.
        """
        async with batch_turn(self._database, self._wait_s):
            known = {one.id: one for one in await self._store.holds()}
            if hold.id in known and known[hold.id].released_at is not None:
                return
            await self._store.commit([PutHold(hold), AppendFact(_fact(hold))])

    async def unknown(self, target: Target) -> list[str]:
        """What nothing is known of yet: an id with a slip in it would hold nothing, and nobody would see it.

        Raises StoreError.
        """
        unknown = []
        if target.record_id is not None and not await self._store.sections_of(target.record_id):
            unknown.append(f"record {target.record_id}")
        if target.call_id is not None:
            rows = await rows_of(self._store, target.call_id)
            if not (rows.cdrs or rows.sections or rows.runs):
                unknown.append(f"call {target.call_id}")
        return unknown


def _fact(hold: Hold) -> Fact:
    released = hold.released_at is not None
    who, why = (hold.released_by, hold.released_why) if released else (hold.who, hold.why)
    target = hold.target
    named = {"number": target.number, "identity": target.identity}
    return Fact(
        kind=FactKind.HOLD_RELEASED if released else FactKind.HOLD_SET,
        at=hold.released_at or hold.set_at,
        record_id=target.record_id,
        data={
            "hold": hold.id,
            "call": target.call_id,
            "from": None if target.since is None else target.since.isoformat(),
            "until": None if target.until is None else target.until.isoformat(),
        },
        personal={"who": who, "words": why, **{name: value for name, value in named.items() if value is not None}},
    )
