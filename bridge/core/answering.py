"""Commands that wait until Asterisk has confirmed, and the answers to them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from bridge.core import calls as c
from bridge.core.book import SectionBook
from bridge.core.commands import ANSWER_WITHIN_S, CommandNumber, Done, Refused, Verb
from bridge.core.decisions import Decision
from bridge.core.errors import ControlError, NotConfirmedError, NotRecordingError, TalkOverError
from bridge.core.ids import RuleId, SectionKey
from bridge.core.muting import Muting
from bridge.core.records import Section, SectionState
from bridge.core.sectioner import Stretch
from bridge.core.sections import RUNNING
from bridge.core.stage import Asker

_OPEN = frozenset({SectionState.REQUESTED, *RUNNING, SectionState.STOPPING})

Outcome = ControlError | bool
"""What to answer: an error, or True for well done; False while nothing is known yet."""


class _Effects(Protocol):
    """What follows where Asterisk has not confirmed."""

    def not_confirmed(
        self, verb: Verb, channel: c.Channel, asker: Asker, error: ControlError, now: datetime
    ) -> None: ...
    def start_failed(self, call: c.Call, rules: list[RuleId], now: datetime) -> None: ...
    def stop_unconfirmed(self, sections: list[Section], now: datetime) -> None: ...
    def is_paused(self, call: c.Call, rule_id: RuleId) -> bool: ...
    def paused_at_all(self, call: c.Call) -> bool: ...
    def demanded(self, call: c.Call) -> frozenset[RuleId]: ...


@dataclass(slots=True, eq=False)
class Waiting:
    """A command under way; a key that was pressed has no number.

    `rules` are those that it is about, `stretch` the talk of a start, `seen` its sections, as they were last.

    Of a pause `silenced` are those that have fallen silent, `doubtful` whether one has not, as far as is known.
    """

    verb: Verb
    number: CommandNumber | None
    channel: c.Channel
    asker: Asker
    stretch: Stretch | None
    rules: list[RuleId]
    began_at: datetime
    seen: dict[SectionKey, Section] = field(default_factory=dict)
    silenced: set[SectionKey] = field(default_factory=set)
    doubtful: bool = False

    @property
    def answer_by(self) -> datetime:
        """When it has waited for long enough."""
        return self.began_at + timedelta(seconds=ANSWER_WITHIN_S)

    @property
    def call(self) -> c.Call:
        """The call that it belongs to now."""
        return self.channel.call


class Answering:
    """Holds the commands that are not answered yet, and looks after each event whether they can be."""

    def __init__(self, effects: _Effects, book: SectionBook, muting: Muting, out: list[Decision]) -> None:
        self._effects = effects
        self._book = book
        self._muting = muting
        self._out = out
        self._waiting: list[Waiting] = []
        self._look: dict[Verb, Callable[[Waiting, bool, datetime], Outcome]] = {
            Verb.START: self._started,
            Verb.STOP: self._stopped,
            Verb.PAUSE: self._paused,
            Verb.RESUME: self._resumed,
        }

    def wake_at(self) -> datetime | None:
        """When the first of them has waited for long enough."""
        return min((one.answer_by for one in self._waiting), default=None)

    def wait(self, one: Waiting) -> None:
        """Something was begun with."""
        if one.verb is not Verb.START:
            one.seen = self._sections(one, _OPEN)
        self._waiting.append(one)

    def _sections(self, one: Waiting, states: Collection[SectionState]) -> dict[SectionKey, Section]:
        """The sections of its rules that are in one of these states."""
        on_legs = (section for leg in one.call.channels for section in self._book.on_leg(leg))
        return {section.key: section for section in on_legs if section.rule_id in one.rules and section.state in states}

    def look(self, now: datetime) -> None:
        """Answer what can be answered."""
        for one in list(self._waiting):
            outcome = self._look[one.verb](one, now >= one.answer_by, now)
            self._refresh(one)
            if outcome is False:
                continue
            self._waiting.remove(one)
            self._tell(one, outcome, now)

    def _tell(self, one: Waiting, outcome: ControlError | Literal[True], now: datetime) -> None:
        if outcome is not True:
            if one.number is None:
                self._effects.not_confirmed(one.verb, one.channel, one.asker, outcome, now)
            else:
                self._out.append(Refused(one.number, outcome))
        elif one.number is not None:
            sections = sorted(one.seen.values(), key=lambda section: (section.rule_id, section.file))
            self._out.append(Done(one.number, tuple(sections)))

    def _refresh(self, one: Waiting) -> None:
        """Its sections as they are now, but for those that came to nothing."""
        now = {key: self._book.get(key) for key in one.seen}
        one.seen = {
            key: now[key] or section
            for key, section in one.seen.items()
            if now[key] is not None or section.state is SectionState.CLOSED
        }

    def _still(self, one: Waiting, *states: SectionState) -> list[Section]:
        """Its sections that are in one of these states."""
        return [section for key in one.seen if (section := self._book.get(key)) is not None and section.state in states]

    def _started(self, one: Waiting, late: bool, now: datetime) -> Outcome:
        stretch = one.stretch
        if stretch is None:
            return TalkOverError("the talk is over")
        keys = {key.rule_id: key for key in one.seen}
        runs, failed, waits = [], [], []
        for rule_id in one.rules:
            key = stretch.sections.get(rule_id) or keys.get(rule_id)
            section = self._book.get(key) if key is not None else None
            if key is not None and section is not None:
                one.seen.setdefault(key, section)
            if section is not None and section.state in RUNNING:
                runs.append(rule_id)
            elif section is not None and section.state is SectionState.REQUESTED:
                waits.append(rule_id)
            elif key is None and stretch.talk.parties and rule_id in stretch.wanted:
                waits.append(rule_id)  # for a leg that will hear both sides
            else:
                failed.append(rule_id)
        if waits and not late:
            return False
        wanted = self._effects.demanded(one.call)
        if failed or waits:
            self._effects.start_failed(one.call, [*failed, *waits], now)
        if failed and not waits and not runs and all(rule_id not in wanted for rule_id in failed):
            return NotRecordingError("it was stopped before it began")
        if runs:
            one.seen = {key: section for key, section in one.seen.items() if key in stretch.sections.values()}
            return True
        if not stretch.talk.parties:
            return TalkOverError("the talk ended before the recording began")
        return NotConfirmedError("Asterisk did not start the recording")

    def _stopped(self, one: Waiting, late: bool, now: datetime) -> Outcome:  # noqa: ARG002  # one shape for the table
        if not self._still(one, *_OPEN):
            return True
        return NotConfirmedError("Asterisk did not confirm: it may write on for a while") if late else False

    def _paused(self, one: Waiting, late: bool, now: datetime) -> Outcome:
        one.silenced |= {section.key for section in self._still(one, SectionState.PAUSED)}
        one.doubtful |= any(self._muting.is_unsure(key) for key in one.seen)
        loud = [
            section
            for section in self._still(one, SectionState.REQUESTED, SectionState.RECORDING)
            if section.key not in one.silenced and self._effects.is_paused(one.call, section.rule_id)
        ]
        # One that was to stop anyway may write on until Asterisk has stopped it.
        ending = [section for section in self._still(one, SectionState.STOPPING) if section.key not in one.silenced]
        if late:
            self._effects.stop_unconfirmed(loud, now)
            one.doubtful |= bool(loud or ending)
        elif loud or (ending and not one.doubtful and self._effects.paused_at_all(one.call)):
            return False
        if one.doubtful:
            return NotConfirmedError("Asterisk did not confirm the pause: the recording is stopped")
        if self._still(one, SectionState.RECORDING) and not one.silenced:
            return NotConfirmedError("the pause was over before Asterisk had confirmed it")
        return True

    def _resumed(self, one: Waiting, late: bool, now: datetime) -> Outcome:  # noqa: ARG002  # one shape for the table
        one.seen |= self._sections(one, {SectionState.REQUESTED, *RUNNING})
        waits = self._still(one, SectionState.PAUSED, SectionState.REQUESTED)
        if all(self._effects.is_paused(one.call, section.rule_id) for section in waits):
            return True
        return NotConfirmedError("Asterisk did not confirm that the recording goes on") if late else False
