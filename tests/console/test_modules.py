"""Every file of the console is valid, and none makes markup out of data."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.console.console import Console

WEB = Path(str(files("bridge") / "web"))
VENDORED = "vendor/"
MODULES = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js"))
OWN = [path for path in MODULES if not path.startswith(VENDORED)]
STYLES = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*.css"))
MARKUP = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|createContextualFragment|DOMParser|eval|document\.write)\b"
    r"|\bnew Function\b|\bset(?:Timeout|Interval)\(\s*[\"'`]"
    r"|\bsetAttribute\(\s*[\"'](?:style|on)"
)


async def test_each_module_is_imported_without_an_error(console: Console) -> None:
    page = await console.page(await console.context())
    await page.goto("/sign-in")
    assert len(MODULES) > 15
    for path in MODULES:
        wrong = await page.evaluate(
            "path => import(path).then(() => null, error => `${error.name}: ${error.message}`)", f"/web/{path}"
        )
        assert wrong is None, f"{path}: {wrong}"


async def test_each_view_has_a_title_and_shows_itself(console: Console) -> None:
    page = await console.page(await console.context())
    await page.goto("/sign-in")
    views = [path for path in MODULES if path.startswith("views/") and path.count("/") == 1]
    shapes = await page.evaluate(
        "paths => Promise.all(paths.map(async path => {"
        " const view = await import(path); return [path, typeof view.title, typeof view.show]; }))",
        [f"/web/{path}" for path in views],
    )
    parts = {path for path, title, show in shapes if (title, show) != ("string", "function")}
    named = set(re.findall(r'name: "([a-z-]+)"|under: "([a-z-]+)"', (WEB / "places.js").read_text()))
    wanted = {f"/web/views/{a or b}.js" for a, b in named} | {"/web/views/sign-in.js"}
    assert wanted <= {path for path, _, _ in shapes}
    assert not (parts & wanted)


async def test_each_style_sheet_is_read(console: Console) -> None:
    page = await console.page(await console.context())
    await page.goto("/sign-in")
    read = await page.evaluate("[...document.styleSheets].map(sheet => [sheet.href, sheet.cssRules.length])")
    assert {href.removeprefix(f"{console.url}/web/") for href, _ in read} == set(STYLES)


@pytest.mark.parametrize("path", OWN)
def test_no_module_makes_markup_or_code_out_of_text(path: str) -> None:
    lines = (WEB / path).read_text().splitlines()
    found = [f"{path}:{at}: {line.strip()}" for at, line in enumerate(lines, 1) if MARKUP.search(line)]
    assert found == []


@pytest.mark.parametrize(
    "line", ["x.innerHTML = a;", 'setTimeout("f()", 1)', "new Function(a)", 'a.setAttribute("style", b)']
)
def test_such_a_line_would_be_found(line: str) -> None:
    assert MARKUP.search(line)


@pytest.mark.parametrize("path", OWN)
def test_nothing_is_loaded_from_elsewhere(path: str) -> None:
    text = (WEB / path).read_text()
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
    comments = re.sub(r"/\*.*?\*/|//[^\n]*", "", text.replace("http://www.w3.org/2000/svg", ""), flags=re.DOTALL)
    assert not {one for one in addresses if one in comments}
