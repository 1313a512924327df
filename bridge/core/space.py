"""Room on a disk, and below which of it an admin wants to be warned: a share of the disk or a size."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from bridge.core.document import WrongValueError, text_of

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LOW_SPACE = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,2})?)%|([1-9][0-9]{0,5})([KMGT])")


@dataclass(frozen=True, slots=True)
class Space:
    """Of a disk: what a program without privileges may still write, and all."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class LowSpace:
    """A watermark: a share of the disk (0.05), or so many bytes."""

    share: float = 0.0
    size_bytes: int = 0

    def of(self, space: Space) -> int:
        """The free bytes below which there is little room."""
        return self.size_bytes or round(space.total_bytes * self.share)


def parse_low_space(text: object) -> LowSpace:
    """`5%` or `10G` (K, M, G, T: powers of 1024). Raises WrongValueError (a ValueError)."""
    words = text_of(text)
    match = _LOW_SPACE.fullmatch(words)
    if match is None:
        raise WrongValueError(f"must be a share like 5%, or a size like 10G, not `{words}`")
    if match[1] is not None:
        return LowSpace(share=float(match[1]) / 100)
    return LowSpace(size_bytes=int(match[2]) * _UNITS[match[3]])


def in_words(size_bytes: int) -> str:
    """`1.5 GiB`, for people."""
    size, units = float(size_bytes), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"


LowSpaceText = Annotated[
    LowSpace,
    BeforeValidator(parse_low_space),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{_LOW_SPACE.pattern})$"}),
]
