"""Rules of a folder, and the one function that asks them (`ask`). Daemon, commands and tests all ask here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.core.conditions import Direction, When
from bridge.core.document import Loaded, in_order, load
from bridge.core.errors import BadInputError, Problem
from bridge.core.ids import Identity
from bridge.core.matching import Condition, Failed, TalkFacts, conditions_of, first_failed
from bridge.core.people import Directory
from bridge.core.rule import (
    RECBRIDGE,
    RULE_ZERO,
    Channels,
    Follow,
    Pause,
    RecordMode,
    Rule,
    RulesFile,
    Start,
)

__all__ = [
    "RECBRIDGE", "RULE_ZERO", "Answer", "Answers", "Channels", "Direction", "Failed", "Follow", "Pause", "PlacedRule",
    "RecordMode", "Rule", "RuleSet", "RulesFile", "Start", "TalkFacts", "When", "ask", "load_rules", "parse_rules",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule, where it stands, and its conditions in the order in which they are written, ready to be asked.

    `users` are those whom `when` names: whom `follow: user` follows.
    """

    rule: Rule
    file: str
    line: int
    conditions: tuple[Condition, ...]
    users: frozenset[Identity]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of a folder, in the order of files and lines."""

    rules: tuple[PlacedRule, ...] = ()

    def variables(self) -> frozenset[str]:
        """The channel variables to know of, by their plain names: RECBRIDGE, and those in conditions."""
        return frozenset({RECBRIDGE}).union(*(placed.rule.when.variables for placed in self.rules))


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rule says to a talk: `failed` is the first condition that failed, in the order written."""

    rule: Rule
    failed: Failed | None = None

    @property
    def matched(self) -> bool:
        """Whether all its conditions hold."""
        return self.failed is None

    @property
    def reason(self) -> str | None:
        """In words what failed; it holds names and numbers of people."""
        return str(self.failed) if self.failed is not None else None


@dataclass(frozen=True, slots=True)
class Answers:
    """What all rules say to a talk. `recording` and `offered` are empty where a `never` matches.

    `variable` is what RECBRIDGE says, where it says something. With `always` the rules `always` and `on-demand` that
    match are all in `recording`, with `on-demand` all in `offered`, with RULE_ZERO where there is none, whatever
    `never` matches; with `never` nothing is recorded, and RULE_ZERO stands for it in `never`.
    """

    talk: TalkFacts
    answers: tuple[Answer, ...]
    recording: tuple[Rule, ...]
    offered: tuple[Rule, ...]
    never: tuple[Rule, ...]
    _asked: RuleSet
    variable: RecordMode | None = None

    def matching(self, mode: RecordMode) -> tuple[Rule, ...]:
        """The rules that do this, whether or not a `never` stands over them."""
        if mode is RecordMode.NEVER:
            return self.never
        if self.variable in (RecordMode.ALWAYS, RecordMode.ON_DEMAND):
            return self.recording if mode is RecordMode.ALWAYS else self.offered
        return _matching(self.answers, mode)

    def why_not(self) -> str:
        """Why no rule records by itself: `never by rule 7`, `on-demand by rule 3`, or `no-rule` with the nearest one.

        The first word is stable; `by variable RECBRIDGE` says that it decided. It names keys only, no names or
        numbers of people, so it may stand in any fact.
        """
        by_variable = f"by variable {RECBRIDGE}"
        ignored = ""
        if self.variable is None and self.talk.variable(RECBRIDGE):
            ignored = f" ({RECBRIDGE} is passed over: it is none of {', '.join(RecordMode)})"
        if self.never:
            return f"never {by_variable if self.variable else 'by ' + _rules(self.never)}{ignored}"
        if self.recording:
            return f"matched by {_rules(self.recording)}{ignored}"
        if self.offered:
            return f"on-demand {by_variable if self.variable else 'by ' + _rules(self.offered)}{ignored}"
        near = self._nearest()
        if near is None:
            return f"no-rule (there is none that records){ignored}"
        rule, failed = near
        return f"no-rule (nearest: rule {rule.id}, but for {' and '.join(failed)}){ignored}"

    def _nearest(self) -> tuple[Rule, list[str]] | None:
        """The rule that the fewest conditions keep from recording, and those; of equals the one of which most hold."""
        best: tuple[int, int] | None = None
        nearest: tuple[Rule, list[str]] | None = None
        for placed in self._asked.rules:
            if placed.rule.record is RecordMode.NEVER:
                continue
            failed = [failed.key for condition in placed.conditions if (failed := condition(self.talk)) is not None]
            rank = len(failed), len(failed) - len(placed.conditions)
            if best is None or rank < best:
                best, nearest = rank, (placed.rule, failed)
        return nearest


def _rules(rules: Sequence[Rule]) -> str:
    return f"rule{'s' if len(rules) > 1 else ''} {', '.join(str(rule.id) for rule in rules)}"


def _matching(answers: Sequence[Answer], *modes: RecordMode) -> tuple[Rule, ...]:
    return tuple(answer.rule for answer in answers if answer.matched and answer.rule.record in modes)


_BY_WORD: Final = {str(mode): mode for mode in RecordMode}


def ask(rules: RuleSet, talk: TalkFacts) -> Answers:
    """Ask every rule about a talk. A matching `never` beats all others, and the variable RECBRIDGE beats that."""
    answers = tuple(Answer(placed.rule, first_failed(placed.conditions, talk)) for placed in rules.rules)
    variable = _BY_WORD.get(talk.variable(RECBRIDGE).strip().lower())
    never = _matching(answers, RecordMode.NEVER)
    recording = () if never else _matching(answers, RecordMode.ALWAYS)
    offered = () if never else _matching(answers, RecordMode.ON_DEMAND)
    if variable is RecordMode.NEVER:
        recording, offered, never = (), (), (RULE_ZERO,)
    elif variable is not None:
        wanted = _matching(answers, RecordMode.ALWAYS, RecordMode.ON_DEMAND) or (RULE_ZERO,)
        recording, offered = (wanted, ()) if variable is RecordMode.ALWAYS else ((), wanted)
        never = ()
    return Answers(talk, answers, recording, offered, never, rules, variable)


def load_rules(files: Sequence[tuple[str, str]], directory: Directory) -> list[Loaded[RulesFile]]:
    """Each file, given as (name, text), with its own problems."""
    return [load(text, file, RulesFile, directory) for file, text in files]


def parse_rules(files: Sequence[tuple[str, str]], directory: Directory) -> RuleSet:
    """The rules of all files, given as (name, text) in their order. Raises BadInputError with every problem.

    `directory` says which users and groups there are, and who is in a group: with another one, parse again.
    """
    loaded = load_rules(files, directory)
    problems = [problem for one in loaded for problem in one.problems] + list(_ids_taken(loaded))
    if problems:
        raise BadInputError(in_order(problems))
    return RuleSet(tuple(placed for one in loaded for placed in _placed(one, directory)))


def _placed(loaded: Loaded[RulesFile], directory: Directory) -> Iterator[PlacedRule]:
    for index, rule in enumerate(loaded.value.rules if loaded.value is not None else ()):
        conditions = conditions_of(rule.when, directory)
        users = frozenset(map(Identity, rule.when.users(directory)))
        yield PlacedRule(rule, loaded.file, loaded.place(("rules", index))[0], conditions, users)


def _ids_taken(files: Sequence[Loaded[RulesFile]]) -> Iterator[Problem]:
    """Ids are unique over all files; looked for also where other things are wrong."""
    first: dict[str, tuple[str, int, int]] = {}
    for loaded in files:
        for loc, text in loaded.texts("rules", "id"):
            here = (loaded.file, *loaded.place(loc))
            file, line, column = first.setdefault(text, here)
            if (file, line, column) != here:
                yield loaded.problem(loc, f"`id` {text} is taken already at {file}:{line}:{column}")
