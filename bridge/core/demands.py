"""Which rules users have started in which call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.core import calls as c
from bridge.core.decisions import Decision
from bridge.core.ids import CallId, Identity, RecordId, RuleId
from bridge.core.records import Demand
from bridge.core.store import EndDemand, PutDemand
from bridge.core.tracker import CallTracker


class Demands:
    """Owns the demands. What is to be kept goes into `out`."""

    def __init__(self, tracker: CallTracker, out: list[Decision]) -> None:
        self._tracker = tracker
        self._out = out
        self._demands: dict[CallId, dict[RuleId, Demand]] = {}
        self._restored: list[Demand] = []

    def in_call(self, call: c.Call) -> Mapping[RuleId, Demand]:
        """What users have started in a call."""
        return self._demands.get(call.call_id, {})

    def put(self, call: c.Call, record_id: RecordId, rule_id: RuleId, owner: Identity, now: datetime) -> None:
        """A user has started a rule."""
        self._keep(call, Demand(record_id, rule_id, call.call_id, owner, now))

    def _keep(self, call: c.Call, demand: Demand) -> None:
        self._demands.setdefault(call.call_id, {})[demand.rule_id] = demand
        self._out.append(PutDemand(demand))

    def end(self, call: c.Call, rule_id: RuleId) -> None:
        """Nobody wants it any more."""
        demand = self._demands.get(call.call_id, {}).pop(rule_id, None)
        if demand is not None:
            self._out.append(EndDemand(demand.record_id, rule_id))

    def joined(self, call: c.Call, gone: c.Call) -> frozenset[Identity]:
        """Two calls are one: what was started in either goes on. Gives those whose recording is another's now."""
        losers = set()
        for rule_id, demand in self._demands.pop(gone.call_id, {}).items():
            self._out.append(EndDemand(demand.record_id, rule_id))
            other = self.in_call(call).get(rule_id)
            if other is None:
                record = call.record_id or demand.record_id
                self._keep(call, replace(demand, record_id=record, call_id=call.call_id))
            elif other.owner != demand.owner:
                losers.add(demand.owner)
        return frozenset(losers)

    def over(self, call: c.Call) -> None:
        """The call is over."""
        for demand in self._demands.pop(call.call_id, {}).values():
            self._out.append(EndDemand(demand.record_id, demand.rule_id))

    def restore(self, demands: Sequence[Demand]) -> None:
        """Take in what an earlier run kept, before the first snapshot."""
        self._restored = list(demands)

    def know_again(self, *, all_known: bool) -> None:
        """What belongs to a call that goes on holds; the rest is over once all calls are known."""
        demands, self._restored = self._restored, []
        for demand in demands:
            call = self._tracker.call_of(demand.call_id)
            if call is None and all_known:
                self._out.append(EndDemand(demand.record_id, demand.rule_id))
            elif call is None:
                self._restored.append(demand)
            else:
                call.record_id = call.record_id or demand.record_id
                self._demands.setdefault(call.call_id, {})[demand.rule_id] = demand
