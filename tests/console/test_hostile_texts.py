"""Callers choose their names, and people write tags and notes: none of it becomes markup, a script or a link."""

from dataclasses import replace
from datetime import timedelta

from playwright.async_api import Browser, Page, expect

from bridge.core.ids import Identity
from bridge.core.people import Directory
from bridge.core.records import CallStatus
from bridge.core.rules import parse_rules
from bridge.core.rules_in_force import RulesInForce
from bridge.core.store import AddCdr
from tests.console.console import Console
from tests.console.test_call_of_the_store import KeepingHouse, house, party
from tests.storage import kept

__all__ = ["house"]

EVIL = "<img src=x onerror=pwned()>\"'><svg/onload=pwned()>"
LINK = "javascript:pwned()"
RULES = f"""\
rules:
  - id: 1
    name: '{EVIL.replace("'", "''")}'
    record: always
    tags: ["<b>x</b>"]
"""
ADDED = """() => {
  const foreign = [...document.querySelectorAll('img, script:not([type=module]), iframe, object, embed, b')];
  const links = [...document.querySelectorAll('[href], [src], [action]')].filter(one =>
    !/^(https?:|blob:|$)/.test(one.href?.baseVal ?? one.href ?? one.src ?? one.action ?? ''));
  const handlers = [...document.querySelectorAll('*')].filter(one => [...one.attributes].some(a => /^on/.test(a.name)));
  return [...foreign, ...links, ...handlers].map(one => one.outerHTML);
}"""


async def added(page: Page) -> object:
    """What data has brought into the page."""
    return await page.evaluate(ADDED)


async def test_no_text_of_a_caller_or_colleague_becomes_markup(house: KeepingHouse, browser: Browser) -> None:
    assert house.kept_in is not None
    house.rules = RulesInForce(
        parse_rules(((f"/etc/{EVIL}.yml", RULES),), Directory(())), ((f"/etc/{EVIL}.yml", RULES),)
    )
    await house.section(1, tags=("<b>x</b>", EVIL), reason=EVIL)
    cdr = replace(
        kept.cdr(), ended_at=kept.NOON + timedelta(seconds=12), talked_s=8.0, status=CallStatus.ANSWERED,
        source_name=EVIL, source_number=LINK, destination_name=EVIL, destination_number=LINK, dialed=EVIL, queue=EVIL,
        destination_identity=Identity("alice"),
    )  # fmt: skip
    parties = (party(178, EVIL, LINK, None), party(187, EVIL, "821", "alice"))
    await house.kept_in.commit([AddCdr(cdr, parties)])
    async with house.opened() as client:
        console = Console(house, browser, str(client.make_url("/")).rstrip("/"))
        page = await console.open("/calls/1")
        await expect(page.get_by_role("heading", level=1)).to_contain_text(EVIL)
        for label, text in (("New tag", "<img src=x onerror=pwned()>"), ("New tag", LINK), ("New note", EVIL)):
            await page.get_by_label(label).fill(text)
            await page.get_by_label(label).press("Control+Enter" if label == "New note" else "Enter")
            if label == "New note":
                await page.get_by_role("button", name="Add").nth(1).click()
            await expect(page.get_by_text(text, exact=True).first).to_be_visible()
        assert await added(page) == []
        for path in ("/calls", "/calls?search=%3Cimg%20src%3Dx%3E", "/rules", "/exports", "/coverage", "/now"):
            await page.goto(path)
            await expect(page.locator("main h1").first).to_be_visible()
            await page.wait_for_load_state("networkidle") if path != "/now" else None
            assert await added(page) == [], path
        await console.close()
        assert console.complaints == []


async def test_the_policy_of_the_pages_is_in_force(console: Console) -> None:
    console.expected.append(".")  # the browser complains of all that it forbids
    page = await console.open("/now")
    await expect(page.locator("#header")).to_contain_text("root")
    ran = await page.evaluate(
        """async () => {
          window.ran = [];
          const add = (make) => { const one = document.createElement('script'); make(one); document.body.append(one); };
          add(one => { one.textContent = 'ran.push("inline")'; });
          add(one => { one.src = 'data:text/javascript,ran.push("data")'; });
          add(one => { one.src = URL.createObjectURL(new Blob(['ran.push("blob")'], {type: 'text/javascript'})); });
          add(one => { one.src = '/api/v1/calls'; });
          const nonce = document.querySelector('meta[name=style-nonce]').content;
          add(one => { one.nonce = nonce; one.textContent = 'ran.push("nonce")'; });
          const box = document.createElement('div');
          box.innerHTML = '<img src=x onerror="ran.push(1)"><a id=js href="javascript:ran.push(2)">x</a>';
          document.body.append(box);
          document.getElementById('js').click();
          // What playwright runs may do this itself; what runs later is the page's.
          await new Promise(done => setTimeout(() => {
            try { eval('ran.push("eval")'); } catch {}
            try { new Function('ran.push("function")')(); } catch {}
            done();
          }));
          await import('data:text/javascript,ran.push("import")').catch(() => {});
          const frame = document.createElement('iframe');
          frame.srcdoc = '<script>parent.ran.push("frame")</' + 'script>';
          document.body.append(frame);
          await fetch('https://elsewhere.invalid/').catch(() => {});
          await new Promise(done => setTimeout(done, 300));
          return window.ran;
        }"""
    )
    assert ran == []
