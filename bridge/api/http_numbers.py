"""Counts requests by the route that took them: never by their path, which holds ids and grows without bound."""

from collections import Counter
from typing import Final

from aiohttp import web

from bridge.core.histograms import Histogram

_BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_CATCH_ALL = "/{rest}"
OTHER: Final = "other"


class HttpNumbers:
    """`requests` by route, method and class of the status (`2xx`); `durations` by route.

    Streams last as long as their reader likes: they are counted, and not timed.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.durations: dict[str, Histogram] = {}

    def count(self, request: web.Request, response: web.StreamResponse | None, status: int, duration_s: float) -> None:
        """One that is over; `response` None: there was no answer."""
        route = _template(request)
        method = request.method if request.method in _METHODS else OTHER
        self.requests[route, method, f"{status // 100}xx"] += 1
        if status == 101 or (response is not None and response.content_type == "text/event-stream"):
            return
        durations = self.durations.get(route)
        if durations is None:
            durations = self.durations[route] = Histogram(_BOUNDS_S)
        durations.observe(duration_s)


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    canonical = resource.canonical if resource is not None else _CATCH_ALL
    return OTHER if canonical == _CATCH_ALL else canonical


HTTP = web.AppKey("http", HttpNumbers)
