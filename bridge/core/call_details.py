"""What is kept of one finished call beside its CDR, and what people add to it: tags and notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType, Protocol

from bridge.core.cdrs import CdrNumber, KeptCdr
from bridge.core.errors import RecbridgeError
from bridge.core.ids import Identity
from bridge.core.records import Fact
from bridge.core.retention import Hold
from bridge.core.timeline import Kept

NoteId = NewType("NoteId", str)

MOST_TAG: Final = 40
"""Characters of a tag, which is one line."""
MOST_NOTE: Final = 4000
MOST_NOTES: Final = 50
MOST_TAGS: Final = 20
"""Of people's, on one call."""


class TooManyOnCallError(RecbridgeError):
    """The call has as many tags or notes as it may have; `most` is how many."""

    def __init__(self, message: str, most: int) -> None:
        super().__init__(message)
        self.most = most


@dataclass(frozen=True, slots=True)
class CallTag:
    """A tag of a call: from a rule of its recordings (`by` and `at` None), or put on it by somebody.

    `by` is '' once who put it is erased.
    """

    tag: str
    by: Identity | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallNote:
    """What somebody wrote about a call; `by` is '' once its author is erased."""

    id: NoteId
    text: str
    by: Identity
    at: datetime


@dataclass(frozen=True, slots=True)
class CallDetails:
    """A finished call. `listened` are the facts of who played or downloaded its recordings, and
    then of who fetched an export with them in it, each oldest first; `holds` those
    in force that cover it.
    """

    call: KeptCdr
    kept: Kept
    tags: Sequence[CallTag]
    notes: Sequence[CallNote]
    listened: Sequence[Fact]
    holds: Sequence[Hold]


class CallBook(Protocol):
    """Reads finished calls in all detail, and keeps what people add to them. Raises StoreError.

    What it changes is a fact as well, kept in the same commit: the facts name the tag or the note, and hold who and
    what among their personal values.
    """

    async def details(self, call: KeptCdr) -> CallDetails:
        """All that is kept of a call."""

    async def notes(self, number: CdrNumber) -> Sequence[CallNote]:
        """Those of a call, oldest first."""

    async def tags(self, number: CdrNumber) -> Sequence[CallTag]:
        """Those of a call, in order."""

    async def tag(self, call: KeptCdr, tag: str, by: Identity) -> bool:
        """Put a tag on a call; False where it has it already from a person. Raises TooManyOnCallError."""

    async def untag(self, call: KeptCdr, tag: str, by: Identity) -> bool:
        """Take away what a person has put on it; False where there is none."""

    async def note(self, call: KeptCdr, text: str, by: Identity) -> CallNote:
        """Add a note. Raises TooManyOnCallError."""

    async def remove_note(self, call: KeptCdr, note_id: NoteId, by: Identity) -> bool:
        """Remove a note for good; False where there is none."""


class Holding(Protocol):
    """Sets and releases legal holds, between two batches of deletions. Raises StoreError, `busy` where one runs."""

    async def holds(self) -> Sequence[Hold]:
        """All that were ever set, oldest first."""

    async def put(self, hold: Hold) -> None:
        """Set a hold, or release one that was set. On return it is kept, and a fact."""
