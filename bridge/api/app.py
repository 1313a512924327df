"""The HTTP application: which path is whose."""

import functools
from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.api import (
    calls,
    coverage,
    health,
    journal,
    monitor,
    operations,
    pitel,
    records,
    requests,
    streams,
    webhooks,
)
from bridge.api.auth import AUTHENTICATOR, Access, Authenticator
from bridge.api.dependencies import DEPENDENCIES, Dependencies
from bridge.api.metrics import METRICS, Metrics
from bridge.api.metrics import metrics as show_metrics
from bridge.api.pascom import http as pascom_http
from bridge.api.tickets import TICKETS, Tickets
from bridge.api.wazo import routes as wazo

__all__ = ["Dependencies", "create_app", "runner"]

_MOST_BODY = 64 * 1024

OPERATIONS = (*calls.OPERATIONS,)
"""Our own API."""


def create_app(deps: Dependencies, *, keepalive_s: float = 15.0, metrics: Metrics | None = None) -> web.Application:
    """The application. `keepalive_s` is how long a live stream may be silent; `metrics` counts what happens.

    Run it with `runner`, which keeps query strings out of the log.
    """
    app = web.Application(middlewares=[requests.log_access, requests.error_bodies], client_max_size=_MOST_BODY)
    app[DEPENDENCIES] = deps
    app[AUTHENTICATOR] = Authenticator(deps)
    app[TICKETS] = Tickets()
    app[streams.KEEPALIVE_S] = keepalive_s
    app[METRICS] = metrics or Metrics()
    app.on_response_prepare.append(requests.add_headers)
    app.on_shutdown.append(_end_streams)
    get = functools.partial(app.router.add_get, expect_handler=requests.expected)
    post = functools.partial(app.router.add_post, expect_handler=requests.expected)
    get("/health", health.health)
    get("/ready", health.ready)
    get("/metrics", show_metrics)
    get("/api/v1/records/{record_id}", _with_token(records.record))
    get("/api/v1/records/{record_id}/{rule_id}/{file}", records.section_audio)
    post("/api/v1/tickets", _with_token(records.new_ticket))
    get("/api/v1/journal", _with_token(journal.journal))
    get("/api/v1/coverage", _with_token(coverage.coverage))
    post("/api/v1/monitor/start", _with_token(monitor.start))
    post("/api/v1/monitor/stop", _with_token(monitor.stop))
    post("/api/v1/monitor/pause", _with_token(monitor.pause))
    post("/api/v1/monitor/resume", _with_token(monitor.resume))
    post("/api/v1/cmd", pascom_http.cmd)
    get("/v3/monitor", _with_token(pitel.monitor))
    get("/api/v1/stream", _with_token(streams.stream), allow_head=False)
    get("/api/v1/ws", _with_token(streams.ws), allow_head=False)
    operations.add_routes(app.router, OPERATIONS)
    webhooks.add_routes(app.router)
    wazo.add_routes(app.router)
    app.router.add_route("*", r"/{rest:[\s\S]*}", requests.nothing_here, expect_handler=requests.expected)
    return app


def runner(app: web.Application) -> web.AppRunner:
    """What serves the application. aiohttp's own access log would show tickets; ours does not."""
    return web.AppRunner(app, access_log=None, logger=requests.SERVER_LOG, shutdown_timeout=5)


def _with_token(handler: Callable[[web.Request, Access], Awaitable[web.StreamResponse]]) -> requests.Handler:
    async def with_token(request: web.Request) -> web.StreamResponse:
        return await handler(request, await request.app[AUTHENTICATOR].access(request))

    return with_token


async def _end_streams(app: web.Application) -> None:
    app[DEPENDENCIES].hub.close()
