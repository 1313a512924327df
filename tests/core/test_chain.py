"""The form of a fact that is hashed."""

import hashlib
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.chain import GENESIS, ChainedFact, Head, PersonalDigest, canonical, next_hash, personal_digest
from bridge.core.ids import FactNumber

_texts = st.binary(max_size=4)
_ids = st.integers(-2, 20)
FACTS = st.builds(
    ChainedFact,
    number=_ids,
    systemname=_texts,
    kind=_texts,
    at=_ids,
    call_id=st.none() | _texts,
    record_id=st.none() | _texts,
    rule_id=st.none() | _ids,
    file=st.none() | _ids,
    data=_texts,
    audience=_texts,
)
PERSONAL = st.lists(
    st.builds(PersonalDigest, _texts, _texts, st.none() | _texts), max_size=3, unique_by=lambda one: one.name
)
FACT = ChainedFact(1, b"pbx1", b"call.began", 1785585600123456, b"1.1", None, None, None, b'{"n":1}', b'["alice"]')
NAME = PersonalDigest(b"name", b"pbx1", bytes(range(32)))


def test_the_form_stays_as_it_is_since_heads_are_kept_elsewhere() -> None:
    form = (
        b'recbridge-fact-1:i1;t4:pbx1t10:call.begani1785585600123456;t3:1.1---t7:{"n":1}t9:["alice"]'
        b"t4:namet4:pbx1t32:" + bytes(range(32))
    )
    assert canonical(FACT, [NAME]) == form
    assert next_hash(GENESIS, FACT, [NAME]) == hashlib.sha256(bytes(32) + form).digest()
    assert personal_digest(b"salt", b"name", b"Bob") == hashlib.sha256(b"saltt4:nameBob").digest()


@given(FACTS, PERSONAL, FACTS, PERSONAL)
def test_no_two_facts_have_the_same_form(
    one: ChainedFact, ones: list[PersonalDigest], other: ChainedFact, others: list[PersonalDigest]
) -> None:
    same = one == other and sorted(ones) == sorted(others)
    assert (canonical(one, ones) == canonical(other, others)) is same


@pytest.mark.parametrize("name", [field.name for field in fields(ChainedFact)])
def test_every_value_counts(name: str) -> None:
    value = getattr(FACT, name)
    other = b"x" if value is None or isinstance(value, bytes) else value + 1
    changed: dict[str, Any] = {name: other}
    assert canonical(replace(FACT, **changed), []) != canonical(FACT, [])


def test_texts_that_run_into_each_other_are_told_apart() -> None:
    one, other = replace(FACT, call_id=b"1", record_id=b"t1:2"), replace(FACT, call_id=b"1t1:2", record_id=None)
    assert canonical(one, []) != canonical(other, [])
    assert personal_digest(b"", b"a", b"bc") != personal_digest(b"", b"ab", b"c")


@given(PERSONAL)
def test_the_order_of_personal_values_does_not_count(personal: list[PersonalDigest]) -> None:
    assert canonical(FACT, personal) == canonical(FACT, personal[::-1])


def test_the_hash_before_counts() -> None:
    assert next_hash(GENESIS, FACT, []) != next_hash(bytes([1]) * 32, FACT, [])


@given(st.integers(0, 10**18 - 1), st.binary(min_size=32, max_size=32))
def test_a_head_is_written_and_read(number: int, hashed: bytes) -> None:
    head = Head(FactNumber(number), hashed)
    assert Head.parse(f" {head}\n") == head


@pytest.mark.parametrize("text", ["", "7", f"7:{'a' * 63}", f"-7:{'a' * 64}", f"07:{'a' * 64}", f"7:{'g' * 64}"])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NUMBER:HASH"):
        Head.parse(text)
