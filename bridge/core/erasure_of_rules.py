"""What is forgotten of a person in what the rules were asked, and in kept rules: the rest answers as before."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bridge.core.asked import KeptRules
from bridge.core.erasure import Person
from bridge.core.erasure_of_notes import holds
from bridge.core.ids import ChannelName, Identity
from bridge.core.matching import TalkFacts
from bridge.core.people import device_channel
from bridge.core.yaml_tree import Node, parse

ERASED: Final = "erased"
"""Stands in rules for whoever was erased."""

_USERS, _NUMBERS = frozenset({"user", "caller", "callee"}), frozenset({"number", "dialed"})
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")
_NUMBER = re.compile(r"[+0-9][0-9\s()/.-]*[0-9]")


def without_in_facts(talk: TalkFacts, person: Person) -> TalkFacts:
    """What the rules were asked, without the person."""
    return replace(
        talk,
        callers=frozenset(one for one in talk.callers if not person.is_user(one)),
        callees=frozenset(one for one in talk.callees if not person.is_user(one)),
        number="" if person.has_number(talk.number) else talk.number,
        dialed="" if person.has_number(talk.dialed) or person.is_user(talk.dialed) else talk.dialed,
        variables={name: value for name, value in talk.variables.items() if not _holds_them(value, person)},
        channels=tuple(
            name for name in talk.channels if not person.is_user(device_channel(ChannelName(name)).partition("/")[2])
        ),
        flags={user: flags for user, flags in talk.flags.items() if not person.is_user(user)},
    )


def _holds_them(text: str, person: Person) -> bool:
    return _is_theirs(text, person) or holds(text, person)


def _is_theirs(text: str, person: Person) -> bool:
    return text != "" and (text in person.names or person.is_user(text) or person.has_number(text))


def without_in_rules(rules: KeptRules, person: Person) -> KeptRules:
    """The rules without the person: as a user, as a number in a condition, in names and comments.

    A file in which that cannot be done word for word is emptied: then nothing can be told by these rules any more.
    """
    users = tuple(
        replace(one, identity=Identity(ERASED)) if person.is_user(one.identity) else one for one in rules.users
    )
    files = tuple((name, _without_in_text(text, person)) for name, text in rules.files)
    changed = (files, users) != (rules.files, rules.users)
    return replace(rules, files=files, users=users, erased=rules.erased or changed)


def _without_in_text(text: str, person: Person) -> str:
    tree, _ = parse(text, "")
    if tree is None:
        return ""
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    # From behind, so that no place moves.
    for key, node in sorted(_texts(tree, ""), key=lambda item: (item[1].line, item[1].column), reverse=True):
        old = str(node.value)
        new = _without(key, old, person)
        if new == old:
            continue
        before, line = lines[node.line - 1][: node.column - 1], lines[node.line - 1][node.column - 1 :]
        if old not in line:  # folded or escaped
            return ""
        lines[node.line - 1] = before + line.replace(old, new, 1)
    return bom + "".join(_COMMENT.sub(lambda found: _without_words(found[0], person), one) for one in lines)


def _texts(node: Node, key: str) -> Iterator[tuple[str, Node]]:
    """Every text below a node, and the key that it stands behind."""
    if isinstance(node.value, dict):
        for name, entry in node.value.items():
            if entry.node is not None:
                yield from _texts(entry.node, "variable" if key == "variable" else name)
    elif isinstance(node.value, list):
        for item in node.value:
            yield from _texts(item, key)
    elif node.value is not None:
        yield key, node


def _without(key: str, text: str, person: Person) -> str:
    if key in _USERS:
        return ERASED if person.is_user(text) else text
    if key in _NUMBERS or key == "variable":
        return ERASED if _is_theirs(text, person) else text
    return _without_words(text, person) if key in {"name", "tags", "channel"} else text


def _without_words(text: str, person: Person) -> str:
    words = [*person.names, *([person.identity] if person.identity is not None else [])]
    for word in sorted(words, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", ERASED, text, flags=re.IGNORECASE)
    return _NUMBER.sub(lambda found: ERASED if person.has_number(found[0]) else found[0], text)
