"""pascom's commands over HTTP: who may, what is asked, and the XML of the answers, to the letter."""

from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from defusedxml.ElementTree import fromstring

from bridge.api.pascom import shapes
from bridge.api.pascom.xml import to_text
from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import Verb
from bridge.core.errors import (
    AlreadyRecordingError,
    NotConfirmedError,
    StoreError,
    UnknownChannelError,
)
from bridge.core.ids import Identity
from bridge.core.records import SectionState, SectionType
from bridge.core.store import AddJournalEntry
from bridge.core.views import section_event
from tests.api.house import ALICE, BOB, CAROL, ROOT, WAV, House, Scripted, error_of, journal_entry
from tests.storage import kept

Client = TestClient[Request, Application]
CMD = "/api/v1/cmd"
NS = "http://www.pascom.net/mobydick"
LOOKING = [scope for scope in Scope if scope is not Scope.CONTROL]
START = '<Start channel="SIP/xlite1-00000003"/>'
TRANSFER = (
    f'<InitTransfer recordId="{kept.RECORD}" ruleId="1" file="1" format="wav" '
    f'description="monitor_{kept.RECORD}_1_1_wav@player"/>'
)


def cmd(module: str, command: str) -> str:
    return f'<cmd xmlns="{NS}" module="{module}">{command}</cmd>'


async def post(
    client: Client, document: str | bytes, headers: dict[str, str], content_type: str = "text/xml"
) -> tuple[str, Element]:
    response = await client.post(CMD, data=document, headers={**headers, "Content-Type": content_type})
    text = await response.text()
    assert response.status == 200, text
    assert response.content_type == content_type
    assert response.charset == "utf-8"
    return text, fromstring(text)


def failed(root: Element) -> tuple[str, str]:
    """A base.Failure's code and words."""
    (failure,) = root
    assert (root.tag, root.get("module"), failure.tag) == (f"{{{NS}}}cmd", "base", f"{{{NS}}}Failure")
    (message,) = failure
    assert message.tag == f"{{{NS}}}message"
    return failure.get("code", ""), message.text or ""


SUCCESS = f'<cmd xmlns="{NS}" module="base"><Success><message>Ok</message></Success></cmd>'


@pytest.fixture
def script(house: House) -> Scripted:
    house.control = control = Scripted()
    return control


@pytest.mark.parametrize(("command", "verb"), [("Start", Verb.START), ("Stop", Verb.STOP)])
async def test_start_and_stop_are_given_on(
    script: Scripted, house: House, client: Client, command: str, verb: Verb
) -> None:
    document = cmd("monitor", f'<{command} channel="SIP/xlite1-00000003" color="red"/>')
    text, _ = await post(client, document, await house.token(BOB))
    assert text == SUCCESS
    ((asked, channel, reader),) = script.asked
    assert (asked, channel, reader.identity) == (verb, "SIP/xlite1-00000003", BOB)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownChannelError, "no-such-channel"),
        (AlreadyRecordingError, "already-recording"),
        (NotConfirmedError, "not-confirmed"),
    ],
)
async def test_a_refusal_is_a_failure_with_our_code_and_words(
    script: Scripted, house: House, client: Client, error: type[Any], code: str
) -> None:
    script.answer = error("not now", rules=[1])
    text, _ = await post(client, cmd("monitor", START), await house.token(BOB))
    assert text == (
        f'<cmd xmlns="{NS}" module="base"><Failure code="{code}"><message>not now</message></Failure></cmd>'
    )


async def test_an_iq_is_answered_by_an_iq(script: Scripted, house: House, client: Client) -> None:
    headers = await house.token(BOB)
    document = f'<iq id="bWjfh-33" type="get">\n  {cmd("monitor", START)}\n</iq>'
    text, _ = await post(client, document, headers)
    assert text == f'<iq id="bWjfh-33" to="bob" type="result">{SUCCESS}</iq>'
    script.answer = UnknownChannelError("there is no such channel")
    _, root = await post(client, document.replace("<iq ", '<iq xmlns="jabber:client" '), headers)
    assert (root.tag, root.attrib) == ("{jabber:client}iq", {"id": "bWjfh-33", "to": "bob", "type": "result"})
    assert failed(root[0])[0] == "no-such-channel"


async def test_an_iq_without_a_command_is_an_error(house: House, client: Client) -> None:
    headers = await house.token(BOB)
    for document in (
        '<iq id="7" type="get"><query/></iq>',
        '<iq id="7" type="get"/>',
        f'<iq id="7" type="result">{cmd("monitor", START)}</iq>',
        '<iq id="7" type="get"><cmd',
        f'<iq id="7" type="get"><cmd xmlns="{NS}"><Start/></cmd></iq>',
    ):
        _, root = await post(client, document, headers)
        assert root.attrib == {"id": "7", "to": "bob", "type": "error"}
        assert failed(root[0])[0] in {"invalid-command", "invalid-xml"}
        assert root[1][0].tag == "{urn:ietf:params:xml:ns:xmpp-stanzas}bad-request"
    _, root = await post(client, f"<iq>{cmd('monitor', '')}</iq>", headers)
    code, words = failed(root[0])
    assert code == "invalid-command"
    assert "id: an iq should have one" in words
    assert "cmd: there should be one command in it" in words


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        (cmd("phone", "<Hangup/>"), "no-such-command", "monitor, journal, event"),
        (cmd("monitor", "<FindOwn/>"), "no-such-command", "Start, Stop, FindRecord, InitTransfer"),
        (cmd("monitor", "<Start/>"), "invalid-request", "channel: it is missing"),
        (cmd("monitor", '<Start channel=""/>'), "invalid-request", "channel: "),
        (cmd("monitor", '<Start channel="a&#10;b"/>'), "invalid-request", "channel: it should have no control"),
        (cmd("monitor", f'<Start channel="{"x" * 257}"/>'), "invalid-request", "channel: "),
        (cmd("monitor", "<FindRecord/>"), "invalid-request", "recordId: it is missing"),
        (cmd("monitor", '<FindRecord recordId="../.."/>'), "not-found", "no such record"),
        (cmd("journal", '<FindOwn limit="0"/>'), "invalid-request", "limit: "),
        (cmd("journal", '<FindOwn limit="1001"/>'), "invalid-request", "limit: "),
        (cmd("journal", '<FindOwn limit="1e2"/>'), "invalid-request", "limit: it should be a whole number"),
        (cmd("journal", '<FindOwn limit=" 5"/>'), "invalid-request", "limit: it should be a whole number"),
        (cmd("journal", "<FindByIdentity/>"), "invalid-request", "identity: it is missing"),
        (cmd("event", "<AddSubscription/>"), "websocket-needed", "/api/v1/ws"),
        (cmd("", START), "invalid-command", "module: a cmd should have one"),
        (cmd("monitor", START * 2), "invalid-command", "cmd: there should be one command in it"),
        (f'<cmd module="monitor">{START}</cmd>', "invalid-command", NS),
        ("<hello/>", "invalid-command", NS),
    ],
)
async def test_what_is_no_command_of_ours_is_a_failure(house: House, document: str, code: str, words: str) -> None:
    house.control = script = Scripted()
    async with house.opened() as client:
        _, root = await post(client, document, await house.token(BOB))
    found, message = failed(root)
    assert found == code
    assert words in message
    assert script.asked == []


async def test_every_wrong_attribute_is_named_at_once(house: House, client: Client) -> None:
    document = cmd("monitor", '<InitTransfer recordId="" ruleId="one" format="mp3"/>')
    _, root = await post(client, document, await house.token(BOB))
    code, message = failed(root)
    assert code == "invalid-request"
    for name in ("recordId", "ruleId", "file", "format"):
        assert f"{name}: " in message


async def test_without_a_right_nothing_is_asked(script: Scripted, house: House, client: Client) -> None:
    headers = await house.token(ROOT, Role.ADMIN, LOOKING)
    _, root = await post(client, cmd("monitor", START), headers)
    assert failed(root) == ("forbidden", "this token lacks the scope control")
    assert script.asked == []


async def test_without_a_token_it_is_401_in_xml(house: House, client: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = await client.post(CMD, data=cmd("monitor", START), headers=headers)
        assert (response.status, response.content_type) == (401, "application/xml")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert failed(fromstring(await response.text()))[0] == "unauthorized"
    await error_of(await client.get(CMD, headers=await house.token(BOB)), 405, "method-not-allowed")


async def test_what_is_wrong_with_the_request_itself_is_a_failure(house: House, client: Client) -> None:
    headers = await house.token(BOB)
    response = await client.post(f"{CMD}?force=1", data=cmd("monitor", START), headers=headers)
    assert failed(fromstring(await response.text())) == (
        "invalid-request",
        "the query is not as it should be: force: there is no such field",
    )
    _, root = await post(client, cmd("monitor", f'<Start channel="{"x" * 1_000_000}"/>'), headers)
    assert failed(root)[0] == "body-too-large"


async def test_a_database_in_trouble_is_a_failure_without_its_words(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await house.token(BOB)
    monkeypatch.setattr(house.store, "journal", _broken)
    _, root = await post(client, cmd("journal", "<FindOwn/>"), headers)
    assert failed(root) == ("store-error", "the database cannot be asked at the moment")
    house.store.broken = StoreError("/var/lib/secret.db is locked")
    response = await client.post(CMD, data=cmd("journal", "<FindOwn/>"), headers=headers)
    assert response.status == 503
    assert "secret" not in await response.text()


async def _broken(*_: Any) -> Any:
    raise StoreError("/var/lib/secret.db is locked")


async def test_a_bug_of_ours_is_a_failure_that_tells_nothing(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: Any) -> Any:
        raise RuntimeError("the inside")

    monkeypatch.setattr(house.store, "journal", crash)
    text, root = await post(client, cmd("journal", "<FindOwn/>"), await house.token(BOB))
    assert failed(root)[0] == "internal-error"
    assert "inside" not in text


ENTRY = (
    '<JournalEntry eventId="1" eventType="create" userId="7" userName="alice"><id>1</id>'
    "<timestamp>1785585600123</timestamp><inbound>true</inbound><internal>false</internal><duration>12</duration>"
    "<connected>9</connected><deviceId>d1</deviceId><deviceName>Desk</deviceName><locationId>l1</locationId>"
    "<locationName>Linz</locationName><name>Bob</name><number>+4973112345</number><prefix>0</prefix>"
    "<result>hangup</result><resultDetails/><via>queue</via><viaDetails>support</viaDetails>"
    f"<extension>822</extension><recordId>{kept.RECORD}</recordId></JournalEntry>"
)


async def test_find_own_is_a_journal_list_to_the_letter(house: House, client: Client) -> None:
    await house.happen(journal_entry("alice"), journal_entry("bob"))
    text, _ = await post(client, cmd("journal", "<FindOwn/>"), await house.token(ALICE))
    assert text == f'<cmd xmlns="{NS}" module="journal"><JournalList>{ENTRY}</JournalList></cmd>'
    text, _ = await post(client, cmd("journal", "<FindOwn/>"), await house.token(CAROL))
    assert text == f'<cmd xmlns="{NS}" module="journal"><JournalList/></cmd>'


async def test_an_entry_is_as_pascoms_own(house: House, client: Client) -> None:
    """The one of its documentation, where there is neither device nor location."""
    entry = replace(kept.entry("tweber", record_id=None), device_id="", device_name="", location_id="")
    entry = replace(entry, location_name="", prefix="", via="", via_details="", connected_s=0, duration_s=0)
    await house.happen(AddJournalEntry(entry))
    _, root = await post(client, cmd("journal", "<FindOwn/>"), await house.token(Identity("tweber")))
    said = {child.tag.removeprefix(f"{{{NS}}}"): child.text for child in root[0][0]}
    assert list(said) == [
        "id", "timestamp", "inbound", "internal", "duration", "connected", "deviceId", "deviceName", "locationId",
        "locationName", "name", "number", "prefix", "result", "resultDetails", "via", "viaDetails", "extension",
        "recordId",
    ]  # fmt: skip
    assert (said["deviceId"], said["deviceName"], said["locationId"], said["locationName"]) == ("0", None, "0", None)
    assert (said["duration"], said["connected"], said["prefix"], said["recordId"]) == ("0", "0", None, None)


async def test_find_own_has_a_hundred_unless_told_otherwise(house: House, client: Client) -> None:
    await house.happen(*(journal_entry("alice") for _ in range(120)))
    headers = await house.token(ALICE)
    for attributes, count, first in (("", 100, "120"), (' limit="30"', 30, "120"), (' limit="1000"', 120, "120")):
        _, root = await post(client, cmd("journal", f"<FindOwn{attributes}/>"), headers)
        assert len(root[0]) == count
        assert root[0][0].get("eventId") == first


async def test_anothers_journal_is_for_those_who_look_over_it(house: House, client: Client) -> None:
    await house.happen(journal_entry("alice"), journal_entry("bob"))
    house.supervises = {CAROL: frozenset({BOB})}
    for headers, identity, seen in (
        (await house.token(CAROL, Role.SUPERVISOR), "bob", True),
        (await house.token(CAROL, Role.SUPERVISOR), "carol", True),
        (await house.token(CAROL, Role.SUPERVISOR), "alice", False),
        (await house.token(ROOT, Role.ADMIN), "alice", True),
        (await house.token(ALICE), "bob", False),
        (await house.token(ALICE), "alice", False),
    ):
        document = cmd("journal", f"<FindByIdentity identity='{identity}' limit=\"30\"/>")
        _, root = await post(client, document, headers)
        if seen:
            assert root[0].tag == f"{{{NS}}}JournalList"
            assert {entry.get("userName") for entry in root[0]} <= {identity}
        else:
            assert failed(root)[0] == "forbidden"


async def test_find_record_is_a_record_entry_to_the_letter(house: House, client: Client) -> None:
    await house.happen(journal_entry("alice"))
    await house.section(type=SectionType.MANUAL, owner=ALICE)
    text, _ = await post(
        client, cmd("monitor", f'<FindRecord recordId="{kept.RECORD}"/>'), await house.token(ALICE), "application/xml"
    )
    assert text == (
        f'<cmd xmlns="{NS}" module="monitor"><RecordEntry id="{kept.RECORD}">{ENTRY}'
        '<Record duration="1" ruleId="1" file="1" state="n" type="manual">'
        f'<AudioFile format="wav" size="{len(WAV)}"/></Record></RecordEntry></cmd>'
    )


async def test_what_is_not_stored_has_our_state_and_no_audio(house: House, client: Client) -> None:
    await house.section(1, state=SectionState.RECORDING, report=None, ended_at=None)
    await house.section(2, state=SectionState.FAILED, report=None)
    await house.section(3, deleted_at=kept.NOON)
    _, root = await post(client, cmd("monitor", f'<FindRecord recordId="{kept.RECORD}"/>'), await house.token(ALICE))
    assert [(one.get("state"), one.get("duration"), len(one)) for one in root[0]] == [
        ("recording", "0", 0),
        ("failed", "1", 0),
        ("n", "1", 0),
    ]


async def test_somebody_elses_record_is_not_there(house: House, client: Client) -> None:
    await house.section()
    headers = await house.token(CAROL)
    for command in (f'<FindRecord recordId="{kept.RECORD}"/>', TRANSFER):
        _, root = await post(client, cmd("monitor", command), headers)
        assert failed(root)[0] == "not-found"


async def test_a_transfer_is_offered_and_fetched(house: House, client: Client) -> None:
    await house.section()
    headers = await house.token(ALICE, scopes=[Scope.DOWNLOAD])
    _, root = await post(client, cmd("monitor", TRANSFER), headers)
    success = root[0]
    assert [child.tag for child in success] == [f"{{{NS}}}message", f"{{{NS}}}FileOffer"]
    offer = dict(success[1].attrib)
    url = offer.pop("url")
    assert offer.pop("expiresAt") == "1785585660123"
    assert offer == {
        "description": f"monitor_{kept.RECORD}_1_1_wav@player",
        "recordId": kept.RECORD,
        "ruleId": "1",
        "file": "1",
        "format": "wav",
        "size": str(len(WAV)),
        "sha256": "ab" * 32,
    }
    response = await client.get(url)
    assert (response.status, await response.read()) == (200, WAV)
    assert (await client.get(url.replace("/1/1?", "/1/2?"))).status == 401


async def test_a_transfer_needs_the_right_to_download(house: House, client: Client) -> None:
    await house.section()
    headers = await house.token(ALICE, scopes=[Scope.PLAY])
    _, root = await post(client, cmd("monitor", TRANSFER), headers)
    assert failed(root) == ("forbidden", "this token lacks the scope download")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"state": SectionState.RECORDING}, "not-stored-yet"),
        ({"state": SectionState.FAILED}, "not-stored-yet"),
        ({"deleted_at": kept.NOON}, "recording-deleted"),
        ({"content": None}, "audio-missing"),
    ],
)
async def test_what_has_no_audio_is_not_offered(
    house: House, client: Client, values: dict[str, Any], code: str
) -> None:
    await house.section(**values)
    _, root = await post(client, cmd("monitor", TRANSFER), await house.token(ALICE))
    assert failed(root)[0] == code


def test_a_record_event_is_as_pascoms_own() -> None:
    section = kept.section(state=SectionState.CLOSED, type=SectionType.MANUAL, owner=ALICE, participants=(ALICE,))
    event = section_event(section, Reader(ALICE, Role.USER, frozenset(Scope)))
    assert event is not None
    text = to_text(shapes.message(shapes.cmd("monitor", shapes.record_event(event)), ALICE))
    assert text == (
        f'<message to="alice" from="recbridge"><cmd xmlns="{NS}" module="monitor">'
        f'<RecordEvent eventType="stop" eventId="{kept.RECORD}" ruleId="1" permission="allow" '
        'identity="alice" file="1">'
        "<headchannel>PJSIP/alice-00000001</headchannel><tailchannel>PJSIP/bob-00000002</tailchannel>"
        "</RecordEvent></cmd></message>"
    )
