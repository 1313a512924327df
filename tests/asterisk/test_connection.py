import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected, Item, Lost
from bridge.asterisk.policy import BackOff, ConnectionState, Deadlines
from bridge.asterisk.wire import RawMessage
from bridge.core.errors import AsteriskRefusedError, AsteriskUnreachableError
from bridge.core.messages import PARSERS
from tests.asterisk.fake_server import SECRET, Action, FakeAsterisk, block, event, fake_asterisk, silence


class Naps:
    """Sleeps that are over at once, until so many were taken; the next lasts until `wake`."""

    def __init__(self, many: int = 1000) -> None:
        self.taken: list[float] = []
        self.many = many
        self._tired = asyncio.Event()
        self._awake = asyncio.Event()

    async def __call__(self, wait_s: float) -> None:
        self.taken.append(wait_s)
        if len(self.taken) >= self.many:
            self._tired.set()
            await self._awake.wait()
        await asyncio.sleep(0)

    async def until_tired(self) -> None:
        async with asyncio.timeout(30):
            await self._tired.wait()

    def wake(self) -> None:
        self.many = 1000
        self._awake.set()


@asynccontextmanager
async def running(
    fake: FakeAsterisk,
    *,
    secret: str = SECRET,
    deadlines: Deadlines | None = None,
    back_off: BackOff | None = None,
    naps: Naps | None = None,
    bound: int = 1000,
) -> AsyncIterator[AmiConnection]:
    connection = AmiConnection(
        "127.0.0.1",
        fake.port,
        "bridge",
        secret,
        bound=bound,
        deadlines=deadlines,
        back_off=back_off,
        chance=lambda: 0.5,
        sleep=naps or Naps(),
    )
    task = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        connection.close()
        async with asyncio.timeout(30):
            await task


async def items(connection: AmiConnection, many: int) -> list[Item]:
    found: list[Item] = []
    async with asyncio.timeout(30):
        while len(found) < many:
            found += await connection.next_batch(many - len(found))
    return found


async def connected(connection: AmiConnection) -> Connected:
    [item] = await items(connection, 1)
    assert isinstance(item, Connected)
    return item


def uniqueids(found: list[Item]) -> list[str]:
    return [item.header("Uniqueid") for item in found if isinstance(item, RawMessage)]


async def test_connected_tells_version_name_rights_and_what_is_there() -> None:
    channels = [
        ("Event: CoreShowChannel", "Channel: PJSIP/alice-1", "Uniqueid: 1.1", "Linkedid: 1.1", "ChannelState: 6"),
        ("Event: CoreShowChannel", "Channel: Local/a@b-01;1", "Uniqueid: 1.2", "Linkedid: 1.1", "ChannelState: 6"),
        ("Event: CoreShowChannel", "Channel: Local/a@b-01;2", "Uniqueid: 1.3", "Linkedid: 1.1", "ChannelState: 4"),
        ("Event: CoreShowChannel", "Channel: Local/a@b-02;1", "Uniqueid: 1.4", "Linkedid: 1.4", "ChannelState: 4"),
    ]
    async with (
        fake_asterisk(channels=channels, bridges={"b-1": ("1.1", "1.2"), "b-2": ()}) as fake,
        running(fake) as connection,
    ):
        found = await connected(connection)
        assert (found.version, found.system_name, found.uptime_s) == ("22.10.1", "pbx1", 100)
        assert (found.may_record, found.missing, found.filtered, found.restarted) == (True, (), True, False)
        assert [channel.uniqueid for channel in found.snapshot.channels] == ["1.1", "1.2", "1.3", "1.4"]
        assert found.snapshot.local_pairs == (("1.2", "1.3"),)
        assert [(m.bridge, m.bridge_type, m.technology, m.uniqueid) for m in found.snapshot.members] == [
            ("b-1", "basic", "simple_bridge", "1.1"),
            ("b-1", "basic", "simple_bridge", "1.2"),
        ]
        assert connection.state is ConnectionState.CONNECTED
        assert connection.not_ready() == ()


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
        assert asked == [f"name({name})" for name in (*PARSERS, "FullyBooted", "Shutdown")]
        names = fake.names()
        assert names.index("CoreShowChannels") > len(names) - 1 - names[::-1].index("Filter")


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


async def test_a_shutdown_is_the_reason_of_the_loss() -> None:
    async with fake_asterisk() as fake, running(fake, naps=Naps(1)) as connection:
        await connected(connection)
        fake.emit(event("Shutdown", Shutdown="Cleanly", Restart="True"))
        await connection.action("Ping", {})
        fake.cut()
        [lost] = await items(connection, 1)
        assert isinstance(lost, Lost)
        assert (lost.code, lost.reason) == ("asterisk-unreachable", "Asterisk is restarting")


@pytest.mark.parametrize(("second", "restarted"), [(10_000, False), (3, True)])
async def test_a_shorter_uptime_tells_that_asterisk_was_restarted(second: int, restarted: bool) -> None:
    async with fake_asterisk(uptime=100) as fake, running(fake) as connection:
        await connected(connection)
        fake.uptime = second
        fake.cut()
        _, again = await items(connection, 2)
        assert isinstance(again, Connected)
        assert again.restarted is restarted


async def test_waits_between_tries_grow_to_the_cap() -> None:
    async with fake_asterisk() as fake:
        unused = fake.port
    naps = Naps(8)
    async with running(FakeAsterisk(port=unused), naps=naps) as connection:
        await naps.until_tired()
        # 0.75 is what chance = 0.5 makes of each.
        assert naps.taken == [0.75 * wait for wait in (1, 2, 4, 8, 16, 30, 30, 30)]
        assert connection.state is ConnectionState.UNREACHABLE
        [why] = connection.not_ready()
        assert why.code == "asterisk-unreachable"
        assert f"127.0.0.1:{unused}" in why.message


@pytest.mark.parametrize("failures", [1, 3, 6, 10_000])
def test_chance_spreads_a_wait_over_its_upper_half(failures: int) -> None:
    back_off = BackOff(first_s=1, cap_s=30)
    whole = min(30, 2 ** min(failures - 1, 16))
    assert back_off.wait_s(failures, 0.0) == whole / 2
    assert whole * 0.9 < back_off.wait_s(failures, 0.999) < whole


async def test_waits_begin_anew_after_a_connection_that_held() -> None:
    naps = Naps()
    async with fake_asterisk() as fake, running(fake, naps=naps, back_off=BackOff(stable_s=0.0)) as connection:
        for _ in range(3):
            await connected(connection)
            fake.cut()
            [lost] = await items(connection, 1)
            assert isinstance(lost, Lost)
        await connected(connection)
        assert naps.taken == [0.75, 0.75, 0.75]


async def test_waits_go_on_growing_while_connections_do_not_hold() -> None:
    naps = Naps()
    async with fake_asterisk() as fake, running(fake, naps=naps) as connection:
        for _ in range(3):
            await connected(connection)
            fake.cut()
            await items(connection, 1)
        await connected(connection)
        assert naps.taken == [0.75, 1.5, 3.0]


async def test_a_wrong_password_is_said_once_and_tried_again_seldom() -> None:
    naps = Naps(5)
    with structlog.testing.capture_logs() as logs:
        async with fake_asterisk() as fake, running(fake, secret="wrong", naps=naps) as connection:
            await naps.until_tired()
            assert connection.state is ConnectionState.LOGIN_REFUSED
            [why] = connection.not_ready()
            assert why.code == "asterisk-login-refused"
            assert "'bridge'" in why.message
            assert "manager.conf" in why.message
            assert "wrong" not in why.message
    assert naps.taken == [45.0] * 5
    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == ["asterisk-login-refused"]
    assert "wrong" not in str(logs)


async def test_a_password_put_right_connects_without_a_restart() -> None:
    def not_yet(_fake: FakeAsterisk, action: Action) -> bytes:
        return FakeAsterisk.no(action, "Authentication failed")

    naps = Naps(1)
    async with fake_asterisk(answers={"Login": not_yet}) as fake, running(fake, naps=naps) as connection:
        await naps.until_tired()
        fake.answers.clear()
        naps.wake()
        await connected(connection)
        assert connection.last_error is None


async def test_a_missing_right_to_record_is_a_problem_with_its_remedy() -> None:
    async with fake_asterisk(denied=frozenset({"MixMonitor"})) as fake, running(fake) as connection:
        found = await connected(connection)
        assert (found.may_record, found.missing) == (False, ("MixMonitor",))
        [why] = connection.not_ready()
        assert why.code == "asterisk-rights-missing"
        assert "write = system,call" in why.message
        [probe] = [action for action in fake.actions if action.name == "MixMonitor"]
        assert probe.get("Channel") == "recbridge/none"


async def test_an_asterisk_without_mixmonitor_is_told_apart_from_a_missing_right() -> None:
    def unknown(_fake: FakeAsterisk, action: Action) -> bytes:
        return FakeAsterisk.no(action, "Invalid/unknown command: MixMonitor. Use Action: ListCommands to show …")

    async with (
        fake_asterisk(denied=frozenset({"MixMonitor", "StopMixMonitor"}), answers={"MixMonitor": unknown}) as fake,
        running(fake) as connection,
    ):
        await connected(connection)
        [why] = connection.not_ready()
        assert "app_mixmonitor" in why.message


async def test_a_user_that_may_not_list_channels_is_said_once_and_tried_again_seldom() -> None:
    naps = Naps(3)
    with structlog.testing.capture_logs() as logs:
        async with (
            fake_asterisk(denied=frozenset({"MixMonitor", "CoreShowChannels"})) as fake,
            running(fake, naps=naps) as connection,
        ):
            await naps.until_tired()
            assert connection.state is ConnectionState.RIGHTS_MISSING
            [why] = connection.not_ready()
            assert "CoreShowChannels" in why.message
            assert "write = system,call" in why.message
    assert naps.taken == [45.0] * 3
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["asterisk-rights-missing"]


async def test_rights_that_were_granted_are_noticed_by_a_login_beside_the_running_one() -> None:
    deadlines = Deadlines(ping_interval_s=0.01)
    async with (
        fake_asterisk(denied=frozenset({"MixMonitor"})) as fake,
        running(fake, deadlines=deadlines, back_off=BackOff(refused_s=0.0)) as connection,
    ):
        assert not (await connected(connection)).may_record
        fake.denied = frozenset()
        lost, again = await items(connection, 2)
        assert isinstance(lost, Lost)
        assert "rights have changed" in lost.reason
        assert isinstance(again, Connected)
        assert again.may_record


async def test_an_asterisk_that_never_says_that_it_has_booted_is_used_after_a_while() -> None:
    async with fake_asterisk(uptime=None) as fake, running(fake, deadlines=Deadlines(boot_s=0.05)) as connection:
        assert (await connected(connection)).uptime_s is None


async def test_a_half_open_connection_is_found_by_its_ping() -> None:
    deadlines = Deadlines(ping_interval_s=0.01, pong_s=0.05)
    async with fake_asterisk() as fake, running(fake, deadlines=deadlines, naps=Naps(1)) as connection:
        await connected(connection)
        fake.answers["Ping"] = silence
        [lost] = await items(connection, 1)
        assert isinstance(lost, Lost)
        assert "did not answer a ping within 0.05 s" in lost.reason
        await fake.until(lambda: fake.hung_up == 1)


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


async def test_close_while_it_waits_for_the_reader_is_the_end() -> None:
    naps = Naps(1)
    async with fake_asterisk() as fake:
        async with running(fake, bound=10, naps=naps) as connection:
            await connected(connection)
            fake.emit(event("Hangup", Uniqueid="1.1") * 11)
            await naps.until_tired()
            naps.wake()
            for _ in range(20):
                await asyncio.sleep(0)
        assert fake.connections == 1


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


async def test_close_while_it_waits_for_the_next_try_is_the_end() -> None:
    naps = Naps(1)
    async with fake_asterisk() as fake, running(fake, naps=naps) as connection:
        await connected(connection)
        fake.cut()
        await naps.until_tired()
        connection.close()
        assert [type(item) for item in await items(connection, 1)] == [Lost]
        assert await connection.next_batch(10) == []
        assert fake.connections == 1
    assert connection.state is ConnectionState.CLOSED


async def test_close_while_connected_fails_what_is_pending() -> None:
    async with fake_asterisk(answers={"Getvar": silence}) as fake, running(fake) as connection:
        await connected(connection)
        pending = asyncio.create_task(connection.action("Getvar", {}))
        await fake.until(lambda: "Getvar" in fake.names())
        connection.close()
        with pytest.raises(AsteriskUnreachableError):
            await pending


async def test_cancelling_the_loop_leaves_no_connection_behind() -> None:
    async with fake_asterisk() as fake:
        connection = AmiConnection("127.0.0.1", fake.port, "bridge", SECRET)
        task = asyncio.create_task(connection.run())
        await connected(connection)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await fake.until(lambda: fake.hung_up == 1)
        assert connection.state is ConnectionState.CLOSED


async def test_a_port_that_takes_connections_and_never_answers_is_given_up_at_the_login_s_deadline() -> None:
    naps = Naps(1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        fake = FakeAsterisk(port=mute.getsockname()[1])
        async with running(fake, deadlines=Deadlines(login_s=0.05), naps=naps) as connection:
            await naps.until_tired()
            [why] = connection.not_ready()
            assert why.code == "asterisk-unreachable"
            assert "is that Asterisk's manager interface" in why.message
