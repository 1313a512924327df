"""A page of another origin in the same browser, beside one who is signed in: it gets nowhere."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from bridge.core.access import Role
from bridge.core.commands import Verb
from bridge.core.ids import FactNumber
from bridge.core.records import FactKind
from tests.api.house import ROOT, Scripted, url
from tests.console.console import Console

HOSTILE = """<!doctype html><title>other</title>
<form id=f method=post enctype=text/plain target=_self><input name='{"channel": "1.1", "x":"' value='"}'></form>"""


@pytest.fixture
async def other() -> AsyncIterator[str]:
    """A page on another port of the same host: SameSite does not keep the cookie from it."""

    async def page(request: web.Request) -> web.Response:  # noqa: ARG001  # aiohttp's shape
        return web.Response(text=HOSTILE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    server = TestServer(app)
    await server.start_server()
    yield str(server.make_url("/"))
    await server.close()


async def test_a_page_on_another_port_can_do_and_see_nothing(console: Console, other: str) -> None:
    console.expected.append(".")  # the browser complains of all that it forbids this page
    control = console.house.control
    assert isinstance(control, Scripted)
    context = await console.context()
    await console.sign_in(context)
    page = await console.page(context)
    statuses: dict[str, list[int]] = {}
    page.on("response", lambda answer: statuses.setdefault(answer.url, []).append(answer.status))
    await page.goto(other)
    answers = await page.evaluate(
        """async url => {
          const told = [];
          const ask = (path, init) => fetch(url + path, {credentials: 'include', ...init})
            .then(answer => told.push(answer.type === 'opaque' ? 'opaque' : answer.status), () => told.push('refused'));
          const opened = what => new Promise(done => {
            what.onopen = () => done('open');
            what.onerror = () => done('refused');
          });
          const body = '{"channel": "1.1"}';
          await ask('/api/v1/calls', {});
          await ask('/api/v1/calls', {mode: 'no-cors'});
          await ask('/api/v1/monitor/start', {method: 'POST', mode: 'no-cors', body});
          await ask('/api/v1/monitor/start', {method: 'POST', body});
          await ask('/api/v1/session', {method: 'DELETE'});
          const socket = new WebSocket(url.replace('http', 'ws') + '/api/v1/ws');
          told.push(await opened(socket));
          const source = new EventSource(url + '/api/v1/stream', {withCredentials: true});
          told.push(await opened(source));
          source.close();
          return told;
        }""",
        console.url,
    )
    assert not {200, 201, 204, "open"} & set(answers), answers
    await page.evaluate(
        "url => { const form = document.querySelector('form'); form.action = url; form.submit(); }",
        f"{console.url}/api/v1/monitor/start",
    )
    await expect(page.locator("body")).to_contain_text("cross-site")
    assert control.asked == []
    seen = {status for address, found in statuses.items() if "/api/" in address for status in found}
    assert seen <= {403, 404, 405}, statuses
    own = await console.page(context)
    await own.goto("/now")
    await expect(own.locator("tr.now-call")).to_have_count(1)
    await expect(own.get_by_role("button", name="Sign out")).to_be_visible()
    assert Verb.START not in [verb for verb, _, _ in control.asked]


async def test_the_console_is_shown_in_no_other_page(console: Console, other: str) -> None:
    console.expected.append(".")
    context = await console.context()
    page = await console.page(context)
    await page.goto(other)
    await page.evaluate(
        "url => new Promise(done => { const frame = document.createElement('iframe'); frame.onload = done;"
        " frame.src = url; document.body.append(frame); })",
        f"{console.url}/sign-in",
    )
    assert [frame.url for frame in page.frames if frame.url.startswith(console.url)] == []


async def test_over_plain_http_a_page_on_another_port_plays_nothing_in_anothers_name(
    console: Console, other: str
) -> None:
    console.expected.append(".")
    console.url = console.url.replace("127.0.0.1", "pbx.test")
    audio = url(await console.house.section())
    page = await console.page(await console.context())
    await page.goto("/now")
    plain = (await console.house.token(ROOT, Role.ADMIN))["Authorization"].removeprefix("Bearer ")
    await page.get_by_label("Token").fill(plain)
    await page.keyboard.press("Enter")
    await expect(page.locator("tr.now-call")).to_have_count(1)
    await page.goto(other.replace("127.0.0.1", "pbx.test"))
    fetched = "url => fetch(url, {mode: 'no-cors', credentials: 'include'}).then(got => got.status, () => 0)"
    assert await page.evaluate(fetched, console.url + audio) == 0
    assert await console.house.store.facts_after(FactNumber(0), 10) == []
    await page.goto(f"{console.url}/now")
    assert await page.evaluate(fetched, audio) == 200
    (fact,) = await console.house.store.facts_after(FactNumber(0), 10)
    assert fact.fact.kind is FactKind.RECORDING_PLAYED
