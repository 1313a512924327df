import asyncio
import socket

import pytest
import structlog

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected, Lost
from bridge.asterisk.policy import BackOff, ConnectionState, Deadlines
from bridge.core.errors import AsteriskUnreachableError
from tests.asterisk.fake_server import SECRET, Action, FakeAsterisk, event, fake_asterisk, silence
from tests.asterisk.harness import Naps, connected, items, running


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


async def test_a_half_open_connection_is_found_by_its_ping() -> None:
    deadlines = Deadlines(ping_interval_s=0.01, pong_s=0.05)
    async with fake_asterisk() as fake, running(fake, deadlines=deadlines, naps=Naps(1)) as connection:
        await connected(connection)
        fake.answers["Ping"] = silence
        [lost] = await items(connection, 1)
        assert isinstance(lost, Lost)
        assert "did not answer a ping within 0.05 s" in lost.reason
        await fake.until(lambda: fake.hung_up == 1)


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
