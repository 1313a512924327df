"""Phones behind channels: asked for seldom, once for all, on a session of its own, and never waited for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog

from bridge.asterisk.contacts import Patience, PhoneContacts
from bridge.core.ids import ChannelName
from bridge.core.live import Contact
from tests.asterisk.fake_server import SECRET, Action, FakeAsterisk, fake_asterisk, listing, silence
from tests.network.chroot import SUITE
from tests.network.network import Network
from tests.network.registering import register, registrar

ALICE, ALICE_TOO, BOB = (ChannelName(f"PJSIP/{name}") for name in ("alice-00000001", "alice-00000002", "bob-00000003"))
GRANDSTREAM = Contact("203.0.113.7", "Grandstream GXP2170 1.0.11.48")
LONG = Patience(fresh_s=3600, wait_s=30, answer_s=30)


def registered(endpoint: str, uri: str, via: str = "", user_agent: str = "") -> Sequence[str]:
    return (
        "Event: ContactList",
        f"ObjectName: {endpoint};@1",
        f"ViaAddr: {via}",
        f"Endpoint: {endpoint}",
        f"Uri: {uri}",
        f"UserAgent: {user_agent}",
    )


class Phones:
    """What Asterisk tells; `uris` are CHANNEL(pjsip,target_uri) of channels."""

    def __init__(self, *contacts: Sequence[str], **uris: str) -> None:
        self.contacts = contacts
        self.uris = uris

    def answers(self) -> dict[str, object]:
        return {"PJSIPShowContacts": self.show, "Getvar": self.getvar}

    def show(self, fake: FakeAsterisk, action: Action) -> bytes:
        if not self.contacts:
            return fake.no(action, "No Contacts found\r\n")
        return listing(action, self.contacts, "ContactListComplete")

    def getvar(self, fake: FakeAsterisk, action: Action) -> bytes:
        assert action.get("Variable") == "CHANNEL(pjsip,target_uri)"
        name = action.get("Channel").removeprefix("PJSIP/").replace("-", "_")
        if name not in self.uris:
            return fake.no(action, "No such channel")
        return fake.yes(action, "Variable: CHANNEL(pjsip,target_uri)", f"Value: {self.uris[name]}")


@asynccontextmanager
async def asking(
    fake: FakeAsterisk, patience: Patience = LONG, *, secret: str = SECRET, connected: bool = True
) -> AsyncIterator[PhoneContacts]:
    made = PhoneContacts("127.0.0.1", fake.port, "bridge", secret, may_ask=lambda: connected, patience=patience)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(
    ("uri", "via", "address"),
    [
        ("sip:alice@203.0.113.7:5060", "192.168.1.5", "203.0.113.7"),  # rewrite_contact
        ("sips:alice@desk.example.org;transport=tls", "192.168.1.5", "192.168.1.5"),
        ("sip:[2001:DB8::5]:5061", "192.168.1.5", "2001:db8::5"),
        ("sip:alice@desk.example.org", "desk.example.org", ""),
        ("", "", ""),
    ],
)
async def test_an_address_is_where_asterisk_finds_the_phone(uri: str, via: str, address: str) -> None:
    phones = Phones(registered("alice", uri, via, "Snom, [x]; 1"))
    async with fake_asterisk(answers=phones.answers()) as fake, asking(fake) as contacts:
        assert await contacts.contacts([ALICE]) == {ALICE: Contact(address, "Snom, [x]; 1")}


async def test_of_several_phones_it_is_the_one_that_the_channel_names() -> None:
    phones = Phones(
        registered("alice", "sip:alice@192.168.1.5:5060;ob", "", "Desk"),
        registered("alice", "sip:alice@192.168.1.5:5062", "", "Mobile"),
        alice_00000001="<sip:alice@192.168.1.5:5062;transport=udp>",
        alice_00000002="sip:alice@192.168.1.9:5060",
        bob_00000003="sip:102@127.0.0.1:5070",
    )
    async with fake_asterisk(answers=phones.answers()) as fake, asking(fake) as contacts:
        assert await contacts.contacts([ALICE, ALICE_TOO, BOB]) == {
            ALICE: Contact("192.168.1.5", "Mobile"),
            ALICE_TOO: Contact("192.168.1.9", ""),
            BOB: Contact("127.0.0.1", ""),
        }


async def test_other_channels_are_not_asked_about() -> None:
    async with fake_asterisk() as fake, asking(fake) as contacts:
        assert await contacts.contacts([ChannelName("SIP/822-1"), ChannelName("Local/1@x-0001;1")]) == {}
        assert await contacts.contacts([]) == {}
        assert fake.connections == 0


async def test_where_nobody_is_registered_channels_are_asked() -> None:
    phones = Phones(bob_00000003="sip:102@127.0.0.1:5070")
    async with fake_asterisk(answers=phones.answers()) as fake, asking(fake) as contacts:
        assert await contacts.contacts([ALICE, BOB]) == {ALICE: Contact(), BOB: Contact("127.0.0.1")}
        assert await contacts.contacts([ALICE, BOB]) == {ALICE: Contact(), BOB: Contact("127.0.0.1")}
        assert fake.names() == ["Login", "PJSIPShowContacts", "Getvar", "Getvar"]


async def test_one_question_is_for_all_who_ask_and_counts_for_a_while() -> None:
    phones = Phones(registered("alice", "sip:alice@203.0.113.7", "", GRANDSTREAM.user_agent))
    async with fake_asterisk(answers=phones.answers()) as fake, asking(fake) as contacts:
        found = await asyncio.gather(*[contacts.contacts([ALICE]) for _ in range(100)])
        assert found == [{ALICE: GRANDSTREAM}] * 100
        assert await contacts.contacts([ALICE_TOO]) == {ALICE_TOO: GRANDSTREAM}
        assert fake.names() == ["Login", "PJSIPShowContacts"]
        assert fake.actions[0].get("Events") == "off"


async def test_it_is_asked_again_later_on_the_same_session() -> None:
    phones = Phones(registered("alice", "sip:alice@203.0.113.7", "", "before"))
    async with (
        fake_asterisk(answers=phones.answers()) as fake,
        asking(fake, Patience(fresh_s=0.05, wait_s=30, answer_s=30)) as contacts,
    ):
        assert (await contacts.contacts([ALICE]))[ALICE].user_agent == "before"
        phones.contacts = (registered("alice", "sip:alice@203.0.113.7", "", "after"),)
        async with asyncio.timeout(30):
            while (await contacts.contacts([ALICE]))[ALICE].user_agent != "after":  # noqa: ASYNC110  # to be asked is what changes it
                await asyncio.sleep(0.01)
        assert fake.connections == 1


async def test_an_asterisk_that_says_nothing_holds_nobody_up() -> None:
    async with (
        fake_asterisk(answers={"PJSIPShowContacts": silence}) as fake,
        asking(fake, Patience(fresh_s=3600, wait_s=0.05, answer_s=3600)) as contacts,
    ):
        assert await contacts.contacts([ALICE]) == {ALICE: Contact()}
        # Nor is it asked a second time meanwhile.
        assert await contacts.contacts([ALICE]) == {ALICE: Contact()}
        assert fake.names().count("PJSIPShowContacts") == 1


async def test_after_its_deadline_it_is_left_alone_for_a_while() -> None:
    with structlog.testing.capture_logs() as logs:
        async with (
            fake_asterisk(answers={"PJSIPShowContacts": silence}) as fake,
            asking(fake, Patience(fresh_s=3600, wait_s=30, answer_s=0.1)) as contacts,
        ):
            assert await contacts.contacts([ALICE]) == {ALICE: Contact()}
            assert await contacts.contacts([ALICE]) == {ALICE: Contact()}
            assert fake.names() == ["Login", "PJSIPShowContacts"]
            await fake.until(lambda: fake.hung_up == 1)
    assert [one["event"] for one in logs] == ["contacts-unknown"]


@pytest.mark.parametrize("denied", [{"Login"}, {"PJSIPShowContacts"}])
async def test_a_refusal_is_not_asked_for_again_soon(denied: set[str]) -> None:
    patience = Patience(fresh_s=0.0, wait_s=30, answer_s=30, refused_s=3600)
    async with fake_asterisk(denied=frozenset(denied)) as fake, asking(fake, patience) as contacts:
        for _ in range(3):
            assert await contacts.contacts([ALICE]) == {ALICE: Contact()}
        assert fake.connections == 1


async def test_while_asterisk_is_away_nothing_is_asked() -> None:
    async with fake_asterisk() as fake, asking(fake, connected=False) as contacts:
        assert await contacts.contacts([ALICE]) == {ALICE: Contact()}
        assert fake.connections == 0


async def test_what_was_told_counts_while_asterisk_does_not_answer_and_a_new_session_asks_channels_anew() -> None:
    """After a restart of Asterisk a channel's name is another's."""
    phones = Phones(alice_00000001="sip:alice@192.0.2.1")
    patience = Patience(fresh_s=0.05, wait_s=30, answer_s=30)
    async with fake_asterisk(answers=phones.answers()) as fake, asking(fake, patience) as contacts:
        assert await contacts.contacts([ALICE]) == {ALICE: Contact("192.0.2.1")}
        fake.cut()
        await fake.until(lambda: fake.hung_up == 1)
        phones.uris["alice_00000001"] = "sip:alice@192.0.2.2"
        async with asyncio.timeout(30):
            while (await contacts.contacts([ALICE]))[ALICE].address != "192.0.2.2":  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)


class Refusing(Phones):
    """Tells nothing any more once it is told so."""

    refuses = False

    def show(self, fake: FakeAsterisk, action: Action) -> bytes:
        return fake.no(action, "Permission denied") if self.refuses else super().show(fake, action)


@pytest.mark.parametrize("away", [False, True])
async def test_what_was_told_long_ago_is_told_no_more(away: bool) -> None:
    """A phone may be elsewhere by now, and another one at its address."""
    phones, there = Refusing(registered("alice", "sip:alice@203.0.113.7", "", GRANDSTREAM.user_agent)), True
    patience = Patience(fresh_s=0.05, wait_s=30, answer_s=30, known_s=0.5)
    async with fake_asterisk(answers=phones.answers()) as fake:
        made = PhoneContacts("127.0.0.1", fake.port, "bridge", SECRET, may_ask=lambda: there, patience=patience)
        async with asyncio.timeout(30):
            while await made.contacts([ALICE]) != {ALICE: GRANDSTREAM}:
                pass
            phones.refuses, there = not away, not away
            while await made.contacts([ALICE]) != {ALICE: Contact()}:  # noqa: ASYNC110  # time is what changes it
                await asyncio.sleep(0.01)
        await made.close()


async def test_a_session_that_nobody_needs_ends() -> None:
    phones = Phones(registered("alice", "sip:alice@203.0.113.7"))
    patience = Patience(fresh_s=3600, wait_s=30, answer_s=30, idle_s=0.01)
    async with fake_asterisk(answers=phones.answers()) as fake, asking(fake, patience) as contacts:
        await contacts.contacts([ALICE])
        await fake.until(lambda: fake.hung_up == 1)


async def test_closed_it_asks_nothing_and_tells_nothing_more() -> None:
    async with (
        fake_asterisk(answers={"PJSIPShowContacts": silence}) as fake,
        asking(fake, Patience(wait_s=0.05, answer_s=3600)) as contacts,
    ):
        await contacts.contacts([ALICE])
        await contacts.close()
        await fake.until(lambda: fake.hung_up == 1)
        assert await contacts.contacts([ALICE]) == {ALICE: Contact()}
        assert fake.connections == 1


@pytest.mark.usefixtures("asterisk_chroot")
async def test_a_real_asterisk_tells_of_registered_phones_and_of_those_in_its_configuration() -> None:
    """With the rights of the printed user; erin has two phones, one of which nobody answers."""
    async with Network(suite=SUITE, pbx_extra=registrar("erin", "105")) as network:
        made = PhoneContacts(
            "127.0.0.1", network.pbx_ami_port, network.bridge_user, network.bridge_secret, patience=LONG
        )
        sip, phones = network.ports.pbx_sip, network.ports.phones_sip
        await register(sip, "erin", f"bob@127.0.0.1:{phones}", "Pitel/3.20.5")
        await register(sip, "erin", "mobile@127.0.0.2:5099", "Nobody/1.0")
        call = await network.call("alice", "105")
        await call.answered()
        up = [ChannelName(one["Channel"]) for one in await network.channels() if one["ChannelStateDesc"] == "Up"]
        found = {channel.partition("-")[0]: contact for channel, contact in (await made.contacts(up)).items()}
        assert found == {"PJSIP/erin": Contact("127.0.0.1", "Pitel/3.20.5"), "PJSIP/alice": Contact("127.0.0.1")}
        await made.close()
        await call.hangup()
