"""What a look at the chain and its files finds."""

from dataclasses import dataclass, field

from bridge.core.chain import GENESIS, Head
from bridge.core.ids import FactNumber, SectionKey


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that does not fit. `what` is a stable code; `fact`, `section` and `path` say where, as far as known."""

    what: str
    message: str
    fact: int | None = None
    section: SectionKey | None = None
    path: str | None = None


@dataclass(slots=True)
class Findings:
    """What was looked at so far. `first` is the first of `misfits`; `head` the last fact that was looked at.

    `sections` are those that facts say were stored, `deleted` those that facts say were deleted.
    """

    facts: int = 0
    personal: int = 0
    erased: int = 0
    sections: int = 0
    deleted: int = 0
    files: int = 0
    bytes: int = 0
    misfits: int = 0
    first: Misfit | None = None
    head: Head = field(default_factory=lambda: Head(FactNumber(0), GENESIS))

    def add(self, misfit: Misfit, count: int = 1) -> None:
        """One more, or several of one kind, the first of which is given."""
        self.misfits += count
        if self.first is None:
            self.first = misfit
