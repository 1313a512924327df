"""Which of Wazo's paths is whose.

wazo-call-logd, -calld, -confd and -auth each have a port of their own, or a prefix on a shared one: the clients speak
to ours with `prefix=None` or with their prefix.
"""

import functools

from aiohttp import web

from bridge.api import requests
from bridge.api.wazo import service
from bridge.api.wazo.access import with_access

_CALL_LOGD = ("/1.0", "/api/call-logd/1.0")
_CALLD = ("/1.0", "/api/calld/1.0")
_CONFD = ("/1.1", "/api/confd/1.1")
_AUTH = ("/0.1", "/api/auth/0.1")


def add_routes(router: web.UrlDispatcher) -> None:
    """Add all of them."""
    for root in sorted({*_CALL_LOGD, *_CALLD, *_CONFD, *_AUTH}):
        router.add_head(root, service.reachable, expect_handler=requests.expected)
    for root in _CALL_LOGD:
        _add_call_logd(router, root)
    # wazo-calld (_CALLD), wazo-confd (_CONFD) and wazo-auth (_AUTH) go here, each in a function of its own.


def _add_call_logd(router: web.UrlDispatcher, root: str) -> None:
    get = functools.partial(router.add_get, expect_handler=requests.expected)
    get(f"{root}/status", with_access(service.status))
    get(f"{root}/config", with_access(service.config))
