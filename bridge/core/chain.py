"""The chain of facts: each fact's hash stands on the one before, so that nothing can be changed without being seen.

`hash(n) = SHA-256(hash(n - 1) + canonical bytes of fact n)`, and `GENESIS` stands before the first. What a person is
called is in it as a digest alone, with a salt that goes when the value is erased: the chain still fits then, and nobody
can guess the value from the digest. Texts are what the database holds, in bytes: Asterisk promises no charset.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

from bridge.core.ids import FactNumber

GENESIS = bytes(32)
SALT_BYTES = 16

_FORM = b"recbridge-fact-1:"
_HEAD = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-fA-F]{64})")


class Head(NamedTuple):
    """A fact's number and hash, written `NUMBER:HASH`. Who keeps one elsewhere can tell later what was before it."""

    number: FactNumber
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` made. Raises ValueError."""
        found = _HEAD.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no NUMBER:HASH, with a hash of 64 hexadecimal digits")
        return cls(FactNumber(int(found[1])), bytes.fromhex(found[2]))


class PersonalDigest(NamedTuple):
    """What the chain knows of a personal value."""

    name: bytes
    systemname: bytes
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class ChainedFact:
    """A fact as its row holds it: `at` in microseconds since 1970 UTC, `data` and `audience` the JSON itself."""

    number: int
    systemname: bytes
    kind: bytes
    at: int
    call_id: bytes | None
    record_id: bytes | None
    rule_id: int | None
    file: int | None
    data: bytes
    audience: bytes


def personal_digest(salt: bytes, name: bytes, value: bytes) -> bytes:
    """What stays of a personal value when it is erased."""
    return hashlib.sha256(salt + _field(name) + value).digest()


def canonical(fact: ChainedFact, personal: Iterable[PersonalDigest]) -> bytes:
    """The bytes that are hashed: each value with its type and length, so that no two facts have the same."""
    values = [
        fact.number,
        fact.systemname,
        fact.kind,
        fact.at,
        fact.call_id,
        fact.record_id,
        fact.rule_id,
        fact.file,
        fact.data,
        fact.audience,
        *(value for one in sorted(personal, key=lambda one: one.name) for value in one),
    ]
    return _FORM + b"".join(map(_field, values))


def next_hash(previous: bytes, fact: ChainedFact, personal: Iterable[PersonalDigest]) -> bytes:
    """The hash of a fact, from the hash of the one before."""
    return hashlib.sha256(previous + canonical(fact, personal)).digest()


def _field(value: bytes | int | None) -> bytes:
    if value is None:
        return b"-"
    if isinstance(value, int):
        return b"i%d;" % value
    return b"t%d:%b" % (len(value), value)
