"""A script that speaks as pascom's clients do, to a daemon beside a real Asterisk, from the offer to the file."""

import asyncio
import hashlib
import itertools
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self
from xml.etree.ElementTree import Element

import aiohttp
import pytest
from defusedxml.ElementTree import fromstring

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.network import Network
from tests.whole.test_on_demand import channel_of, talking

NS = "{http://www.pascom.net/mobydick}"
RULES = """\
rules:
  - {id: 1, name: Alice if she likes, record: on-demand, when: {caller: alice}}
"""


class Phonebar:
    """What a desktop client does: each command is an iq with an id of its own, whose answer has the same."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.events: list[Element] = []
        self.order: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(30)
        self._answers: dict[str, Element] = {}
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            root = fromstring(message.data)
            self.order.append(root.get("id", "") if root.tag == "iq" else root[0][0].get("eventType", ""))
            if root.tag == "iq":
                self._answers[root.attrib["id"]] = root
            else:
                assert root.tag == "message"
                self.events.append(root[0][0])
            self._news.set()

    async def command(self, module: str, body: str) -> Element:
        """The answer's cmd's content."""
        number = f"bWjfh-{next(self._numbers)}"
        await self._socket.send_str(
            f'<iq id="{number}" type="get">\n  <cmd xmlns="http://www.pascom.net/mobydick" module="{module}">\n'
            f"    {body}\n  </cmd>\n</iq>"
        )
        await self._until(lambda: number in self._answers)
        answer = self._answers[number]
        assert answer.attrib == {"id": number, "to": "alice", "type": "result"}
        (cmd,) = answer
        (content,) = cmd
        assert cmd.tag == f"{NS}cmd"
        return content

    async def event(self, name: str, met: Callable[[Element], bool] = lambda _: True) -> Element:
        def found() -> list[Element]:
            return [one for one in self.events if one.tag == f"{NS}{name}" and met(one)]

        await self._until(lambda: bool(found()))
        return found()[0]

    async def _until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not met():
                self._news.clear()
                if self._reading.done():
                    self._reading.result()
                await self._news.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as running:
        yield running


async def test_a_client_of_pascoms_records_and_fetches_a_call(daemon: Daemon, network: Network, tmp_path: Path) -> None:
    token = await daemon.new_token("alice", "user")
    url = f"{daemon.url}/api/v1/ws"
    async with daemon.session.ws_connect(url, headers=daemon.auth(token)) as socket, Phonebar(socket) as client:
        wanted = await client.command(
            "event",
            '<AddSubscription><Subscription module="base" type="*" scope="user"/>'
            '<Subscription module="journal" type="*"/><Subscription module="monitor" type="*" scope="user"/>'
            '<Subscription module="monitor" type="RecordEvent"/></AddSubscription>',
        )
        assert (wanted.tag, len(wanted)) == (f"{NS}SubscriptionList", 4)

        call = await network.call("alice", "102")
        await call.answered()
        offer = await client.event("RecordEvent")
        assert (offer.get("eventType"), offer.get("permission")) == ("stop", "allow")
        assert (offer.get("identity"), offer.get("file")) == ("", "")
        head = offer.findtext(f"{NS}headchannel")
        assert head in [one["Channel"] for one in await network.channels()]

        started = await client.command("monitor", f'<Start channel="{head}"/>')
        assert (started.tag, started.findtext(f"{NS}message")) == (f"{NS}Success", "Ok")
        event = await client.event("RecordEvent", lambda one: one.get("eventType") == "start")
        assert (event.get("identity"), event.get("file"), event.get("ruleId")) == ("alice", "1", "1")
        again = await client.command("monitor", f'<Start channel="{head}"/>')
        assert (again.tag, again.get("code")) == (f"{NS}Failure", "already-recording")
        await asyncio.sleep(1.5)  # what is to be heard

        assert (await client.command("monitor", f'<Stop channel="{head}"/>')).tag == f"{NS}Success"
        await client.event("RecordEvent", lambda one: (one.get("eventType"), one.get("file")) == ("stop", "1"))
        await call.hangup()
        ended = await client.event("JournalEntry")
        record_id = ended.findtext(f"{NS}recordId") or ""
        assert record_id == offer.get("eventId")
        await daemon.journal(2)  # and what was recorded is stored

        journal = await client.command("journal", '<FindOwn limit="30"/>')
        assert journal.tag == f"{NS}JournalList"
        (own,) = journal
        assert own.attrib == ended.attrib
        assert [(child.tag, child.text) for child in own] == [(child.tag, child.text) for child in ended]
        denied = await client.command("journal", "<FindByIdentity identity='bob' limit=\"30\"/>")
        assert denied.get("code") == "forbidden"

        entry = await client.command("monitor", f'<FindRecord recordId="{record_id}"/>')
        assert [child.tag for child in entry] == [f"{NS}JournalEntry", f"{NS}Record"]
        record = entry[1]
        assert {name: record.get(name) for name in ("ruleId", "file", "state", "type")} == {
            "ruleId": "1",
            "file": "1",
            "state": "n",
            "type": "manual",
        }
        description = f"monitor_{record_id}_1_1_wav@player"
        transfer = (
            f'<InitTransfer recordId="{record_id}" ruleId="1" file="1" format="wav" description="{description}"/>'
        )
        assert (await client.command("monitor", transfer)).tag == f"{NS}Success"
        offered = await client.event("FileOffer", lambda one: one.get("description") == description)
        async with daemon.session.get(f"{daemon.url}{offered.get('url')}") as response:
            assert response.status == 200
            content = await response.read()
        assert offered.get("size") == record[0].get("size") == str(len(content))
        assert offered.get("sha256") == hashlib.sha256(content).hexdigest()
        (file,) = daemon.local_spool.rglob(f"{record_id}_1_001.wav")
        assert content == file.read_bytes()
        fetched = tmp_path / "fetched.wav"
        fetched.write_bytes(content)
        assert tones.who(fetched) == {"alice", "bob"}
        with wave.open(str(fetched)) as audio:
            seconds = audio.getnframes() / audio.getframerate()
        assert abs(int(record.get("duration", "")) - seconds) <= 0.5
        assert client.order.count("start") == 1  # however many subscriptions wanted it
        assert client.order.index("bWjfh-31") < client.order.index("start")


async def test_a_script_needs_no_socket(daemon: Daemon, network: Network) -> None:
    token = await daemon.new_token("alice", "user")

    async def command(module: str, body: str) -> Element:
        document = f'<cmd xmlns="http://www.pascom.net/mobydick" module="{module}">{body}</cmd>'
        headers = {**daemon.auth(token), "Content-Type": "text/xml"}
        async with daemon.session.post(f"{daemon.url}/api/v1/cmd", data=document, headers=headers) as response:
            assert (response.status, response.content_type) == (200, "text/xml")
            content: Element = fromstring(await response.text())[0]
            return content

    unknown = await command("monitor", '<Start channel="SIP/xlite1-00000003"/>')
    assert (unknown.tag, unknown.get("code")) == (f"{NS}Failure", "no-such-channel")
    call = await talking(network, daemon, "alice", "103")
    channel = await channel_of(network, "alice")
    assert (await command("monitor", f'<Start channel="{channel}"/>')).tag == f"{NS}Success"
    await asyncio.sleep(1)  # what is to be heard
    assert (await command("monitor", f'<Stop channel="{channel}"/>')).tag == f"{NS}Success"
    await call.hangup()
    await daemon.journal(2)
    (entry,) = await command("journal", "<FindOwn/>")
    record_id = entry.findtext(f"{NS}recordId")
    success = await command("monitor", f'<InitTransfer recordId="{record_id}" ruleId="1" file="1" format="wav"/>')
    offer = success.find(f"{NS}FileOffer")
    assert offer is not None
    async with daemon.session.get(f"{daemon.url}{offer.get('url')}") as response:
        assert hashlib.sha256(await response.read()).hexdigest() == offer.get("sha256")
