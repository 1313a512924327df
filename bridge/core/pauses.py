"""What is paused in which call, by whom, and until when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.core import calls as c
from bridge.core import errors as e
from bridge.core.decisions import Decision
from bridge.core.ids import CallId, Identity, RuleId
from bridge.core.records import Demand, FactKind, Pause
from bridge.core.rule import Pause as MayPause
from bridge.core.rule import Rule
from bridge.core.stage import Asker, Stage, active_rules, note_done, running_sections, users_on
from bridge.core.store import EndPause, PutPause


class Pauses:
    """Owns the pauses. `demands_in` tells what users have started in a call; what is to be kept goes into `out`."""

    def __init__(
        self, stage: Stage, out: list[Decision], demands_in: Callable[[c.Call], Mapping[RuleId, Demand]]
    ) -> None:
        self._stage = stage
        self._out = out
        self._demands_in = demands_in
        self._pauses: dict[CallId, dict[Identity, Pause]] = {}
        self._restored: list[Pause] = []

    # What is silent

    def in_call(self, call: c.Call) -> bool:
        """Whether anything of a call is paused."""
        return call.call_id in self._pauses

    def silent(self, call: c.Call, rule: Rule) -> bool:
        """Whether a rule is paused in a call."""
        return any(self._covers(pause, call, rule) for pause in self._pauses.get(call.call_id, {}).values())

    def _covers(self, pause: Pause, call: c.Call, rule: Rule) -> bool:
        if rule.id in pause.resumed:
            return False
        demand = self._demands_in(call).get(rule.id)
        if pause.admin:
            return True
        return demand.owner == pause.by if demand is not None else rule.pause is MayPause.USER

    def may_pause(self, asker: Asker, call: c.Call, rule: Rule) -> bool:
        """One's own recordings; automatic ones that rules let users pause, while one is on the call; admins all."""
        demand = self._demands_in(call).get(rule.id)
        if asker.admin:
            return True
        if demand is not None:
            return demand.owner == asker.identity
        return rule.pause is MayPause.USER and asker.identity in users_on(self._stage, call)

    # Pausing and resuming

    def pausable(self, call: c.Call, asker: Asker) -> dict[RuleId, Rule]:
        """The rules that record a call and that the asker may pause. Raises ControlError where a pause is refused."""
        active = active_rules(self._stage, call)
        if not active:
            raise e.NotRecordingError("nothing is recorded at the moment")
        mine = {rule_id: rule for rule_id, rule in active.items() if self.may_pause(asker, call, rule)}
        if not mine:
            raise e.PauseNotAllowedError("no rule that records this call lets you pause it", rules=sorted(active))
        if all(self.silent(call, rule) for rule in mine.values()):
            raise e.RecordPausedError("it is paused already")
        return mine

    def resumable(self, call: c.Call, asker: Asker) -> list[Pause]:
        """The pauses of a call that the asker may end. Raises ControlError where a resume is refused."""
        pauses = self._pauses.get(call.call_id)
        if not pauses:
            raise e.NotPausedError("the record is not paused")
        active = active_rules(self._stage, call)
        mine = [pause for pause in pauses.values() if self._may_resume(asker, call, pause, active)]
        if not mine:
            raise e.NotYourRecordingError("somebody else has paused it")
        return mine

    def who_paused(self, call: c.Call) -> frozenset[Identity]:
        """Those who have paused something of a call."""
        return frozenset(self._pauses.get(call.call_id, ()))

    def pause(self, call: c.Call, asker: Asker, now: datetime) -> list[RuleId]:
        """Silence what the asker may; the rules that this is about. Raises ControlError, having changed nothing."""
        mine = self.pausable(call, asker)
        stretch = next(one for one in self._stage.stretches_of(call) if one.wanted)
        record = self._stage.sectioner.record_of(stretch)
        before = self._pauses.get(call.call_id, {}).get(asker.identity)
        # What the same one has paused with an admin's token stays paused.
        admin = asker.admin or (before is not None and before.admin)
        self._keep(call, Pause(record, call.call_id, asker.identity, admin, now))
        note_done(self._stage, FactKind.RECORD_PAUSED, call, asker, mine, now=now)
        self._mute(call)
        return list(mine)

    def resume(self, call: c.Call, asker: Asker, now: datetime) -> list[RuleId]:
        """Let go on what the asker may; the rules that this is about. Raises ControlError, having changed nothing."""
        mine, active = self.resumable(call, asker), active_rules(self._stage, call)
        rules = [rule_id for rule_id, rule in active.items() if any(self._covers(pause, call, rule) for pause in mine)]
        for pause in mine:
            self._end(call, pause)
        note_done(self._stage, FactKind.RECORD_RESUMED, call, asker, rules, now=now)
        self.go_on(call, now)
        return rules

    def _may_resume(self, asker: Asker, call: c.Call, pause: Pause, active: Mapping[RuleId, Rule]) -> bool:
        if asker.admin or asker.identity == pause.by:
            return True
        covered = [rule for rule in active.values() if self._covers(pause, call, rule)]
        return not pause.admin and bool(covered) and all(self.may_pause(asker, call, rule) for rule in covered)

    def go_on(self, call: c.Call, now: datetime) -> None:
        """What is not paused any more records again: what was muted, and what had nothing begun meanwhile."""
        self._mute(call)
        sectioner = self._stage.sectioner
        for stretch in self._stage.stretches_of(call):
            sectioner.begin_missing(stretch, now)

    def _mute(self, call: c.Call) -> None:
        """What runs is silent where its rule is paused, and only there."""
        for stretch in self._stage.stretches_of(call):
            self._stage.spans.touch(stretch)
        active, muting = active_rules(self._stage, call), self._stage.sectioner.muting
        for section in running_sections(self._stage, call):
            rule = active.get(section.rule_id)
            if rule is not None:
                (muting.mute if self.silent(call, rule) else muting.unmute)(section)

    def _keep(self, call: c.Call, pause: Pause) -> None:
        pauses = self._pauses.setdefault(call.call_id, {})
        before = pauses.get(pause.by)
        if before is not None and before.record_id != pause.record_id:
            self._out.append(EndPause(before.record_id, before.by))
        pauses[pause.by] = pause
        self._out.append(PutPause(pause))

    def _end(self, call: c.Call, pause: Pause) -> None:
        pauses = self._pauses[call.call_id]
        del pauses[pause.by]
        if not pauses:
            del self._pauses[call.call_id]
        self._out.append(EndPause(pause.record_id, pause.by))

    # Time

    def wake_at(self) -> datetime | None:
        """When `tick` is wanted, if nothing happens before."""
        return min((due for call, pause in self._running() for due in self._dues(call, pause).values()), default=None)

    def tick(self, now: datetime) -> None:
        """Resume what has been paused for as long as its rule allows."""
        for call, pause in self._running():
            over = [rule_id for rule_id, due in self._dues(call, pause).items() if due <= now]
            if not over:
                continue
            resumed = replace(pause, resumed=(*pause.resumed, *over))
            self._keep(call, resumed)
            note_done(
                self._stage, FactKind.RECORD_RESUMED, call, Asker(pause.by, pause.admin, "pause_at_most"), over, now=now
            )
            self._drop_if_idle(call, resumed)
            self.go_on(call, now)

    def _running(self) -> list[tuple[c.Call, Pause]]:
        calls = self._stage.tracker.calls
        return [
            (calls[call_id], pause)
            for call_id, pauses in self._pauses.items()
            if call_id in calls
            for pause in pauses.values()
        ]

    def _dues(self, call: c.Call, pause: Pause) -> dict[RuleId, datetime]:
        """When which rule resumes by itself."""
        return {
            rule_id: pause.since + rule.pause_at_most
            for rule_id, rule in active_rules(self._stage, call).items()
            if rule.pause_at_most is not None and self._covers(pause, call, rule)
        }

    # Demands that end, calls that join and end, restarts

    def demands_ended(self, call: c.Call, now: datetime) -> None:
        """What was paused for the sake of demands alone is not paused any more."""
        for pause in list(self._pauses.get(call.call_id, {}).values()):
            self._drop_if_idle(call, pause)
        self.go_on(call, now)

    def _drop_if_idle(self, call: c.Call, pause: Pause) -> None:
        """A pause that holds nothing back any more, in this talk or a later one, is over."""
        if not any(self._covers(pause, call, rule) for rule in self._stage.applies.recording_in(call)):
            self._end(call, pause)

    def joined(self, call: c.Call, gone: c.Call, losers: frozenset[Identity]) -> None:
        """Two calls are one: what was paused in either is paused.

        `losers` had started what another now owns: what they had paused of it must stay silent, so all of it does.
        """
        for by, pause in self._pauses.pop(gone.call_id, {}).items():
            self._out.append(EndPause(pause.record_id, by))
            other = self._pauses.get(call.call_id, {}).get(by, pause)
            both = replace(
                pause,
                record_id=call.record_id or other.record_id,
                call_id=call.call_id,
                admin=pause.admin or other.admin or by in losers,
                since=max(pause.since, other.since),
                resumed=tuple(rule_id for rule_id in pause.resumed if rule_id in other.resumed),
            )
            self._keep(call, both)
        if self.in_call(call):
            self._mute(call)

    def over(self, call: c.Call) -> None:
        """The call is over."""
        for pause in self._pauses.pop(call.call_id, {}).values():
            self._out.append(EndPause(pause.record_id, pause.by))

    def restore(self, pauses: Sequence[Pause]) -> None:
        """Take in what an earlier run kept, before the first snapshot."""
        self._restored = list(pauses)

    def know_again(self, *, all_known: bool) -> None:
        """What belongs to a call that goes on holds; the rest is over once all calls are known."""
        pauses, self._restored = self._restored, []
        for pause in pauses:
            call = self._stage.tracker.call_of(pause.call_id)
            if call is None and all_known:
                self._out.append(EndPause(pause.record_id, pause.by))
            elif call is None:
                self._restored.append(pause)
            else:
                call.record_id = call.record_id or pause.record_id
                self._pauses.setdefault(call.call_id, {})[pause.by] = pause
