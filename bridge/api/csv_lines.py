"""CSV answers: whether one is wanted, and lines whose cells do no harm in a spreadsheet."""

import csv
import re
from collections.abc import Sequence
from io import StringIO

from aiohttp import web

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_PLAIN_NUMBER = re.compile(r"\+[0-9]+", re.ASCII)


def wants_csv(request: web.Request) -> bool:
    """`?format=csv`, or an Accept that likes CSV better than JSON."""
    accept = request.headers.get("Accept", "*/*")
    liked, other = _quality(accept, "text/csv"), _quality(accept, "application/json")
    return request.query.get("format") == "csv" or liked > other


def csv_line(values: Sequence[object]) -> bytes:
    """One line. A text that a spreadsheet would take for a formula begins with an apostrophe; `+49…` does not."""
    text = StringIO()
    csv.writer(text).writerow([_harmless(value) for value in values])
    return text.getvalue().encode("utf-8", "replace")


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _PLAIN_NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _quality(accept: str, kind: str) -> float:
    """How much an Accept header likes a media type; the most specific range counts (RFC 9110, 12.5.1)."""
    found = (-1, 0.0)
    for part in accept.split(","):
        named, *parameters = (piece.strip().lower() for piece in part.split(";"))
        rank = {kind: 2, f"{kind.partition('/')[0]}/*": 1, "*/*": 0}.get(named)
        if rank is None:
            continue
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        found = max(found, (rank, float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 0.0))
    return found[1]
