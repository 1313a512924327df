"""XML that means harm, or is none: always an answer, never a 500, and out comes what any parser reads."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from defusedxml.ElementTree import fromstring
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.api.pascom import shapes
from bridge.api.pascom.xml import clean, to_text
from bridge.core.access import Reader, Role, Scope
from bridge.core.ids import ChannelName, FactNumber, Identity
from bridge.core.records import JournalResult, NumberedEntry
from bridge.core.views import journal_item, record_entry, section_event
from tests.api.house import ALICE, BOB, House, Scripted
from tests.api.test_pascom import NS, START, SUCCESS, cmd, failed, post
from tests.storage import kept

Client = TestClient[Request, Application]
PLAIN = cmd("monitor", START)
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "billion laughs": f'<!DOCTYPE cmd [<!ENTITY l0 "lol">{LAUGHS}]>{cmd("monitor", "<Start>&l9;</Start>")}',
    "quadratic": f'<!DOCTYPE cmd [<!ENTITY a "{"a" * 9000}">]><cmd>{"&a;" * 5000}</cmd>',
    "dtd": f"<!DOCTYPE cmd>{PLAIN}",
    "external dtd": f'<!DOCTYPE cmd SYSTEM "http://127.0.0.1:1/x.dtd">{PLAIN}',
    "xxe": f'<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]>{cmd("monitor", "<Start>&x;</Start>")}',
    "parameter entity": f'<!DOCTYPE c [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>{PLAIN}',
    "unknown entity": cmd("monitor", '<Start channel="&nbsp;"/>'),
    "attribute default": f'<!DOCTYPE c [<!ATTLIST Start channel CDATA "PJSIP/bob-1">]>{cmd("monitor", "<Start/>")}',
    "ten thousand deep": "<a>" * 10_000,
    "ten thousand deep and closed": "<a>" * 9_000 + "</a>" * 9_000,
    "deep in a command": cmd("monitor", "<a>" * 2_000 + "</a>" * 2_000),
    "many elements": cmd("monitor", f"<Start>{'<a/>' * 12_000}</Start>"),
    "many attributes": cmd("monitor", "<Start " + " ".join(f'a{n}="1"' for n in range(6_000)) + "/>"),
    "same attribute twice": cmd("monitor", '<Start channel="a" channel="b"/>'),
    "nul": cmd("monitor", '<Start channel="a\0b"/>'),
    "nul as a reference": cmd("monitor", '<Start channel="a&#0;b"/>'),
    "surrogate as a reference": cmd("monitor", '<Start channel="&#xD800;"/>'),
    "not closed": PLAIN[:-1],
    "two roots": PLAIN * 2,
    "text behind": f"{PLAIN}x",
    "unbound prefix": f'<p:cmd module="monitor">{START}</p:cmd>',
    "empty": "",
    "blank": "  \n ",
    "no xml": '{"channel": "PJSIP/bob-1"}',
    "half a comment": f"<!-- {PLAIN}",
}


@pytest.fixture
def script(house: House) -> Scripted:
    house.control = control = Scripted()
    return control


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_xml_is_refused_and_asks_nobody(
    script: Scripted, house: House, client: Client, name: str
) -> None:
    headers = await house.token(BOB)
    text, root = await post(client, HOSTILE[name], headers)
    assert failed(root)[0] in {"invalid-xml", "invalid-command", "invalid-request", "body-too-large", "no-such-command"}
    assert "root:" not in text
    assert script.asked == []
    assert (await post(client, PLAIN, headers))[0] == SUCCESS


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_frame_with_it_is_refused_and_the_next_answered(house: House, client: Client, name: str) -> None:
    document = HOSTILE[name]
    async with client.ws_connect("/api/v1/ws", headers=await house.token(BOB)) as socket:
        await socket.send_str(document)
        if document.startswith("<"):
            assert failed(fromstring(await socket.receive_str(timeout=30)))[0] != "internal-error"
        await socket.send_str(PLAIN)
        assert await socket.receive_str(timeout=30) == SUCCESS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "us-ascii"])
async def test_encodings_that_xml_parsers_know_are_read(
    script: Scripted, house: House, client: Client, encoding: str
) -> None:
    said = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    channel = "PJSIP/bob-1" if encoding == "us-ascii" else "PJSIP/bö-1"
    document = f'<?xml version="1.0" encoding="{said.upper()}"?>' + cmd("monitor", f'<Start channel="{channel}"/>')
    assert (await post(client, document.encode(encoding), await house.token(BOB)))[0] == SUCCESS
    assert script.asked[0][1] == channel


@pytest.mark.parametrize(
    "declared", ["utf-7", "utf-32", "idna", "punycode", "base64", "unicode_escape", "cp1252", "x" * 300, "utf-16"]
)
async def test_others_are_not(script: Scripted, house: House, client: Client, declared: str) -> None:
    document = f'<?xml version="1.0" encoding="{declared}"?>{PLAIN}'.encode()
    assert failed((await post(client, document, await house.token(BOB)))[1])[0] == "invalid-xml"
    assert script.asked == []


@pytest.mark.parametrize(
    "document", [b"\xff\xfe", b"\xef\xbb\xbf", PLAIN.encode().replace(b"SIP", b"\xc3\x28"), b"\x00"]
)
async def test_bytes_of_no_encoding_are_refused(house: House, client: Client, document: bytes) -> None:
    assert failed((await post(client, document, await house.token(BOB)))[1])[0] == "invalid-xml"


async def test_a_frame_longer_than_may_be_closes_with_1009(house: House, client: Client) -> None:
    async with client.ws_connect("/api/v1/ws", headers=await house.token(BOB)) as socket:
        await socket.send_str(cmd("monitor", f'<Start channel="{"x" * 1_000_000}"/>'))
        message = await socket.receive(timeout=30)
        assert message.data == 1009


async def test_what_a_client_sends_is_no_line_of_the_log(
    house: House, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = await house.token(BOB)
    for command in ('<Start channel="x&#10;forged&#27;[2J"/>', '<Forged id="forged&#10;line"/>', "<FindRecord forged="):
        await post(client, cmd("monitor", command), headers)
    await post(client, cmd("forged&#10;module", START), headers)
    assert "forged" not in "".join(capsys.readouterr())


_bits = [PLAIN, START, f'<cmd xmlns="{NS}" module="', '<iq id="1" type="get">', "</iq>", "</cmd>", "<", ">", "&#", ";"]
_bits += ['"', "<![CDATA[", "]]>", "<?xml ?>", "<!--", "-->", "<!DOCTYPE x [", "monitor", "event", "\0", "\ufffe"]
_bits += ["<AddSubscription>", '<Subscription module="journal" type="*"/>', "</AddSubscription>", '<FindOwn limit="']
_documents = st.lists(st.sampled_from(_bits) | st.text(max_size=4), max_size=12).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=200) | _documents.map(lambda text: text.encode("utf-8", "replace")), max_size=8))
def test_whatever_comes_there_is_one_answer_in_xml(documents: list[bytes]) -> None:
    asyncio.run(_all_answered(documents))


async def _all_answered(documents: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        async with house.opened() as client:
            headers = await house.token(BOB)
            for document in documents:
                text, _ = await post(client, document, headers)
                assert "internal-error" not in text


# Everything that may stand in Asterisk's texts: its bytes that are no UTF-8 come as lone surrogates.
_texts = st.text(
    st.characters() | st.sampled_from("\0\x01\x1b\t\n\r<>&\"']\ufffe\uffff\ud800\udcff\U0010ffff"), max_size=20
)


@settings(max_examples=300, deadline=None)
@given(_texts, _texts, _texts)
@example("\r\n ]]> />", "a\tb", "\udcc3")
def test_any_text_comes_back_as_it_was(name: str, number: str, channel: str) -> None:
    entry = kept.entry()
    values: dict[str, Any] = {"name": name, "number": number, "device_name": channel, "result": JournalResult.BUSY}
    item = journal_item(NumberedEntry(FactNumber(1), replace(entry, **values)))
    root = fromstring(to_text(shapes.message(shapes.journal_list([item]), Identity(name))))
    said = {child.tag: child.text or "" for child in root[0][0][0]}
    assert root.get("to") == clean(name)
    assert said[f"{{{NS}}}name"] == clean(name)
    assert said[f"{{{NS}}}number"] == clean(number)
    reader = Reader(ALICE, Role.ADMIN, frozenset(Scope))
    section = replace(kept.section(), owner=Identity(name), headchannel=ChannelName(channel))
    event = section_event(section, reader)
    assert event is not None
    root = fromstring(to_text(shapes.cmd("monitor", shapes.record_event(event))))
    assert root[0].get("identity") == clean(name)
    assert (root[0][0].text or "") == clean(channel)
    found = record_entry(kept.RECORD, [section], [], reader)
    assert found is not None
    assert fromstring(to_text(shapes.record_entry(found)))[0].get("id") == kept.RECORD


@given(_texts)
def test_only_what_xml_cannot_carry_is_replaced(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    for was, now in zip(text, cleaned, strict=True):
        carried = was in "\t\n\r" or (was >= " " and not "\ud800" <= was <= "\udfff" and was not in "\ufffe\uffff")
        assert now == (was if carried else "\ufffd")
