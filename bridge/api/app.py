"""The HTTP application: which path is whose."""

from aiohttp import web

from bridge.api import (
    calls,
    cdr,
    cdrs,
    console,
    coverage,
    exports,
    health,
    holds,
    journal,
    monitor,
    openapi,
    operations,
    peaks,
    pitel,
    records,
    requests,
    rules,
    session,
    status,
    streams,
    webhooks,
)
from bridge.api import metrics as show_metrics
from bridge.api.auth import AUTHENTICATOR, Authenticator
from bridge.api.dependencies import DEPENDENCIES, Dependencies
from bridge.api.handouts import HANDOUTS, Handouts
from bridge.api.http_numbers import HTTP
from bridge.api.metrics import METRICS, Metrics
from bridge.api.pascom import http as pascom_http
from bridge.api.tickets import TICKETS, Tickets
from bridge.api.wazo import routes as wazo

__all__ = ["Dependencies", "create_app", "runner"]

_MOST_BODY = 64 * 1024

OPERATIONS = (
    *health.OPERATIONS,
    *show_metrics.OPERATIONS,
    *openapi.OPERATIONS,
    *records.OPERATIONS,
    *peaks.OPERATIONS,
    *journal.OPERATIONS,
    *calls.OPERATIONS,
    *coverage.OPERATIONS,
    *monitor.OPERATIONS,
    *streams.OPERATIONS,
    *webhooks.OPERATIONS,
    *pascom_http.OPERATIONS,
    *pitel.OPERATIONS,
    *wazo.OPERATIONS,
    *exports.OPERATIONS,
    *session.OPERATIONS,
    *status.OPERATIONS,
    *cdrs.OPERATIONS,
    *cdr.OPERATIONS,
    *holds.OPERATIONS,
    *rules.OPERATIONS,
    *console.OPERATIONS,
)
"""Our own paths, the console's, and those of pascom, PITEL and Wazo."""


def create_app(deps: Dependencies, *, keepalive_s: float = 15.0, metrics: Metrics | None = None) -> web.Application:
    """The application. `keepalive_s` is how long a live stream may be silent; `metrics` counts what happens.

    Run it with `runner`, which keeps query strings out of the log.
    """
    app = web.Application(middlewares=[requests.log_access, requests.error_bodies], client_max_size=_MOST_BODY)
    app[DEPENDENCIES] = deps
    app[AUTHENTICATOR] = Authenticator(deps)
    app[TICKETS] = Tickets()
    app[rules.MATCHES] = rules.WeekOfMatches(deps)
    app[HANDOUTS] = Handouts(deps)
    app[streams.KEEPALIVE_S] = keepalive_s
    app[METRICS] = metrics = metrics or Metrics()
    app[HTTP] = metrics.http
    app[openapi.DOCUMENT] = openapi.Document(OPERATIONS)
    app.on_response_prepare.append(requests.add_headers)
    app.on_shutdown.append(_end_streams)
    operations.add_routes(app.router, OPERATIONS)
    wazo.add_routes(app.router)
    app.router.add_route("*", r"/{rest:[\s\S]*}", requests.nothing_here, expect_handler=requests.expected)
    return app


def runner(app: web.Application) -> web.AppRunner:
    """What serves the application. aiohttp's own access log would show tickets; ours does not."""
    return web.AppRunner(app, access_log=None, logger=requests.SERVER_LOG, shutdown_timeout=5)


async def _end_streams(app: web.Application) -> None:
    app[DEPENDENCIES].hub.close()
