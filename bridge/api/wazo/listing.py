"""Lists as wazo-confd gives them: searched, ordered and cut."""

from collections.abc import Sequence
from typing import Annotated

from bridge.api.wazo.kinds import TEXT, choice, number
from bridge.api.wazo.parsing import WazoFields
from bridge.core.views import Json

_NUMBER = number(digits=10)


class PageQuery(WazoFields):
    """A part of a sorted list."""

    limit: Annotated[int | None, _NUMBER] = None
    offset: Annotated[int | None, _NUMBER] = None
    direction: Annotated[str | None, choice("asc", "desc")] = None
    order: Annotated[str | None, TEXT] = None
    search: Annotated[str | None, TEXT] = None


def page(
    wanted: PageQuery, items: Sequence[Json], *, searched: Sequence[str], exact: Sequence[str], order: str
) -> Json:
    """`{"total", "items"}`: `total` counts all that was found, `items` are those of `limit` and `offset`.

    `search` is looked for in the fields `searched`, in upper or lower case; where one of the fields `exact` was given,
    its value has to be one of those. `order` is any field of the items (else this one). What is not known is ignored.
    """
    needle = (wanted.search or "").casefold()
    given = {name: getattr(wanted, name) for name in exact if name in wanted.model_fields_set}
    found = [
        item
        for item in items
        if (not needle or any(needle in str(item[name] or "").casefold() for name in searched))
        and all(str(item[name] or "") in values for name, values in given.items())
    ]
    by = wanted.order if wanted.order is not None else order
    found.sort(key=lambda item: str(item.get(by, item[order]) or "").casefold(), reverse=wanted.direction == "desc")
    rest = found[wanted.offset or 0 :]
    return {"total": len(found), "items": rest if wanted.limit is None else rest[: wanted.limit]}
