"""The rules in force, as they are shown: where each stands, its own words, and its conditions for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import TypedDict

from bridge.core.access import Reader, Role
from bridge.core.asked import Matches
from bridge.core.conditions import When
from bridge.core.errors import Problem
from bridge.core.ids import RuleId
from bridge.core.rules import PlacedRule, RuleSet
from bridge.core.views import epoch_ms

_SAID = frozenset({"id", "name", "record", "when"})
_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rules, and their files as (name, text); `refused` is what was wrong with the files when last looked at."""

    rules: RuleSet
    files: tuple[tuple[str, str], ...] = ()
    refused: tuple[Problem, ...] = ()
    refused_at: datetime | None = None

    @property
    def names(self) -> Mapping[RuleId, str]:
        """Those of the rules."""
        return {placed.rule.id: placed.rule.name for placed in self.rules.rules}


class ProblemItem(TypedDict):
    """A mistake in a file."""

    file: str
    line: int
    column: int
    message: str
    suggestion: str | None


class RefusedItem(TypedDict):
    """Why the files are not in force."""

    at: int | None
    problems: list[ProblemItem]


class MatchesItem(TypedDict):
    """In how many calls a rule had a part, and the seconds that it was to record of them."""

    calls: int
    recordedS: float


class RuleItem(TypedDict):
    """A rule. Who is no admin sees no more than the names of those that name them: the rest is null, or empty."""

    ruleId: int
    name: str
    record: str
    file: str | None
    line: int | None
    text: str | None
    conditions: list[str]
    options: dict[str, str]
    matches: MatchesItem | None


class RulesItem(TypedDict):
    """The rules in force, since when, and (`matchesSince`) from when on matches are counted."""

    items: list[RuleItem]
    since: int | None
    matchesSince: int
    refused: RefusedItem | None


def condition_words(when: When) -> list[str]:
    """The conditions in words, in the order in which they are written: all must hold.

    >>> condition_words(When.model_validate({"queue": ["sales"], "not": {"caller": ["bob"]}}))
    ['queue is sales', 'not (caller is bob)']
    """
    return [words for key in when.keys for words in _words(key, when.value(key))]


def _words(key: str, value: Any) -> list[str]:
    if key == "not":
        return [f"not ({' and '.join(condition_words(value))})"]
    if key == "all":
        return [words for one in value for words in condition_words(one)]
    if key == "any":
        return ["any of: " + "; or ".join(" and ".join(condition_words(one)) for one in value)]
    if key == "variable":
        return [f"variable {name} is {' or '.join(values)}" for name, values in value.items()]
    if key == "sample":
        return [f"in the sample of {value}"]
    if isinstance(value, bool):
        return [f"{key} is {str(value).lower()}"]
    return [f"{key} is {' or '.join(map(str, value))}"]


def options_of(placed: PlacedRule) -> dict[str, str]:
    """What a rule says beside its conditions, where it is not the default."""
    rule = placed.rule
    said = {name: (getattr(rule, name), one.default) for name, one in type(rule).model_fields.items()}
    return {
        name: _option_words(value) for name, (value, default) in said.items() if name not in _SAID and value != default
    }


def _option_words(value: object) -> str:
    """As it stands in a file."""
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        unit, length = next((unit, length) for unit, length in _UNITS.items() if seconds % length == 0)
        return f"{seconds // length}{unit}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def text_of_rule(placed: PlacedRule, files: Mapping[str, str], rules: RuleSet) -> str:
    """A rule as it stands in its file: up to the next one, without what is empty or a comment behind it."""
    lines = files.get(placed.file, "").splitlines()
    later = [one.line for one in rules.rules if one.file == placed.file and one.line > placed.line]
    own = lines[placed.line - 1 : min(later, default=len(lines) + 1) - 1]
    while own and (not own[-1].strip() or own[-1].lstrip().startswith("#")):
        own.pop()
    return "\n".join(own)


def rules_item(
    now: RulesInForce,
    since: datetime | None,
    matches: Mapping[RuleId, Matches],
    matches_since: datetime,
    reader: Reader,
) -> RulesItem:
    """All of it, for the one who reads it."""
    admin = reader.role is Role.ADMIN
    files = dict(now.files)
    shown: Sequence[PlacedRule] = now.rules.rules
    if not admin:
        shown = [one for one in shown if reader.sees(tuple(one.users))]
    refused: RefusedItem | None = None
    if now.refused and admin:
        refused = {
            "at": epoch_ms(now.refused_at) if now.refused_at is not None else None,
            "problems": [_problem(one) for one in now.refused],
        }
    return {
        "items": [
            _full(one, text_of_rule(one, files, now.rules), matches.get(one.rule.id, Matches()))
            if admin
            else _short(one)
            for one in shown
        ],
        "since": epoch_ms(since) if since is not None else None,
        "matchesSince": epoch_ms(matches_since),
        "refused": refused,
    }


def _problem(problem: Problem) -> ProblemItem:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }


def _short(placed: PlacedRule) -> RuleItem:
    rule = placed.rule
    return {
        "ruleId": rule.id, "name": rule.name, "record": str(rule.record), "file": None, "line": None, "text": None,
        "conditions": [], "options": {}, "matches": None,
    }  # fmt: skip


def _full(placed: PlacedRule, text: str, matches: Matches) -> RuleItem:
    return {
        **_short(placed),
        "file": placed.file,
        "line": placed.line,
        "text": text,
        "conditions": condition_words(placed.rule.when),
        "options": options_of(placed),
        "matches": {"calls": matches.calls, "recordedS": round(matches.recorded_s, 3)},
    }
