"""Lists as wazo-confd gives them: searched, ordered and cut."""

from collections.abc import Mapping, Sequence

from bridge.api.wazo.errors import InvalidDataError
from bridge.core.views import Json

_LONGEST = 10


def page(
    query: Mapping[str, str], items: Sequence[Json], *, searched: Sequence[str], exact: Sequence[str], order: str
) -> Json:
    """`{"total", "items"}`: `total` counts all that was found, `items` are those of `limit` and `offset`.

    `search` is looked for in the fields `searched`, in upper or lower case; a parameter named as one of `exact` must be
    that field's value, or one of several with commas. `order` is any field of the items (else this one), `direction`
    asc or desc. What is not known is ignored. Raises InvalidDataError.
    """
    limit, offset = _number(query, "limit"), _number(query, "offset")
    direction = query.get("direction", "asc")
    if direction not in {"asc", "desc"}:
        raise InvalidDataError(
            {"direction": [{"message": "Not a valid choice.", "constraint_id": "enum", "constraint": ["asc", "desc"]}]}
        )
    needle = query.get("search", "").casefold()
    found = [
        item
        for item in items
        if (not needle or any(needle in str(item[name] or "").casefold() for name in searched))
        and all(str(item[name] or "") in query[name].split(",") for name in exact if name in query)
    ]
    by = query.get("order", order)
    found.sort(key=lambda item: str(item.get(by, item[order]) or "").casefold(), reverse=direction == "desc")
    first = offset or 0
    return {"total": len(found), "items": found[first:] if limit is None else found[first : first + limit]}


def _number(query: Mapping[str, str], name: str) -> int | None:
    """Raises InvalidDataError."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST):
        raise InvalidDataError(
            {name: {"message": "Not a valid integer.", "constraint_id": "type", "constraint": "integer"}}
        )
    return int(text)
