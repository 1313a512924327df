"""The console's page and files, as they are served."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from yarl import URL

Client = TestClient[Request, Application]
PAGES = [
    "/",
    "/now",
    "/calls",
    "/calls/17",
    "/rules",
    "/exports",
    "/callbacks",
    "/coverage",
    "/system",
    "/sign-in",
    "/calls?search=a&order=b",
]
WEB = Path(str(files("bridge") / "web"))
FILES = [path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", PAGES)
async def test_each_path_of_the_console_has_its_page(client: Client, path: str) -> None:
    response = await client.get(path)
    assert response.status == 200
    assert response.content_type == "text/html"
    assert '<script type="module" src="/web/app.js">' in await response.text()


async def test_the_page_runs_only_what_is_its_own(client: Client) -> None:
    response = await client.get("/now")
    policy = response.headers["Content-Security-Policy"]
    (nonce,) = re.findall(r"'nonce-([A-Za-z0-9_-]{20,})'", policy)
    assert policy == (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    text = await response.text()
    assert f'<meta name="style-nonce" content="{nonce}">' in text
    assert "{{" not in text
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_each_page_has_another_nonce(client: Client) -> None:
    pages = {(await client.get("/now")).headers["Content-Security-Policy"] for _ in range(5)}
    assert len(pages) == 5


async def test_the_page_has_no_inline_script_or_style() -> None:
    text = (WEB / "index.html").read_text()
    assert "style=" not in text
    assert "<style" not in text
    assert not re.search(r"\son[a-z]+=", text)
    assert re.findall(r"<script[^>]*>", text) == ['<script type="module" src="/web/app.js">']


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("app.js", "text/javascript"),
        ("views/now.js", "text/javascript"),
        ("style.css", "text/css"),
        ("style/now.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_files_have_their_type_and_are_asked_for_again(client: Client, path: str, content_type: str) -> None:
    response = await client.get(f"/web/{path}")
    assert response.status == 200
    assert response.content_type == content_type
    assert response.headers["Cache-Control"] == "no-cache"
    assert await response.read() == (WEB / path).read_bytes()
    again = await client.get(f"/web/{path}", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status == 304
    assert await again.read() == b""
    other = await client.get(f"/web/{path}", headers={"If-None-Match": '"another"'})
    assert other.status == 200


async def test_all_files_that_the_page_names_are_there(client: Client) -> None:
    named = re.findall(r'(?:href|src)="(/web/[^"]+)"', (WEB / "index.html").read_text())
    assert len(named) > 5
    for path in named:
        assert (await client.get(path)).status == 200, path


@pytest.mark.parametrize(
    "path",
    [
        "/web/",
        "/web/views",
        "/web/../config.py",
        "/web/%2e%2e/config.py",
        "/web/..%2fconfig.py",
        "/web/views/..%2f..%2f..%2fconfig.py",
        "/web//etc/passwd",
        "/web/%2fetc%2fpasswd",
        "/web/app.js%00",
        "/web/app.js/",
        "/web/none.js",
        "/web/__init__.py",
    ],
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    response = await client.get(URL(path, encoded=True))
    assert response.status == 404, await response.text()


async def test_every_file_of_the_folder_is_of_a_kind_that_is_served(client: Client) -> None:
    assert len(FILES) > 20
    for path in FILES:
        assert (await client.get(f"/web/{path}")).status == 200, path


async def test_a_page_is_only_looked_at(client: Client) -> None:
    assert (await client.head("/now")).status == 200
    assert (await client.post("/now")).status == 405
