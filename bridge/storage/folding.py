"""Texts as a search sees them: whatever their case."""

from collections.abc import Iterable

from bridge.core.records import Cdr

_TRIGRAM = 3


def folded(text: str) -> str:
    """A text without its case, on one line."""
    return text.casefold().replace("\n", " ")


def lines(texts: Iterable[str]) -> str:
    """Texts to look into, each folded and between two ends of lines: no text is found across two of them."""
    return "".join(f"\n{folded(text)}" for text in texts) + "\n"


def found_by(cdr: Cdr) -> str:
    """What a search for a call looks into: names, numbers and what was dialled."""
    return lines((cdr.source_name, cdr.source_number, cdr.destination_name, cdr.destination_number, cdr.dialed))


def phrase(text: str) -> str | None:
    """What finds exactly this text with fts5's trigrams, or None: they need three characters, and valid ones."""
    if len(text) < _TRIGRAM or "\0" in text:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return '"' + text.replace('"', '""') + '"'
