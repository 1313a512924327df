"""Which of Wazo's paths is whose.

wazo-call-logd, -calld, -confd and -auth each have a port of their own, or a prefix on a shared one: the clients speak
to ours with `prefix=None` or with their prefix.
"""

import functools

from aiohttp import web

from bridge.api import requests
from bridge.api.wazo import calls, cdr, exports, features, media, retention, service, token, users
from bridge.api.wazo.access import with_access
from bridge.core.commands import Verb

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
    for root in _CALLD:
        _add_calld(router, root)
    for root in _CONFD:
        _add_confd(router, root)
    for root in _AUTH:
        _add_auth(router, root)


def _add_call_logd(router: web.UrlDispatcher, root: str) -> None:
    get = functools.partial(router.add_get, expect_handler=requests.expected)
    post = functools.partial(router.add_post, expect_handler=requests.expected)
    put = functools.partial(router.add_put, expect_handler=requests.expected)
    delete = functools.partial(router.add_delete, expect_handler=requests.expected)
    one_media = "cdr/{cdr_id}/recordings/{recording_uuid}/media"
    # ?token= where wazo-call-logd takes it: what a browser or a link in a mail may open.
    get(f"{root}/cdr", with_access(cdr.all_calls, token_in_query=True))
    get(f"{root}/cdr/{{cdr_id}}", with_access(cdr.one_call))
    get(f"{root}/users/me/cdr", with_access(cdr.my_calls, token_in_query=True))
    get(f"{root}/users/{{user_uuid}}/cdr", with_access(cdr.calls_of_user, token_in_query=True))
    get(f"{root}/{one_media}", with_access(media.media, token_in_query=True))
    get(f"{root}/users/me/{one_media}", with_access(media.my_media))
    delete(f"{root}/{one_media}", with_access(media.delete_one))
    delete(f"{root}/cdr/recordings/media", with_access(media.delete_many))
    post(f"{root}/cdr/recordings/media/export", with_access(exports.new_export))
    get(f"{root}/exports/{{export_uuid}}", with_access(exports.one_export))
    get(f"{root}/exports/{{export_uuid}}/download", with_access(exports.download, token_in_query=True))
    delete(f"{root}/exports/{{export_uuid}}", with_access(exports.cancel))
    get(f"{root}/retention", with_access(retention.show))
    put(f"{root}/retention", with_access(retention.put))
    get(f"{root}/status", with_access(service.status))
    get(f"{root}/config", with_access(service.config))


def _add_calld(router: web.UrlDispatcher, root: str) -> None:
    get = functools.partial(router.add_get, expect_handler=requests.expected)
    put = functools.partial(router.add_put, expect_handler=requests.expected)
    get(f"{root}/calls", with_access(calls.calls))
    get(f"{root}/calls/{{call_id}}", with_access(calls.call))
    get(f"{root}/users/me/calls", with_access(calls.my_calls))
    for verb in Verb:
        put(f"{root}/calls/{{call_id}}/record/{verb}", with_access(calls.record(verb, own=False)))
        put(f"{root}/users/me/calls/{{call_id}}/record/{verb}", with_access(calls.record(verb, own=True)))


def _add_confd(router: web.UrlDispatcher, root: str) -> None:
    get = functools.partial(router.add_get, expect_handler=requests.expected)
    put = functools.partial(router.add_put, expect_handler=requests.expected)
    get(f"{root}/users", with_access(users.users))
    get(f"{root}/users/{{user_id}}", with_access(users.user))
    put(f"{root}/users/{{user_id}}", with_access(users.change_user))
    get(f"{root}/extensions/features", with_access(features.features))
    get(f"{root}/extensions/features/{{feature_id}}", with_access(features.feature))
    put(f"{root}/extensions/features/{{feature_id}}", with_access(features.change_feature))


def _add_auth(router: web.UrlDispatcher, root: str) -> None:
    path = f"{root}/token/{{token}}"
    router.add_post(f"{root}/token", token.new_token, expect_handler=requests.expected)
    router.add_get(path, token.token, allow_head=False, expect_handler=requests.expected)
    router.add_head(path, token.check_token, expect_handler=requests.expected)
    router.add_delete(path, token.revoke_token, expect_handler=requests.expected)
    router.add_post(f"{path}/scopes/check", token.check_scopes, expect_handler=requests.expected)
