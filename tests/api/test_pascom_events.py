"""Commands and events on one WebSocket: who chooses what, in which order, each once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Element

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from defusedxml.ElementTree import fromstring

from bridge.core.access import Reader, Role
from bridge.core.commands import Answer, CommandNumber, Done, Verb
from bridge.core.ids import Identity, RuleId
from bridge.core.records import Fact, FactKind, SectionState, SectionType
from bridge.core.store import AppendFact
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT, WAV, House, Scripted, call_fact, journal_entry
from tests.api.test_monitor import fact_of
from tests.api.test_pascom import ENTRY, NS, START, SUCCESS, TRANSFER, cmd, failed
from tests.storage import kept

Client = TestClient[Request, Application]
Socket = aiohttp.ClientWebSocketResponse
WS = "/api/v1/ws"
XML = f"{WS}?format=xml"


def name_of(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def subscription(module: str, kind: str = "*", scope: str | None = None, **filters: str) -> str:
    inside = "".join(f'<AttributeFilter name="{name}" equals="{equals}"/>' for name, equals in filters.items())
    said = "" if scope is None else f' scope="{scope}"'
    return f'<Subscription module="{module}" type="{kind}"{said}>{inside}</Subscription>'


def add(*subscriptions: str) -> str:
    return cmd("event", f"<AddSubscription>{''.join(subscriptions)}</AddSubscription>")


def remove(*subscriptions: str) -> str:
    return cmd("event", f"<RemoveSubscription>{''.join(subscriptions)}</RemoveSubscription>")


async def ask(socket: Socket, document: str) -> Element:
    await socket.send_str(document)
    return await told(socket)


async def told(socket: Socket) -> Element:
    root: Element = fromstring(await socket.receive_str(timeout=30))
    return root


async def events(socket: Socket, until: int) -> list[tuple[int, str, str]]:
    """Number, element and rule or journal's user of each message, up to that number."""
    got: list[tuple[int, str, str]] = []
    while not got or got[-1][0] < until:
        root = await told(socket)
        assert root.tag == "message"
        event = root[0][0]
        got.append((int(root.get("id", "")), name_of(event), event.get("ruleId") or event.get("userName") or ""))
    return got


def running(rule: int = 1, *who: Identity, **values: Any) -> AppendFact:
    section = kept.section(state=SectionState.RECORDING, participants=who or (ALICE, BOB))
    return fact_of(replace(section, rule_id=RuleId(rule), **values))


def listed(root: Element) -> list[tuple[str | None, ...]]:
    assert (root.get("module"), name_of(root[0])) == ("event", "SubscriptionList")
    return [
        (
            one.get("module"),
            one.get("type"),
            one.get("scope"),
            *(f"{each.get('name')}={each.get('equals')}" for each in one),
        )
        for one in root[0]
    ]


async def test_who_sends_nothing_or_json_hears_json(house: House, client: Client) -> None:
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        for frame in ("hello", '{"subscribe": "<all>"}', "", "[<]"):
            await socket.send_str(frame)
        await socket.send_bytes(b"<cmd/>")
        await house.happen(journal_entry())
        assert (await socket.receive_json(timeout=30))["type"] == "JournalEntry"


async def test_a_command_alone_changes_no_event(house: House, client: Client) -> None:
    house.control = Scripted()
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        await socket.send_str(cmd("monitor", START))
        assert await socket.receive_str(timeout=30) == SUCCESS
        await socket.send_str(f'<iq id="x" type="get">{cmd("monitor", START)}</iq>')
        assert await socket.receive_str(timeout=30) == f'<iq id="x" to="alice" type="result">{SUCCESS}</iq>'
        await house.happen(call_fact())
        assert (await socket.receive_json(timeout=30))["type"] == "CallEvent"


async def test_events_in_xml_are_as_pascom_writes_them(house: House, client: Client) -> None:
    async with client.ws_connect(XML, headers=await house.token(ALICE)) as socket:
        await house.happen(journal_entry(), call_fact(), running())
        assert await socket.receive_str(timeout=30) == (
            f'<message to="alice" from="recbridge" id="1"><cmd xmlns="{NS}" module="journal">{ENTRY}</cmd></message>'
        )
        assert await socket.receive_str(timeout=30) == (
            f'<message to="alice" from="recbridge" id="3"><cmd xmlns="{NS}" module="monitor">'
            f'<RecordEvent eventType="start" eventId="{kept.RECORD}" ruleId="1" permission="auto" '
            'identity="" file="1"><headchannel>PJSIP/alice-00000001</headchannel>'
            "<tailchannel>PJSIP/bob-00000002</tailchannel></RecordEvent></cmd></message>"
        )


async def test_an_offer_has_neither_owner_nor_file(house: House, client: Client) -> None:
    data = {"headchannel": "SIP/a-1", "tailchannel": "SIP/b-1", "may": ["alice"]}
    offer = Fact(
        FactKind.RECORD_OFFERED, kept.NOON, record_id=kept.RECORD, rule_id=RuleId(1), data=data, audience=(ALICE,)
    )
    async with client.ws_connect(XML, headers=await house.token(ALICE)) as socket:
        await house.happen(AppendFact(offer))
        event = (await told(socket))[0][0]
        assert list(event.attrib.items()) == [
            ("eventType", "stop"), ("eventId", kept.RECORD), ("ruleId", "1"), ("permission", "allow"),
            ("identity", ""), ("file", ""),
        ]  # fmt: skip


async def test_subscribing_turns_to_xml_and_to_what_was_subscribed(house: House, client: Client) -> None:
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        await house.happen(journal_entry())
        assert (await socket.receive_json(timeout=30))["id"] == 1
        assert listed(await ask(socket, add(subscription("journal")))) == [("journal", "*", "user")]
        await house.happen(running(), call_fact(), journal_entry())
        assert await events(socket, 4) == [(4, "JournalEntry", "alice")]
        assert listed(await ask(socket, remove(subscription("journal", scope="user")))) == []
        await house.happen(journal_entry(), running())
        assert listed(await ask(socket, add(subscription("monitor", "RecordEvent")))) == [
            ("monitor", "RecordEvent", "user")
        ]
        await house.happen(journal_entry(), running())
        assert await events(socket, 8) == [(8, "RecordEvent", "1")]


async def test_pascoms_own_example_is_listed_as_pascom_lists_it(house: House, client: Client) -> None:
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        await socket.send_str(
            '<iq id="bWxfy-4" type="get">'
            + add(
                subscription("base", scope="user"),
                subscription("journal"),
                subscription("base", "ChannelEvent", "supervisor"),
                subscription("queue", queue="Support"),
            )
            + "</iq>"
        )
        assert await socket.receive_str(timeout=30) == (
            f'<iq id="bWxfy-4" to="alice" type="result"><cmd xmlns="{NS}" module="event"><SubscriptionList>'
            '<Subscription module="base" type="*" scope="user"/><Subscription module="journal" type="*" scope="user"/>'
            '<Subscription module="base" type="ChannelEvent" scope="supervisor"/>'
            '<Subscription module="queue" type="*" scope="user"><AttributeFilter name="queue" equals="Support"/>'
            "</Subscription></SubscriptionList></cmd></iq>"
        )


async def test_however_many_want_an_event_it_comes_once(house: House, client: Client) -> None:
    async with client.ws_connect(WS, headers=await house.token(ROOT, Role.ADMIN)) as socket:
        wanted = [
            subscription("monitor", scope="supervisor"),
            subscription("monitor", "RecordEvent", "supervisor"),
            subscription("monitor", scope="supervisor", ruleId="1"),
        ]
        assert len(listed(await ask(socket, add(*wanted, *wanted)))) == 3
        assert len(listed(await ask(socket, add(*wanted)))) == 3
        await house.happen(running(1), running(2), running(1))
        assert [number for number, *_ in await events(socket, 3)] == [1, 2, 3]
        assert len(listed(await ask(socket, remove(*wanted[:2])))) == 1
        await house.happen(running(1), running(2), running(1))
        assert [number for number, *_ in await events(socket, 6)] == [4, 6]


@pytest.mark.parametrize(
    ("who", "scope", "seen"),
    [
        ((ALICE, Role.USER), "user", ["1"]),
        ((ALICE, Role.USER), "supervisor", []),
        ((CAROL, Role.SUPERVISOR), "user", ["3"]),
        ((CAROL, Role.SUPERVISOR), "supervisor", ["2", "3"]),
        ((ROOT, Role.ADMIN), "user", []),
        ((ROOT, Role.ADMIN), "supervisor", ["1", "2", "3"]),
    ],
)
async def test_a_scope_is_ones_own_or_all_that_one_may_see(
    house: House, client: Client, who: tuple[Identity, Role], scope: str, seen: list[str]
) -> None:
    house.supervises = {CAROL: frozenset({BOB})}
    async with client.ws_connect(WS, headers=await house.token(*who)) as socket:
        await ask(socket, add(subscription("monitor", scope=scope)))
        await ask(socket, add(subscription("journal")))
        await house.happen(running(1, ALICE), running(2, BOB), running(3, CAROL), journal_entry(who[0]))
        assert [rule for _, kind, rule in await events(socket, 4) if kind == "RecordEvent"] == seen


@pytest.mark.parametrize(
    ("filters", "seen"),
    [
        ({"ruleId": "2"}, ["2"]),
        ({"identity": "bob"}, ["3"]),
        ({"identity": ""}, ["1", "2"]),
        ({"headchannel": "PJSIP/x&lt;y-1"}, ["2"]),
        ({"headchannel": "PJSIP/x&lt;y-1", "ruleId": "1"}, []),
        ({"eventType": "start", "file": "1", "permission": "auto"}, ["1", "2"]),
        ({"nothing": "1"}, []),
        ({"nothing": ""}, []),
    ],
)
async def test_filters_look_at_attributes_and_elements(
    house: House, client: Client, filters: dict[str, str], seen: list[str]
) -> None:
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        await ask(socket, add(subscription("monitor", "RecordEvent", **filters), subscription("journal")))
        await house.happen(
            running(1),
            running(2, headchannel="PJSIP/x<y-1"),
            running(3, type=SectionType.MANUAL, owner=BOB),
            journal_entry(),
        )
        assert [rule for _, kind, rule in await events(socket, 4) if kind == "RecordEvent"] == seen


async def test_the_journal_is_filtered_too_and_known_by_both_names(house: House, client: Client) -> None:
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        wanted = subscription("journal", "JournalEvent", result="hangup", via="queue")
        assert listed(await ask(socket, add(wanted)))[0][1] == "JournalEntry"
        await ask(socket, add(subscription("journal", result="busy")))
        await house.happen(journal_entry())
        assert await events(socket, 1) == [(1, "JournalEntry", "alice")]


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("", ["Subscription: at least one is needed"]),
        ("<Subscription/>", ["Subscription 1: module: it is missing", "Subscription 1: type: it is missing"]),
        (
            '<Subscription module="monitr" type="*" scope="all"/><Subscription module="monitor" type="RecordEvnt"/>',
            ["1: module: it should be one of", "1: scope: it should be user or supervisor", "2: type: of this module"],
        ),
        ("<Filter/>", ["Subscription 1: there should be Subscription elements alone"]),
        (
            '<Subscription module="journal" type="*"><AttributeFilter name="x"/></Subscription>',
            ["AttributeFilter: each"],
        ),
        (subscription("journal", **{f"a{n}": "" for n in range(21)}), ["AttributeFilter: there should be at most 20"]),
        (subscription("journal", name="x" * 300), ["AttributeFilter: name and equals should have at most 256"]),
        (subscription("queue", "x" * 300), ["type: it should have at most 256"]),
    ],
)
async def test_everything_wrong_with_subscriptions_is_said_and_none_is_taken(
    house: House, client: Client, inside: str, words: list[str]
) -> None:
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        for command in ("AddSubscription", "RemoveSubscription"):
            code, message = failed(await ask(socket, cmd("event", f"<{command}>{inside}</{command}>")))
            assert code == "invalid-request"
            for one in words:
                assert one in message
        await house.happen(journal_entry())
        assert (await socket.receive_json(timeout=30))["id"] == 1


async def test_a_socket_has_so_many_subscriptions(house: House, client: Client) -> None:
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        hundred = [subscription("monitor", ruleId=str(number)) for number in range(100)]
        assert len(listed(await ask(socket, add(*hundred)))) == 100
        code, _ = failed(await ask(socket, add(subscription("journal"))))
        assert code == "too-many-subscriptions"
        await house.happen(journal_entry(), running(99))
        assert [number for number, *_ in await events(socket, 2)] == [2]


async def test_what_is_anothers_is_never_sent_whatever_is_subscribed(house: House, client: Client) -> None:
    async with client.ws_connect(WS, headers=await house.token(DAVE)) as socket:
        await ask(
            socket,
            add(
                *(
                    subscription(module, scope=scope)
                    for module in ("monitor", "journal")
                    for scope in ("user", "supervisor")
                )
            ),
        )
        await house.happen(running(1), journal_entry("alice"), journal_entry("dave"))
        assert await events(socket, 3) == [(3, "JournalEntry", "dave")]


async def test_a_client_that_comes_back_gets_what_it_missed_in_xml(house: House, client: Client) -> None:
    await house.happen(*(running(rule) for rule in range(1, 5)))
    async with client.ws_connect(f"{WS}?format=xml&since=2", headers=await house.token(ALICE)) as socket:
        assert [number for number, *_ in await events(socket, 4)] == [3, 4]


@pytest.mark.parametrize("query", ["format=yaml", "format=", "format=xml&format=json"])
async def test_another_format_is_400(house: House, client: Client, query: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect(f"{WS}?{query}", headers=await house.token(ALICE))
    assert refused.value.status == 400


async def test_a_transfer_is_offered_behind_its_success(house: House, client: Client) -> None:
    await house.section()
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        await socket.send_str(f'<iq id="zQSwg-82" type="get">{cmd("monitor", TRANSFER)}</iq>')
        assert await socket.receive_str(timeout=30) == f'<iq id="zQSwg-82" to="alice" type="result">{SUCCESS}</iq>'
        message = await told(socket)
        assert (message.tag, message.attrib) == ("message", {"to": "alice", "from": "recbridge"})
        offer = message[0][0]
        assert (name_of(offer), message[0].get("module")) == ("FileOffer", "monitor")
        assert offer.get("description") == f"monitor_{kept.RECORD}_1_1_wav@player"
        assert (await (await client.get(offer.get("url", ""))).read()) == WAV


@dataclass
class Gated(Scripted):
    """Answers a command when told to; in the same moment what follows from it happens."""

    house: House | None = None
    slow: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asking: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def ask(self, verb: Verb, channel: str, reader: Reader) -> AsyncIterator[Answer]:
        assert self.house is not None
        self.asked.append((verb, channel, reader))
        self.asking.set()
        if channel == self.slow:
            await self.gate.wait()
        section = kept.section(state=SectionState.RECORDING, participants=(ALICE, BOB))
        yield Done(CommandNumber(1), (section,))
        await self.house.happen(fact_of(section))

    @property
    def channels(self) -> list[str]:
        return [channel for _, channel, _ in self.asked]


def start(channel: str) -> str:
    return f'<iq id="{channel}" type="get">{cmd("monitor", f"<Start channel=`{channel}`/>")}</iq>'.replace("`", '"')


async def test_an_answer_comes_before_what_follows_from_it(house: House) -> None:
    house.control = Gated(house=house)
    async with house.opened() as client, client.ws_connect(XML, headers=await house.token(ALICE)) as socket:
        for number in range(1, 20):
            answer, event = await ask(socket, start(f"c{number}")), await told(socket)
            assert (answer.get("id"), event.get("id")) == (f"c{number}", str(number))


async def test_a_slow_command_holds_up_other_commands_and_no_event(house: House) -> None:
    house.control = gated = Gated(house=house, slow="slow")
    async with house.opened() as client, client.ws_connect(XML, headers=await house.token(ALICE)) as socket:
        await socket.send_str(start("slow"))
        for number in range(500):
            await socket.send_str(start(f"c{number}"))
        await house.happen(journal_entry())
        assert [number for number, *_ in await events(socket, 1)] == [1]
        assert gated.channels == ["slow"]
        gated.gate.set()
        answers: list[str | None] = []
        while len(answers) < 501:
            root = await told(socket)
            if root.tag == "iq":
                answers.append(root.get("id"))
        assert answers == ["slow", *(f"c{number}" for number in range(500))]


async def test_a_client_may_go_while_it_waits(house: House) -> None:
    """Its close is answered at once: the client's own wait for that, 10 s, is not what ends it."""
    house.control = gated = Gated(house=house, slow="slow")
    async with house.opened() as client:
        socket = await client.ws_connect(WS, headers=await house.token(ALICE))
        await socket.send_str(start("slow"))
        async with asyncio.timeout(30):
            await gated.asking.wait()
        await socket.close()
        assert socket.close_code == 1000
        gated.gate.set()


async def test_what_was_asked_is_done_also_for_one_who_does_not_wait(house: House) -> None:
    house.control = gated = Gated(house=house)
    async with house.opened() as client:
        socket = await client.ws_connect(WS, headers=await house.token(ALICE))
        await socket.send_str(start("quick"))
        await socket.close()
        async with asyncio.timeout(30):
            await gated.asking.wait()
    assert gated.channels == ["quick"]


async def test_a_flood_of_commands_fills_the_clients_own_buffers(house: House) -> None:
    house.control = gated = Gated(house=house, slow="slow")
    async with house.opened() as client:
        socket = await client.ws_connect(WS, headers=await house.token(ALICE))
        await socket.send_str(start("slow"))
        sending = asyncio.create_task(_flood(socket))
        done, _ = await asyncio.wait({sending}, timeout=1)
        assert not done
        assert gated.channels == ["slow"]
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        gated.gate.set()
        await socket.close()


async def _flood(socket: Socket) -> None:
    frame = cmd("monitor", f'<Start channel="{"x" * 60_000}"/>')
    for _ in range(2000):  # 120 MB, which no buffers on the way hold
        await socket.send_str(frame, compress=0)


async def test_a_token_that_is_over_is_listened_to_no_more(house: House) -> None:
    house.control = scripted = Scripted()
    async with house.opened() as client:
        socket = await client.ws_connect(WS, headers=await house.token(ALICE, expires_in=timedelta(minutes=1)))
        house.now += timedelta(minutes=1)
        await socket.send_str(cmd("monitor", START))
        message = await socket.receive(timeout=30)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
    assert scripted.asked == []


async def test_a_token_that_was_ended_is_listened_to_no_more(house: House) -> None:
    house.control = scripted = Scripted()
    async with house.opened() as client:
        headers = await house.token(ALICE)
        socket = await client.ws_connect(WS, headers=headers)
        await house.store.end_token(headers["Authorization"].split("_")[1])
        await socket.send_str(cmd("monitor", START))
        message = await socket.receive(timeout=30)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
    assert scripted.asked == []
