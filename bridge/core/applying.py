"""Which rules apply to a talk: those that match it, and those that matched the call once and follow it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core import calls as c
from bridge.core import journal
from bridge.core.accounts import Reason
from bridge.core.consultation import is_consultation
from bridge.core.ids import CallId, Identity, RuleId
from bridge.core.kept import KeptRule
from bridge.core.people import People
from bridge.core.records import Demand
from bridge.core.rule import RULE_ZERO
from bridge.core.rules import Answers, Follow, RecordMode, Rule, RuleSet, TalkFacts
from bridge.core.tracker import CallTracker


@dataclass(frozen=True, slots=True)
class Kept:
    """A rule that once matched in a call. With `follow: user` it holds while one of `users` is in the talk."""

    rule: Rule
    users: frozenset[Identity]

    def with_users_of(self, other: "Kept") -> "Kept":
        """This rule, which holds for the users of both."""
        return Kept(self.rule, self.users | other.users)

    def holds_for(self, users: frozenset[Identity]) -> bool:
        """Whether it applies to a talk of these users."""
        return self.rule.follow is Follow.CALL or not self.users.isdisjoint(users)


@dataclass(frozen=True, slots=True)
class Applying:
    """The rules that record a talk now, and who owns those started on demand; those that users may start, and which.

    `why_not` says why rules that hold for the call do not record this talk, where that is so. `reasons` say it of each
    rule that has to do with the call and does not record; under None where there is no rule at all.
    """

    wanted: dict[RuleId, Rule]
    owners: dict[RuleId, Identity]
    offered: dict[RuleId, tuple[Rule, frozenset[Identity]]]
    why_not: str | None = None
    reasons: Mapping[RuleId | None, Reason] = field(default_factory=dict)


def may_record(answers: Answers) -> bool:
    """Whether rules may record by themselves: not against a `never`, nor where the variable says on-demand."""
    return not answers.never and answers.variable is not RecordMode.ON_DEMAND


def remember(
    recording: dict[RuleId, Kept],
    offered: dict[RuleId, Kept],
    answers: Answers,
    named: Mapping[RuleId, frozenset[Identity]],
) -> None:
    """Keep what matches a talk, whether or not a `never` beats it for now; `named` are whom rules name."""
    never = bool(answers.never)
    users = answers.talk.users
    for kept, rules in (
        (recording, answers.recording or (answers.matching(RecordMode.ALWAYS) if never else ())),
        (offered, answers.offered or (answers.matching(RecordMode.ON_DEMAND) if never else ())),
    ):
        for rule in rules:
            now = Kept(rule, named.get(rule.id, frozenset()) & users)
            before = kept.get(rule.id)
            kept[rule.id] = now.with_users_of(before) if before is not None else now


class Applies:
    """Remembers what has matched in each call. `demands_in` tells what users have started in one."""

    def __init__(
        self, tracker: CallTracker, people: People, demands_in: Callable[[c.Call], Mapping[RuleId, Demand]]
    ) -> None:
        self._tracker = tracker
        self._people = people
        self._demands_in = demands_in
        self._named: dict[RuleId, frozenset[Identity]] = {}
        self._rules: dict[RuleId, Rule] = {}
        self._recording: dict[CallId, dict[RuleId, Kept]] = {}
        self._offered: dict[CallId, dict[RuleId, Kept]] = {}

    def use_rules(self, rules: RuleSet, people: People) -> None:
        """New rules and users."""
        self._people = people
        self._named = {placed.rule.id: placed.users for placed in rules.rules}
        self._rules = {RULE_ZERO.id: RULE_ZERO, **{placed.rule.id: placed.rule for placed in rules.rules}}

    def remember(self, call: c.Call, answers: Answers) -> None:
        """A talk begins: what matches it is kept, whether or not a `never` beats it for now."""
        recording = self._recording.setdefault(call.call_id, {})
        remember(recording, self._offered.setdefault(call.call_id, {}), answers, self._named)

    def joined(self, call: c.Call, gone: c.Call) -> None:
        """Two calls are one."""
        for rules in (self._recording, self._offered):
            for rule_id, one in rules.pop(gone.call_id, {}).items():
                kept = rules.setdefault(call.call_id, {})
                other = kept.get(rule_id)
                kept[rule_id] = other.with_users_of(one) if other is not None else one

    def kept(self, call: c.Call) -> tuple[KeptRule, ...]:
        """What has matched in a call, to be kept over a restart."""
        return tuple(
            KeptRule(rule_id, tuple(sorted(one.users)), recording)
            for rules, recording in ((self._recording, True), (self._offered, False))
            for rule_id, one in rules.get(call.call_id, {}).items()
        )

    def restore(self, call: c.Call, kept: Sequence[KeptRule]) -> None:
        """Take in what matched in a call of an earlier run, as far as there are such rules still."""
        for one in kept:
            rule = self._rules.get(one.rule_id)
            if rule is not None:
                rules = self._recording if one.recording else self._offered
                rules.setdefault(call.call_id, {})[one.rule_id] = Kept(rule, frozenset(one.users))

    def over(self, call: c.Call) -> None:
        """The call is over."""
        self._recording.pop(call.call_id, None)
        self._offered.pop(call.call_id, None)

    def recording_in(self, call: c.Call) -> list[Rule]:
        """The rules that record a call, or would in another of its talks."""
        recording, offered = self._recording.get(call.call_id, {}), self._offered.get(call.call_id, {})
        demands = self._demands_in(call)
        return [one.rule for rule_id, one in {**offered, **recording}.items() if rule_id in {*recording, *demands}]

    def to(self, talk: c.Talk, call: c.Call, answers: Answers) -> Applying:
        """What applies to a talk with the parties that it has now; `answers` are those of its beginning."""
        recording, offered = self._recording.get(call.call_id, {}), self._offered.get(call.call_id, {})
        if answers.never:
            return Applying({}, {}, {}, reasons=_never({**offered, **recording}, answers))
        users = frozenset(journal.identities(list(talk.parties.values()), self._people))
        holding = {rule_id: one.rule for rule_id, one in {**offered, **recording}.items() if one.holds_for(users)}
        why_not: str | None = None
        consulting = [rule_id for rule_id, rule in holding.items() if not rule.consultation]
        if consulting and is_consultation(talk, self._tracker, self._people):
            holding = {rule_id: rule for rule_id, rule in holding.items() if rule_id not in consulting}
            why_not = f"consultation, not wanted by rule {', '.join(map(str, sorted(consulting)))}"
        automatic = recording.keys() if may_record(answers) else frozenset()
        demands = self._demands_in(call)
        wanted = {rule_id: rule for rule_id, rule in holding.items() if rule_id in automatic or rule_id in demands}
        return Applying(
            wanted=wanted,
            owners={rule_id: demands[rule_id].owner for rule_id in wanted if rule_id not in automatic},
            offered={
                rule_id: (rule, may)
                for rule_id, rule in holding.items()
                if rule_id not in automatic and (may := self._may_start(rule, users, answers.talk))
            },
            why_not=why_not,
            reasons={
                rule_id: _reason(one, users, consulting=rule_id in consulting and why_not is not None)
                for rule_id, one in {**offered, **recording}.items()
                if rule_id not in wanted
            }
            or ({} if wanted else {None: Reason.NO_RULE}),
        )

    def _may_start(self, rule: Rule, users: frozenset[Identity], talk: TalkFacts) -> frozenset[Identity]:
        """Who of the users in a talk may start an on-demand rule: those whom its conditions name, else all of them."""
        may = users & self._named.get(rule.id, frozenset()) if rule.when.names_users else users
        if rule.when.wants_online:
            directory = self._people.directory
            may = frozenset(user for user in may if talk.flags_of(user, directory).online_call_record_enabled)
        return may


def _never(kept: Mapping[RuleId, Kept], answers: Answers) -> dict[RuleId | None, Reason]:
    """Nothing is recorded: by the variable, or by those rules that say `never`."""
    if answers.variable is not None:
        return dict.fromkeys(kept or (None,), Reason.VARIABLE)
    return dict.fromkeys((*kept, *(rule.id for rule in answers.never)), Reason.NEVER)


def _reason(kept: Kept, users: frozenset[Identity], *, consulting: bool) -> Reason:
    if not kept.holds_for(users):
        return Reason.FOLLOW
    if consulting:
        return Reason.CONSULTATION
    # A rule that records by itself does not only where the variable says that users may.
    return Reason.VARIABLE if kept.rule.record is RecordMode.ALWAYS else Reason.ON_DEMAND
