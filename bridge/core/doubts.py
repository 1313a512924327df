"""Warnings about rules that are right and yet hardly meant: such that can never match, or that a `never` covers.

Sound but not complete: what is said is so, and more may be so. Patterns, sets and samples are compared as far as that
is plain.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from bridge.core.conditions import Direction, When, plain_number, plain_variable, share_of, who
from bridge.core.document import Loaded, Loc, in_order, suggest
from bridge.core.errors import Problem
from bridge.core.people import GROUP_PREFIX, Directory, matcher
from bridge.core.rule import RecordMode, Rule, RulesFile
from bridge.core.rules import load_rules
from bridge.core.times import parse_time

_WILD: Final = re.compile(r"[*?]")
_PEOPLE: Final = {"user": ("user", "caller", "callee"), "caller": ("caller",), "callee": ("callee",)}
"""By which keys each is implied: whoever calls is in the talk."""


@dataclass(frozen=True, slots=True)
class _Atom:
    """One condition, `all` dissolved: its key (`variable.NAME` for a variable), what it is given, and where it is."""

    key: str
    value: Any
    loc: Loc


@dataclass(frozen=True, slots=True)
class _Placed:
    rule: Rule
    loaded: Loaded[RulesFile]
    loc: Loc
    atoms: list[_Atom]


def doubts(
    files: Sequence[tuple[str, str]], directory: Directory | None, queues: Set[str] | None = None
) -> tuple[Problem, ...]:
    """Warnings about the rules of all files, given as (name, text); files with mistakes are left out.

    `directory` says who is in a group, `queues` which queues there are; None where nothing does.
    """
    rules = [
        _Placed(rule, loaded, ("rules", index), list(_atoms(rule.when, ("rules", index, "when"))))
        for loaded in load_rules(files, directory or Directory())
        for index, rule in enumerate(loaded.value.rules if loaded.value is not None else ())
    ]
    found: list[Problem] = []
    nevers: list[_Placed] = []
    others: list[_Placed] = []
    for one in rules:
        impossible = _impossible(one.atoms, directory)
        if impossible is not None:
            atom, why = impossible
            found.append(one.loaded.problem(atom.loc, f"rule {one.rule.id} can never match: {why}"))
        else:
            (nevers if one.rule.record is RecordMode.NEVER else others).append(one)
        if directory is not None:
            found += _empty_groups(one, directory, impossible[0].loc if impossible is not None else ())
        if queues is not None:
            found += _unknown_queues(one, queues)
    for one in others:
        over = next((never for never in nevers if _covers(never, one, directory)), None)
        if over is not None:
            by = f"rule {over.rule.id} ({over.loaded.file}:{over.loaded.place(over.loc)[0]}), a `never`"
            found.append(one.loaded.problem(one.loc, f"rule {one.rule.id} never records: {by}, covers it wholly"))
    return in_order(found)


def _atoms(when: When, loc: Loc) -> Iterator[_Atom]:
    for key in when.keys:
        value = when.value(key)
        if key == "all" or (key == "any" and len(value) == 1):
            for index, item in enumerate(value):
                yield from _atoms(item, (*loc, key, index))
        elif key == "variable":
            for name, values in value.items():
                yield _Atom(f"variable.{plain_variable(name)}", values, (*loc, key, name))
        else:
            yield _Atom(key, value, (*loc, key))


def _users(atom: _Atom, directory: Directory | None) -> frozenset[str]:
    if directory is None:
        return frozenset(atom.value)
    return frozenset().union(*(who(name, directory) for name in atom.value))


def _is_text(key: str) -> bool:
    return key in ("queue", "number", "dialed", "context", "channel") or key.startswith("variable.")


def _patterns(atom: _Atom) -> list[str]:
    return [plain_number(one) if atom.key in ("number", "dialed") else one for one in atom.value]


def _wider(patterns: Sequence[str], pattern: str) -> bool:
    """Whether one of `patterns` fits every text that `pattern` fits.

    A `*` of theirs takes in whatever stands in ours, wild or not; a `?` only what is not.
    """
    able = [one for one in patterns if "?" not in one or not _WILD.search(pattern)]
    return pattern.casefold() in [one.casefold() for one in patterns] or matcher(able)(pattern)


def _implied(atom: _Atom, given: Sequence[_Atom], directory: Directory | None) -> bool:
    """Whether `atom` holds wherever all that is given holds."""
    same = [one for one in given if one.key == atom.key]
    if atom.key == "direction":
        return any(set(one.value) <= set(atom.value) for one in same)
    if atom.key in _PEOPLE:
        users = _users(atom, directory)
        return any(_users(one, directory) <= users for one in given if one.key in _PEOPLE[atom.key])
    if _is_text(atom.key):
        wide = _patterns(atom)
        return any(all(_wider(wide, pattern) for pattern in _patterns(one)) for one in same)
    if atom.key == "time":
        times = {parse_time(one) for one in atom.value}
        return any({parse_time(text) for text in one.value} <= times for one in same)
    if atom.key == "sample":
        return any(share_of(one.value) <= share_of(atom.value) for one in same)
    if atom.key == "any":
        return any(_all_implied(list(_atoms(item, ())), given, directory) for item in atom.value)
    if atom.key == "not":
        inside = list(_atoms(atom.value, ()))
        return any(_all_implied(list(_atoms(one.value, ())), inside, directory) for one in same)
    return any(one.value == atom.value for one in same)


def _all_implied(atoms: Sequence[_Atom], given: Sequence[_Atom], directory: Directory | None) -> bool:
    return all(_implied(atom, given, directory) for atom in atoms)


def _ways(given: Sequence[_Atom]) -> Iterator[list[list[_Atom]]]:
    """For each `any` what is given with one of its items each: whatever follows from all of them follows."""
    for choice in given:
        if choice.key == "any":
            rest = [one for one in given if one is not choice]
            yield [[*rest, *_atoms(item, choice.loc)] for item in choice.value]


def _covers(never: _Placed, rule: _Placed, directory: Directory | None) -> bool:
    if _all_implied(never.atoms, rule.atoms, directory):
        return True
    return any(all(_all_implied(never.atoms, way, directory) for way in ways) for ways in _ways(rule.atoms))


def _impossible(given: Sequence[_Atom], directory: Directory | None) -> tuple[_Atom, str] | None:
    """The condition that cannot hold with the others, and why."""
    found = _contradiction(given, directory)
    if found is not None:
        return found
    for choice, ways in zip((one for one in given if one.key == "any"), _ways(given), strict=True):
        if all(_contradiction(way, directory) is not None for way in ways):
            return choice, "no item of `any` goes with the other conditions"
    return None


def _contradiction(given: Sequence[_Atom], directory: Directory | None) -> tuple[_Atom, str] | None:
    possible = set(Direction)
    for atom in given:
        before = [one for one in given[: given.index(atom)] if one.key == atom.key]
        if atom.key == "direction":
            possible &= set(atom.value)
            if not possible:
                return atom, "no `direction` is left that all conditions allow"
        elif atom.key == "sample" and share_of(atom.value) == 0:
            return atom, f"`sample` is {atom.value} of all calls"
        elif atom.key in _PEOPLE and not _users(atom, directory):
            return atom, f"nobody is in {' or '.join(f'`{name}`' for name in atom.value)}"
        elif atom.key == "not":
            if _all_implied(list(_atoms(atom.value, ())), [one for one in given if one is not atom], directory):
                return atom, "`not` takes away all that the other conditions allow"
        elif _is_text(atom.key) and atom.key != "channel":
            if any(not _meet(atom, one) for one in before):
                return atom, f"no `{atom.key.partition('.')[2] or atom.key}` fits both its conditions"
        elif atom.key in ("user_call_record", "online_call_record") and any(one.value != atom.value for one in before):
            return atom, f"`{atom.key}` cannot be both true and false"
    number = next((atom for atom in given if atom.key == "number"), None)
    if number is not None and possible == {Direction.INTERNAL}:
        return number, "inside the house nobody has a `number`, which is that of the party outside"
    return None


def _meet(one: _Atom, other: _Atom) -> bool:
    """Whether some text may fit both; certain to be False only where one of the two has no pattern."""
    for literal, wide in ((one, other), (other, one)):
        if not any(_WILD.search(text) for text in _patterns(literal)):
            return any(map(matcher(_patterns(wide)), _patterns(literal)))
    return True


def _inside(when: When, loc: Loc) -> Iterator[tuple[When, Loc]]:
    """These conditions and all that are nested in them."""
    yield when, loc
    for key in ("all", "any"):
        for index, item in enumerate(when.value(key)):
            yield from _inside(item, (*loc, key, index))
    if when.not_ is not None:
        yield from _inside(when.not_, (*loc, "not"))


def _empty_groups(placed: _Placed, directory: Directory, said: Loc) -> Iterator[Problem]:
    for when, loc in _inside(placed.rule.when, (*placed.loc, "when")):
        for key in _PEOPLE:
            for index, name in enumerate(when.value(key)):
                if name.startswith(GROUP_PREFIX) and not who(name, directory) and said != (*loc, key):
                    yield placed.loaded.problem((*loc, key, index), f"nobody is in `{name}`: users.yml says who is")


def _unknown_queues(placed: _Placed, queues: Set[str]) -> Iterator[Problem]:
    for when, loc in _inside(placed.rule.when, (*placed.loc, "when")):
        for index, name in enumerate(when.queue):
            if not any(map(matcher([name]), queues)):
                words = f"Asterisk's configuration names no queue `{name}`"
                yield placed.loaded.problem((*loc, "queue", index), words, suggest(name, queues))
