"""Texts as a search sees them: whatever their case."""

from collections.abc import Iterable

from bridge.core.records import Cdr


def folded(text: str) -> str:
    """A text without its case, on one line."""
    return text.casefold().replace("\n", " ")


def lines(texts: Iterable[str]) -> str:
    """Texts to look into, each folded and on a line of its own: no text without a line's end is found across two."""
    return "\n".join(map(folded, texts))


def found_by(cdr: Cdr) -> str:
    """What a search for a call looks into: names, numbers and what was dialled."""
    return lines((cdr.source_name, cdr.source_number, cdr.destination_name, cdr.destination_number, cdr.dialed))
