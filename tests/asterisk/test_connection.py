import asyncio

import pytest
import structlog

from bridge.asterisk.inbox import Connected, Item, Lost
from bridge.asterisk.policy import ConnectionState, Deadlines
from bridge.asterisk.wire import RawMessage
from bridge.core.errors import AsteriskRefusedError, AsteriskUnreachableError
from bridge.core.messages import CHANNEL_EVENTS, DTMF, PARSERS
from tests.asterisk.fake_server import Action, FakeAsterisk, block, event, fake_asterisk
from tests.asterisk.harness import Naps, connected, items, running, uniqueids


async def test_a_bridge_that_vanishes_while_it_is_asked_for_has_no_members() -> None:
    def gone(_fake: FakeAsterisk, action: Action) -> bytes:
        return FakeAsterisk.no(action, "Specified BridgeUniqueid not found")

    async with (
        fake_asterisk(bridges={"b-1": ("1.1",)}, answers={"BridgeInfo": gone}) as fake,
        running(fake) as connection,
    ):
        assert (await connected(connection)).snapshot.members == ()


async def test_asterisk_is_asked_for_the_events_that_are_used_before_the_snapshot() -> None:
    async with fake_asterisk() as fake, running(fake) as connection:
        await connected(connection)
        asked = [action.get("MatchCriteria") for action in fake.actions if action.name == "Filter"]
        names = {one.partition(",")[0] for one in asked}
        not_yet = {"VarSet", DTMF, *CHANNEL_EVENTS}
        assert names == {f"name({name})" for name in {*PARSERS, "FullyBooted", "Shutdown"} - not_yet}
        assert asked[0] == "name(Newchannel)"
        done = fake.names()
        assert done.index("CoreShowChannels") > len(done) - 1 - done[::-1].index("Filter")


async def test_an_asterisk_without_filters_by_name_is_taken_with_all_its_events() -> None:
    async with fake_asterisk(denied=frozenset({"Filter"})) as fake, running(fake) as connection:
        assert not (await connected(connection)).filtered
        assert fake.names().count("Filter") == 1


async def test_a_filter_that_is_refused_after_others_were_taken_is_no_connection() -> None:
    def only_one(fake: FakeAsterisk, action: Action) -> bytes:
        return (
            FakeAsterisk.yes(action) if fake.names().count("Filter") == 1 else FakeAsterisk.no(action, "Not that one")
        )

    naps = Naps(1)
    async with fake_asterisk(answers={"Filter": only_one}) as fake, running(fake, naps=naps) as connection:
        await naps.until_tired()
        assert connection.not_ready()
        assert "Not that one" in str(connection.last_error)


async def test_events_during_the_snapshot_follow_it_in_their_order() -> None:
    def with_events(_fake: FakeAsterisk, action: Action) -> bytes:
        answer_to = f"ActionID: {action.get('ActionID')}"
        return b"".join(
            (
                event("Hangup", Uniqueid="1.1"),
                block("Response: Success", answer_to, "EventList: start"),
                event("Hangup", Uniqueid="1.2"),
                block("Event: BridgeListComplete", answer_to, "EventList: Complete"),
                event("Hangup", Uniqueid="1.3"),
            )
        )

    async with fake_asterisk(answers={"BridgeList": with_events}) as fake, running(fake) as connection:
        found = await items(connection, 4)
        assert isinstance(found[0], Connected)
        assert uniqueids(found) == ["1.1", "1.2", "1.3"]


async def test_events_keep_their_order_however_slowly_they_are_read() -> None:
    sent = [f"1.{number}" for number in range(500)]
    async with fake_asterisk() as fake, running(fake) as connection:
        await connected(connection)
        for uniqueid in sent:
            fake.emit(event("Hangup", Uniqueid=uniqueid))
        found: list[Item] = []
        async with asyncio.timeout(30):
            while len(found) < len(sent):
                batch = await connection.next_batch(7)
                assert 1 <= len(batch) <= 7
                found += batch
                await asyncio.sleep(0)
        assert uniqueids(found) == sent


async def test_a_loss_stands_in_the_queue_between_the_events_of_the_two_connections() -> None:
    async with fake_asterisk() as fake, running(fake) as connection:
        await connected(connection)
        fake.emit(event("Hangup", Uniqueid="1.1"))
        await connection.action("Ping", {})
        fake.cut()
        await fake.until(lambda: fake.names().count("BridgeList") == 2)
        fake.emit(event("Hangup", Uniqueid="1.2"))
        found = await items(connection, 4)
        assert [type(item) for item in found] == [RawMessage, Lost, Connected, RawMessage]
        assert uniqueids(found) == ["1.1", "1.2"]


async def test_an_asterisk_that_never_says_that_it_has_booted_is_used_after_a_while() -> None:
    async with fake_asterisk(uptime=None) as fake, running(fake, deadlines=Deadlines(boot_s=0.05)) as connection:
        assert (await connected(connection)).uptime_s is None


async def test_a_full_queue_drops_the_connection_and_waits_for_its_reader() -> None:
    async with fake_asterisk() as fake, running(fake, bound=10) as connection:
        await connected(connection)
        with structlog.testing.capture_logs() as logs:
            fake.emit(b"".join(event("Hangup", Uniqueid=f"1.{number}") for number in range(50)))
            await fake.until(lambda: fake.hung_up == 1)
        assert [entry["event"] for entry in logs].count("asterisk-events-not-read") == 1
        assert connection.state is not ConnectionState.CONNECTED
        assert fake.connections == 1
        found = await items(connection, 4)
        for _ in range(20):
            await asyncio.sleep(0)
        assert fake.connections == 1, "it must wait while more than half of the queue is full"
        found += await items(connection, 8)
        assert uniqueids(found) == [f"1.{number}" for number in range(10)]
        assert [type(item) for item in found[10:]] == [Lost, Connected]


async def test_too_many_events_during_the_snapshot_end_that_connection_only() -> None:
    def flood(fake: FakeAsterisk, _action: Action) -> bytes:
        fake.answers.clear()
        return b"".join(event("Hangup", Uniqueid=f"1.{number}") for number in range(50))

    naps = Naps(1)
    async with fake_asterisk(answers={"BridgeList": flood}) as fake, running(fake, bound=10, naps=naps) as connection:
        await naps.until_tired()
        assert "10 events were waiting" in str(connection.last_error)
        naps.wake()
        await connected(connection)
        assert fake.connections == 2
        fake.emit(event("Hangup", Uniqueid="2.1"))
        assert uniqueids(await items(connection, 1)) == ["2.1"], "what came before the snapshot failed means nothing"


async def test_actions_are_refused_while_there_is_no_connection_and_not_sent_later() -> None:
    naps = Naps(1)
    async with fake_asterisk() as fake, running(fake, naps=naps) as connection:
        await connected(connection)
        fake.cut()
        await naps.until_tired()
        with pytest.raises(AsteriskUnreachableError, match="not connected"):
            await connection.action("StopMixMonitor", {"Channel": "1.1"})
        with pytest.raises(AsteriskUnreachableError):
            await connection.list_action("BridgeList", {})
        with pytest.raises(AsteriskUnreachableError):
            await connection.command("core show uptime")
        naps.wake()
        await items(connection, 2)
        await connection.action("Ping", {})
        assert "StopMixMonitor" not in fake.names()


async def test_an_error_response_raises_unless_it_is_asked_for() -> None:
    async with fake_asterisk(denied=frozenset({"Getvar"})) as fake, running(fake) as connection:
        await connected(connection)
        with pytest.raises(AsteriskRefusedError, match="Permission denied"):
            await connection.action("Getvar", {"Variable": "X"})
        response = await connection.action("Getvar", {"Variable": "X"}, must_succeed=False)
        assert (response.success, response.message) == (False, "Permission denied")
