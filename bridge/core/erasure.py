"""What is forgotten of a person in a call: who it was, as which name and number; that there was a call stays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.core.ids import Identity
from bridge.core.records import Cdr, JournalEntry, Section
from bridge.core.retention import number_matches


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody outside, by a number as in rules (patterns too), or a user.

    Of a user `names` and `numbers` are those that the calls and users.yml know of it, word for word.
    """

    number: str | None = None
    identity: Identity | None = None
    names: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()

    def has_number(self, number: str) -> bool:
        """Whether this is a number of theirs."""
        if number in self.numbers:
            return number != ""
        return self.number is not None and number_matches(self.number, (number,))

    def is_named(self, name: str, number: str) -> bool:
        """Whether a name and the number beside it are theirs."""
        return self.has_number(number) or (name != "" and name in self.names)

    def is_user(self, identity: Identity | str | None) -> bool:
        """Whether this is the user."""
        return self.identity is not None and identity == self.identity


@dataclass(frozen=True, slots=True)
class Erasure:
    """A request to erase a person, until nothing keeps it any more: `done_at`. From then on nobody is named in it.

    `digest` (hex) is scrypt over the number or identity with `salt` (hex): who knows the person finds the request
    again.
    """

    id: str
    person: Person
    who: str
    why: str
    asked_at: datetime
    salt: str
    digest: str
    done_at: datetime | None = None


def without_in_cdr(cdr: Cdr, person: Person) -> Cdr:
    """The CDR without the person."""
    if person.is_user(cdr.source_identity) or person.is_named(cdr.source_name, cdr.source_number):
        cdr = replace(cdr, source_name="", source_number="", source_identity=_other(cdr.source_identity, person))
    if person.is_user(cdr.destination_identity) or person.is_named(cdr.destination_name, cdr.destination_number):
        identity = _other(cdr.destination_identity, person)
        cdr = replace(cdr, destination_name="", destination_number="", destination_identity=identity)
    return replace(
        cdr,
        dialed="" if person.has_number(cdr.dialed) else cdr.dialed,
        participants=tuple(one for one in cdr.participants if not person.is_user(one)),
    )


def _other(identity: Identity | None, person: Person) -> Identity | None:
    return None if person.is_user(identity) else identity


def without_in_entry(entry: JournalEntry, person: Person) -> JournalEntry:
    """The journal entry without the person: their own is nobody's, in another's the other side has no name."""
    if person.is_named(entry.name, entry.number):
        entry = replace(entry, name="", number="")
    if person.is_user(entry.identity):
        entry = replace(entry, identity=Identity(""), user_id="", extension="")
        return replace(entry, device_id="", device_name="", location_id="", location_name="")
    return replace(entry, extension="") if person.has_number(entry.extension) else entry


def without_in_section(section: Section, person: Person) -> Section:
    """The section without the user."""
    owner = None if person.is_user(section.owner) else section.owner
    participants = tuple(one for one in section.participants if not person.is_user(one))
    return replace(section, owner=owner, participants=participants)


def personal_of(personal: Mapping[str, str], person: Person) -> tuple[str, ...]:
    """Which of a fact's personal values are the person's, by their names."""
    found = {name for name in ("dialed", "extension") if person.has_number(personal.get(name, ""))}
    if person.is_named(personal.get("name", ""), personal.get("number", "")):
        found |= {"name", "number"}
    if person.is_user(personal.get("identity")):
        found |= {"identity", "device_name", "location_name"}
    if person.is_user(personal.get("asker")):
        found.add("asker")
    found.add("tag")  # what people have put on a call of theirs is about them
    return tuple(sorted(found & personal.keys()))
