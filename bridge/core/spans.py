"""Notes what holds for each rule of each talk, and since when: to be recorded, or why not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.core import calls as c
from bridge.core.accounts import Reason, Span, TalkAccount
from bridge.core.decisions import Decision
from bridge.core.ids import CallId, RuleId, TalkId
from bridge.core.rule import Rule
from bridge.core.sectioner import Stretch
from bridge.core.store import JoinTalks, PutSpan, PutTalk


@dataclass(slots=True)
class _Open:
    """A talk that goes on: what holds for which rule now, and how many spans it has had."""

    talk: TalkAccount
    spans: dict[RuleId | None, Span] = field(default_factory=dict)
    count: int = 0


class Spans:
    """Owns the accounts of running talks; what is to be kept goes into `out`.

    Whoever changes what holds for a stretch touches it; `look` then compares once for each event, and only those.
    `silent(call, rule)` says whether a rule is paused in a call.
    """

    def __init__(self, out: list[Decision], silent: Callable[[c.Call, Rule], bool]) -> None:
        self._out = out
        self._silent = silent
        self._open: dict[TalkId, _Open] = {}
        self._touched: dict[TalkId, Stretch] = {}
        self._ended: dict[TalkId, CallId] = {}

    def touch(self, stretch: Stretch) -> None:
        """What holds for a talk may have changed; the time before one (a negative number) is not accounted for."""
        if stretch.talk.number > 0:
            self._touched[stretch.talk.talk_id] = stretch

    def end(self, talk: c.Talk, call: c.Call) -> None:
        """A talk of a call is over."""
        talk_id = talk.talk_id
        self._touched.pop(talk_id, None)
        self._ended[talk_id] = call.call_id

    def joined(self, call: c.Call, gone: c.Call) -> None:
        """Two calls are one. What is known already to have ended, in one snapshot, is not written yet."""
        for talk_id in [talk_id for talk_id, of in self._ended.items() if of == gone.call_id]:
            self._ended[talk_id] = call.call_id
        if any(channel.talked_with for channel in gone.channels.values()):
            self._out.append(JoinTalks(call.call_id, gone.call_id))

    def look(self, at: datetime) -> None:
        """The event of this time is dealt with: keep what is different now."""
        if self._touched:
            for stretch in self._touched.values():
                if stretch.talk.parties:
                    self._compare(stretch, at)
            self._touched.clear()
        if self._ended:
            for talk_id, call_id in self._ended.items():
                self._close(talk_id, call_id, at)
            self._ended.clear()

    def _compare(self, stretch: Stretch, at: datetime) -> None:
        talk, call = stretch.talk, stretch.call
        opened = self._open.get(talk.talk_id)
        if opened is None:
            at = talk.began_at
            opened = self._open[talk.talk_id] = _Open(TalkAccount(talk.talk_id, call.call_id, at))
            self._out.append(PutTalk(opened.talk))
        now = self._statuses(stretch, call)
        for rule_id, span in list(opened.spans.items()):
            if rule_id not in now or now[rule_id] is not span.reason:
                self._out.append(PutSpan(replace(span, ended_at=max(at, span.began_at))))
                del opened.spans[rule_id]
        for rule_id, reason in now.items():
            if rule_id not in opened.spans:
                opened.count += 1
                span = Span(talk.talk_id, opened.count, rule_id, reason, max(at, talk.began_at))
                opened.spans[rule_id] = span
                self._out.append(PutSpan(span))

    def _statuses(self, stretch: Stretch, call: c.Call) -> Mapping[RuleId | None, Reason | None]:
        """What holds for each rule: None is to be recorded."""
        wanted: dict[RuleId | None, Reason | None] = {
            rule_id: Reason.PAUSED if self._silent(call, rule) else None for rule_id, rule in stretch.wanted.items()
        }
        return {**stretch.reasons, **wanted}

    def _close(self, talk_id: TalkId, call_id: CallId, at: datetime) -> None:
        """Its last spans end with it. Its call may be another one by now."""
        opened = self._open.pop(talk_id, None)
        if opened is not None:
            ended_at = max(at, opened.talk.began_at)
            self._out.append(PutTalk(replace(opened.talk, call_id=call_id, ended_at=ended_at)))

    # Restarts

    def restore(self, talks: Sequence[TalkAccount], spans: Sequence[Span]) -> None:
        """Take in the talks that went on when they were seen last, with all their spans."""
        self._open = {talk.talk_id: _Open(talk) for talk in talks}
        for span in spans:
            opened = self._open[span.talk_id]
            opened.count = max(opened.count, span.number)
            if span.ended_at is None:
                opened.spans[span.rule_id] = span

    def know_again(self, talks: Iterable[c.Talk], seen_at: datetime) -> None:
        """These talks go on as far as anybody knows; all others of before ended when something was seen last."""
        for talk_id in self._open.keys() - {talk.talk_id for talk in talks}:
            self._close(talk_id, self._open[talk_id].talk.call_id, seen_at)
