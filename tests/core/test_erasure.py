"""What is forgotten of a person, and what is not theirs stays."""

from dataclasses import replace

from bridge.core.erasure import Person, personal_of, without_in_cdr, without_in_entry, without_in_section
from bridge.core.ids import Identity
from bridge.core.records import journal_fact
from tests.storage import kept

ALICE, BOB = Identity("alice"), Identity("bob")
OUTSIDER = Person(number="+49 731 12345")
USER = Person(identity=ALICE, names=frozenset({"Alice"}), numbers=frozenset({"822"}))


def test_of_somebody_outside_name_and_number_go_and_the_rest_stays() -> None:
    cdr, entry = kept.cdr(), kept.entry()
    assert without_in_cdr(cdr, OUTSIDER) == replace(cdr, source_name="", source_number="")
    assert without_in_entry(entry, OUTSIDER) == replace(entry, name="", number="")
    assert personal_of(journal_fact(entry).personal, OUTSIDER) == ("name", "number")
    dialed = replace(cdr, dialed="+4973112345", destination_name="Bob", destination_number="+49 731 12345")
    forgotten = without_in_cdr(dialed, OUTSIDER)
    assert (forgotten.dialed, forgotten.destination_name, forgotten.destination_identity) == ("", "", "alice")


def test_of_a_user_also_who_it_was() -> None:
    forgotten = without_in_cdr(kept.cdr(), USER)
    assert (forgotten.destination_name, forgotten.destination_number, forgotten.destination_identity) == ("", "", None)
    assert (forgotten.participants, forgotten.dialed, forgotten.source_name) == ((), "", "Bob")
    own = without_in_entry(kept.entry("alice"), USER)
    assert (own.identity, own.user_id, own.extension, own.device_name, own.location_name) == ("", "", "", "", "")
    assert (own.name, own.number) == ("Bob", "+4973112345")
    others = replace(kept.entry("bob"), name="Alice", number="822", extension="823")
    assert without_in_entry(others, USER) == replace(others, name="", number="")
    section = kept.section(owner=ALICE, participants=(ALICE, BOB))
    assert without_in_section(section, USER) == replace(section, owner=None, participants=(BOB,))
    assert personal_of({"identity": "alice", "who": "alice"}, USER) == ("identity",)
    assert personal_of({"identity": "bob", "asker": "alice"}, USER) == ("asker",)


def test_who_is_somebody_else_is_left_alone() -> None:
    other = Person(number="+4973199999")
    assert without_in_cdr(kept.cdr(), other) == kept.cdr()
    assert without_in_entry(kept.entry(), other) == kept.entry()
    assert personal_of({"name": "", "number": "", "dialed": "1"}, other) == ()
    nobody = Person()
    assert without_in_cdr(kept.cdr(), nobody) == kept.cdr()
    assert without_in_entry(replace(kept.entry(), name="", number=""), USER).identity == ""
