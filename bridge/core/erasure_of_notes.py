"""What is forgotten of a person among the parties of a call, and whether a text about a call holds the person."""

import re
from dataclasses import replace

from bridge.core.erasure import Person
from bridge.core.records import Party

_NUMBER = re.compile(r"\+?\(?\d[\d ()/.-]*\d")
_LEAST_DIGITS = 3


def holds(text: str, person: Person) -> bool:
    """Whether it holds a number of theirs, however it is written, or as whole words a name or their identity.

    >>> bob = Person(names=frozenset({"Bob Example"}), numbers=frozenset({"+4973112345"}))
    >>> holds("bob  example calls back", bob), holds("call +49 731/123-45", bob), holds("Bobby", bob)
    (True, True, False)
    """
    words = " ".join(text.casefold().split())
    known = [*person.names, *person.numbers, *([person.identity] if person.identity is not None else [])]
    if any(_is_in(" ".join(one.casefold().split()), words) for one in known):
        return True
    written = ("".join(one for one in found if one in "+0123456789") for found in _NUMBER.findall(text))
    return any(person.has_number(number) for number in written if len(number) >= _LEAST_DIGITS)


def _is_in(name: str, words: str) -> bool:
    return name != "" and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words) is not None


def without_in_party(party: Party, person: Person) -> Party:
    """The party, nobody any more where it is the person."""
    if not (person.is_user(party.identity) or person.is_named(party.name, party.number)):
        return party
    return replace(party, name="", number="", identity=None if person.is_user(party.identity) else party.identity)
