"""Rules asked about talks that are over: by what was kept of them, which is not everything that rules can ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.core.accounts import Reason
from bridge.core.applying import Kept, may_record, remember
from bridge.core.asked import Asked, AskedTalk, KeptRules
from bridge.core.ids import Identity, RuleId
from bridge.core.matching import TalkFacts
from bridge.core.rules import RECBRIDGE, Answers, Rule, RuleSet, ask


class _Watched(dict[str, str]):
    """Variables that note which of those that were not kept are asked for."""

    def __init__(self, kept: Mapping[str, str], known: frozenset[str]) -> None:
        super().__init__(kept)
        self._known = known
        self.touched: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # texts alone
        if name not in self._known and name not in self:
            self.touched.add(name)
        return super().get(name, default)


@dataclass(frozen=True, slots=True)
class Judged:
    """What rules say to a talk. `undecided` are rules that would match but for variables that were not kept: these.

    In `answers` such a variable counts as not set.
    """

    answers: Answers
    undecided: Mapping[RuleId, tuple[str, ...]]


def judge(rules: RuleSet, talk: TalkFacts, known: frozenset[str]) -> Judged:
    """Ask rules about a talk of which these variables (plain names) were kept, where they were set."""
    watched = _Watched(talk.variables, known | {RECBRIDGE})
    talk = replace(talk, variables=watched)
    answers = ask(rules, talk)
    undecided: dict[RuleId, tuple[str, ...]] = {}
    if watched.touched:
        for placed in rules.rules:
            names: set[str] = set()
            for condition in placed.conditions:
                watched.touched.clear()
                failed = condition(talk)
                if failed is not None and not watched.touched:
                    break  # whatever the variables were
                names |= watched.touched
            else:
                if names:
                    undecided[placed.rule.id] = tuple(sorted(names))
    return Judged(answers, undecided)


def known_variables(asked: Asked, rules: RuleSet | None) -> frozenset[str]:
    """The variables of which it was kept whether they were set: those of the rules of then."""
    return rules.variables() if rules is not None else frozenset(asked.talk.variables)


def distinct(asked: Sequence[Asked]) -> list[Asked]:
    """What was asked of a talk, without what a restart asked again of the same rules."""
    found: list[Asked] = []
    for one in asked:
        if not found or (one.talk, one.rules) != (found[-1].talk, found[-1].rules):
            found.append(one)
    return found


def parsed(kept: KeptRules | None) -> RuleSet | None:
    """Kept rules, ready to be asked; None where there are none, or this version cannot read them."""
    return kept.parsed() if kept is not None else None


# What new rules would have done


@dataclass(slots=True)
class Following:
    """What once matched in a call, from talk to talk, as `bridge.core.applying` has it."""

    rules: RuleSet
    _named: dict[RuleId, frozenset[Identity]] = field(init=False)
    _recording: dict[RuleId, Kept] = field(default_factory=dict)
    _offered: dict[RuleId, Kept] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._named = {placed.rule.id: placed.users for placed in self.rules.rules}

    def talk(self, answers: Answers) -> tuple[dict[RuleId, Rule], dict[RuleId, Rule]]:
        """The rules that record the next talk by themselves, and those that users may start in it."""
        remember(self._recording, self._offered, answers, self._named)
        if answers.never:
            return {}, {}
        users = answers.talk.users
        both = {**self._offered, **self._recording}
        holding = {rule_id: one.rule for rule_id, one in both.items() if one.holds_for(users)}
        automatic = self._recording.keys() if may_record(answers) else frozenset()
        recording = {rule_id: rule for rule_id, rule in holding.items() if rule_id in automatic}
        return recording, {rule_id: rule for rule_id, rule in holding.items() if rule_id not in recording}


def seconds_of(talk: AskedTalk) -> float:
    """How long an ended talk was."""
    ended_at = talk.talk.ended_at or talk.talk.began_at
    return (ended_at - talk.talk.began_at).total_seconds()


def recorded_in(talk: AskedTalk) -> dict[RuleId, float]:
    """For how many seconds each rule was to record a talk; paused is recorded too: it could have been."""
    found: dict[RuleId, float] = {}
    for span in talk.spans:
        if span.rule_id is not None and span.reason in (None, Reason.PAUSED):
            ended_at = span.ended_at or talk.talk.ended_at or span.began_at
            seconds = max(0.0, (ended_at - span.began_at).total_seconds())
            found[span.rule_id] = found.get(span.rule_id, 0.0) + seconds
    return found
