"""The session over TLS, in a real browser: it takes the cookie, keeps it from scripts, and comes in with it."""

import subprocess
from pathlib import Path

from playwright.async_api import Browser, expect

from bridge.api.app import create_app
from bridge.config import HttpConfig, TlsConfig
from bridge.core.access import Role
from bridge.feed.stream import Hub
from bridge.listening import listening
from tests.api.house import ROOT, House
from tests.demo.daemon import free_port


def certificate(folder: Path) -> TlsConfig:
    made = TlsConfig.model_validate({"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")})
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=localhost", "-keyout", made.key, "-out", made.certificate,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return made


async def test_over_tls_the_browser_keeps_a_cookie_for_this_host_alone(
    house: House, browser: Browser, tmp_path: Path
) -> None:
    http = HttpConfig(listen=f"127.0.0.1:{free_port()}", tls=certificate(tmp_path))
    house.hub = Hub(house.store)
    plain = (await house.token(ROOT, Role.ADMIN))["Authorization"].removeprefix("Bearer ")
    async with listening(create_app(house.dependencies()), http):
        context = await browser.new_context(base_url=http.base_url, ignore_https_errors=True)
        page = await context.new_page()
        await page.goto("/")
        await page.get_by_label("Token").fill(plain)
        await page.keyboard.press("Enter")
        await expect(page.locator("tr.now-call")).to_have_count(1)
        (cookie,) = await context.cookies()
        assert cookie["name"] == "__Host-recbridge_session"
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        assert plain not in cookie["value"]
        assert await page.evaluate("document.cookie") == ""
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        assert await context.cookies() == []
        await context.close()
