"""The simulator acts as the real one: `tests/network` measured it, and everything without root relies on it."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.network.ami import Ami, AmiError, Message
from tests.network.tones import samples, seconds
from tests.simulator import calls
from tests.simulator.clock import SteppedClock
from tests.simulator.server import Simulator, User

MAY_ALL = User("may-all", write=frozenset({"all"}), read=frozenset({"system", "call", "agent", "dialplan", "cdr"}))
NO_SYSTEM = User("no-system", write=frozenset({"call"}))


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def simulator(tmp_path: Path, clock: SteppedClock) -> AsyncIterator[Simulator]:
    accounts = {"bridge": User("bridge-secret"), "all": MAY_ALL, "weak": NO_SYSTEM}
    async with Simulator(tmp_path, accounts=accounts, clock=clock) as simulator:
        yield simulator


@pytest.fixture
async def ami(simulator: Simulator) -> AsyncIterator[Ami]:
    async with await Ami.connect(simulator.port, "all", "may-all") as ami:
        yield ami


async def told(ami: Ami) -> list[Message]:
    """The events so far: the answer to an action comes after all of them."""
    await ami.action("Ping")
    return ami.events()


def sizes(wav: Path) -> tuple[int, int]:
    head = wav.read_bytes()[:44]
    return struct.unpack("<I", head[4:8])[0], struct.unpack("<I", head[40:44])[0]


async def raw(simulator: Simulator, sent: bytes) -> bytes:
    """All that a connection gets until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(sent)
    async with asyncio.timeout(30):
        said = await reader.read()
    writer.close()
    await writer.wait_closed()
    return said


async def test_greets_and_closes_after_a_wrong_password(simulator: Simulator) -> None:
    said = await raw(simulator, b"Action: Login\r\nActionID: 7\r\nUsername: bridge\r\nSecret: wrong\r\n\r\n")
    assert said == (
        b"Asterisk Call Manager/11.0.0\r\nResponse: Error\r\nActionID: 7\r\nMessage: Authentication failed\r\n\r\n"
    )


async def test_says_goodbye_and_closes(simulator: Simulator) -> None:
    login = b"Action: Login\r\nUsername: weak\r\nSecret: no-system\r\nEvents: off\r\n\r\n"
    said = await raw(simulator, login + b"Action: Logoff\r\n\r\n")
    assert said.endswith(b"\r\n\r\nResponse: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n")
    assert b"FullyBooted" not in said


async def test_a_login_is_told_that_all_is_booted(ami: Ami) -> None:
    event = await ami.wait_for(lambda event: event["Event"] == "FullyBooted")
    assert event == {
        "Event": "FullyBooted",
        "Privilege": "system,all",
        "Uptime": "0",
        "LastReload": "0",
        "Status": "Fully Booted",
    }


async def test_nothing_is_done_without_a_login(simulator: Simulator) -> None:
    said = await raw(simulator, b"Action: CoreSettings\r\n\r\nAction: Logoff\r\n\r\n")
    assert b"Response: Error\r\nMessage: Permission denied\r\n\r\n" in said


@pytest.mark.parametrize(
    ("action", "headers", "message"),
    [
        ("Nonsense", {}, "Invalid/unknown command: Nonsense. Use Action: ListCommands to show available commands."),
        ("MixMonitor", {"Channel": "PJSIP/none", "File": "/x.wav"}, "No such channel"),
        ("MixMonitor", {"File": "/x.wav"}, "No channel specified"),
        ("StopMixMonitor", {"Channel": "PJSIP/none"}, "No such channel"),
        ("Setvar", {}, "No variable specified"),
        ("BridgeInfo", {"BridgeUniqueid": "none"}, "Specified BridgeUniqueid not found"),
        ("Filter", {"Operation": "Add", "MatchCriteria": "nonsense(X)"}, "Filter was formatted incorrectly"),
        ("Command", {}, "No command provided"),
    ],
)
async def test_refuses_in_asterisks_words(ami: Ami, action: str, headers: dict[str, str], message: str) -> None:
    with pytest.raises(AmiError) as error:
        await ami.action(action, deadline_s=10, **headers)
    assert message in str(error.value)


async def test_a_user_without_system_may_not_mixmonitor(simulator: Simulator) -> None:
    async with await Ami.connect(simulator.port, "weak", "no-system") as weak:
        with pytest.raises(AmiError, match="MixMonitor: Permission denied"):
            await weak.action("MixMonitor", Channel="recbridge/none", File="/x.wav")
        listed = await weak.action("ListCommands")
    assert "StopMixMonitor" in listed
    assert "MixMonitor" not in listed


async def test_filters_hold_events_back_by_name_and_header(simulator: Simulator, clock: SteppedClock) -> None:
    async with await Ami.connect(simulator.port, "all", "may-all") as ami:
        await ami.action("Filter", Operation="Add", MatchCriteria="name(Hangup)")
        criteria = "name(VarSet),header(Variable),method(regex)"
        await ami.action("Filter", Operation="Add", MatchCriteria=criteria, Filter="^(A|RECBRIDGE)$")
        await ami.action("Setvar", Variable="A", Value="1")
        await ami.action("Setvar", Variable="AB", Value="1")
        call = asyncio.create_task(calls.inside(simulator))
        await clock.advance(10)
        await call
        events = [event for event in await told(ami) if event["Event"] != "FullyBooted"]
    assert [(event["Event"], event.get("Variable")) for event in events] == [
        ("VarSet", "A"),
        ("Hangup", None),
        ("Hangup", None),
    ]


async def test_lists_channels_and_bridges_of_a_call(simulator: Simulator, clock: SteppedClock, ami: Ami) -> None:
    call = asyncio.create_task(calls.inside(simulator))
    await clock.advance(2)
    channels = await ami.listing("CoreShowChannels")
    (bridge,) = await ami.listing("BridgeList")
    members = await ami.listing("BridgeInfo", BridgeUniqueid=bridge["BridgeUniqueid"])
    assert [(channel["CallerIDName"], channel["Duration"]) for channel in channels] == [
        ("Alice", "00:00:02"),
        ("Bob", "00:00:02"),
    ]
    assert {channel["BridgeId"] for channel in channels} == {bridge["BridgeUniqueid"]}
    assert bridge["BridgeNumChannels"] == "2"
    assert {member["Uniqueid"] for member in members} == {channel["Uniqueid"] for channel in channels}
    await clock.advance(10)
    await call
    assert await ami.listing("CoreShowChannels") == []


async def test_a_stopped_recording_holds_both_parties_and_is_final_before_the_response(
    simulator: Simulator, clock: SteppedClock, ami: Ami, tmp_path: Path
) -> None:
    call = asyncio.create_task(calls.inside(simulator, talk_s=20))
    await clock.advance(1.2)
    alice = next(iter(simulator.pbx.channels.values()))
    wav = tmp_path / "2026/11/21/one.wav"
    answer = await ami.action("MixMonitor", Channel=alice.uniqueid, File=str(wav), Options="i(RECID)")
    assert answer["MixMonitorID"].startswith("0x")
    assert wav.stat().st_size == 44
    assert sizes(wav) == (0, 0)
    await clock.advance(4.2)
    assert wav.stat().st_size == 44 + 2 * 32_768
    assert sizes(wav) == (0, 0)
    listed = await ami.action("Command", Command=f"mixmonitor list {alice.name}")
    assert f"{answer['MixMonitorID']}\t{wav.with_suffix('')}\t\t" in listed["Output"].split("\n")
    assert (await ami.action("Getvar", Channel=alice.name, Variable="RECID"))["Value"] == answer["MixMonitorID"]
    await ami.action("StopMixMonitor", Channel=alice.uniqueid, MixMonitorID=answer["MixMonitorID"])
    assert sizes(wav) == (wav.stat().st_size - 8, wav.stat().st_size - 44)
    assert len(samples(wav)[0]) == round(4.2 * 8000)
    assert seconds(wav) == {"alice": 4.2, "bob": 4.2}
    with pytest.raises(AmiError, match="Could not stop monitoring channel"):
        await ami.action("StopMixMonitor", Channel=alice.uniqueid, MixMonitorID=answer["MixMonitorID"])
    about = [event["Event"] for event in await told(ami) if event["Event"].startswith("MixMonitor")]
    assert about == ["MixMonitorStart", "MixMonitorStop"]
    await clock.advance(30)
    await call


async def test_at_hangup_the_file_is_final_after_the_event_and_no_stop_is_told(
    simulator: Simulator, clock: SteppedClock, ami: Ami, tmp_path: Path
) -> None:
    call = asyncio.create_task(calls.outbound(simulator, talk_s=3))
    await clock.advance(0.2)
    trunk = list(simulator.pbx.channels.values())[1]
    wav, said, hears = (tmp_path / name for name in ("one.wav", "said.wav", "hears.wav"))
    await ami.action("MixMonitor", Channel=trunk.name, File=str(wav), Options=f"i(X)r({said})t({hears})")
    await clock.advance(3)
    assert any(event["Event"] == "Hangup" for event in await told(ami))
    assert sizes(wav) == (0, 0)
    await clock.advance(0.01)
    await call
    assert sizes(wav)[1] == wav.stat().st_size - 44 > 0
    assert (seconds(wav), seconds(said), seconds(hears)) == (
        {"alice": 3.0, "outside": 3.0},
        {"outside": 3.0},
        {"alice": 3.0},
    )
    assert not any(event["Event"] == "MixMonitorStop" for event in await told(ami))


async def test_muted_time_is_silence_and_without_an_id_the_newest_is_stopped(
    simulator: Simulator, clock: SteppedClock, ami: Ami, tmp_path: Path
) -> None:
    call = asyncio.create_task(calls.inside(simulator, talk_s=6))
    await clock.advance(0.2)
    bob = simulator.pbx.find("PJSIP/bob-00000001")
    assert bob is not None
    older, newer = tmp_path / "older.wav", tmp_path / "newer.wav"
    first = await ami.action("MixMonitor", Channel=bob.name, File=str(older), Options="i(A)")
    await ami.action("MixMonitor", Channel=bob.name, File=str(newer))
    mute = {"Channel": bob.name, "MixMonitorID": first["MixMonitorID"], "Direction": "both"}
    await clock.advance(1)
    await ami.action("MixMonitorMute", deadline_s=10, **mute, State="1")
    await clock.advance(2)
    await ami.action("MixMonitorMute", deadline_s=10, **mute, State="0")
    await clock.advance(1)
    await ami.action("StopMixMonitor", Channel=bob.name)
    assert sizes(older) == (0, 0)
    assert seconds(newer) == {"alice": 4.0, "bob": 4.0}
    await clock.advance(10)
    await call
    assert len(samples(older)[0]) == 6 * 8000
    assert seconds(older) == {"alice": 4.0, "bob": 4.0}


async def test_the_file_of_a_mixmonitor_is_told_by_its_id_while_it_runs_on_that_channel(
    simulator: Simulator, clock: SteppedClock, ami: Ami, tmp_path: Path
) -> None:
    call = asyncio.create_task(calls.inside(simulator, talk_s=5))
    await clock.advance(1)
    alice, bob = ("PJSIP/alice-00000000", "PJSIP/bob-00000001")
    older, newer = str(tmp_path / "older.wav"), str(tmp_path / "newer.wav")
    ids = [
        (await ami.action("MixMonitor", Channel=bob, File=file, Options="i(X)"))["MixMonitorID"]
        for file in (older, newer)
    ]

    async def file_of(channel: str, monitor_id: str) -> str:
        name = f"MIXMONITOR({monitor_id},filename)"
        answer = await ami.action("Getvar", Channel=channel, Variable=name)
        assert answer["Variable"] == name
        return answer["Value"]

    assert [await file_of(bob, each) for each in ids] == [older, newer]
    assert await file_of(alice, ids[0]) == ""
    assert await file_of(bob, "0x1") == ""
    await ami.action("StopMixMonitor", Channel=bob, MixMonitorID=ids[0])
    assert [await file_of(bob, each) for each in ids] == ["", newer]
    await clock.advance(10)
    await call
    with pytest.raises(AmiError, match="No such channel"):
        await file_of(bob, ids[1])


async def test_outside_the_spool_it_says_success_and_there_is_no_file(
    simulator: Simulator, clock: SteppedClock, ami: Ami, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    call = asyncio.create_task(calls.inside(simulator))
    await clock.advance(1)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (tmp_path / "link").symlink_to(elsewhere)
    for file in (f"{elsewhere}/a.wav", f"{tmp_path}/../escaped.wav", f"{tmp_path}/link/a.wav"):
        await ami.action("MixMonitor", Channel="PJSIP/bob-00000001", File=file)
    assert not (tmp_path.parent / "escaped.wav").exists()
    assert not list(elsewhere.iterdir())
    await clock.advance(10)
    await call


async def test_a_simulator_that_ends_leaves_files_unfinished(tmp_path: Path, clock: SteppedClock) -> None:
    async with Simulator(tmp_path, clock=clock) as simulator:
        call = asyncio.create_task(calls.inside(simulator))
        await clock.advance(1)
        async with await Ami.connect(simulator.port, "bridge", "bridge-secret") as ami:
            await ami.action("MixMonitor", Channel="PJSIP/bob-00000001", File=str(tmp_path / "one.wav"))
    call.cancel()
    assert sizes(tmp_path / "one.wav") == (0, 0)


async def test_an_inbound_call_is_told_in_asterisks_order(simulator: Simulator, clock: SteppedClock, ami: Ami) -> None:
    call = asyncio.create_task(calls.inbound(simulator, ring_s=1, talk_s=3))
    await clock.advance(10)
    acted = await call
    events = [event for event in await told(ami) if event["Event"] not in ("FullyBooted", "VarSet")]
    assert [event["Event"] for event in events] == [
        *("Newchannel", "Newexten", "Newexten", "QueueCallerJoin", "MusicOnHoldStart"),
        *("Newchannel", "AgentCalled", "DialBegin") * 2,
        *("Newstate", "Newexten", "NewConnectedLine", "DialState") * 2,
        *("Newstate", "DialEnd", "DialEnd", "NewConnectedLine", "DialEnd", "MusicOnHoldStop", "QueueCallerLeave"),
        *("AgentConnect", "Hangup", "Newstate", "BridgeCreate", "BridgeEnter", "BridgeEnter"),
        *("HangupRequest", "AgentComplete", "BridgeLeave", "BridgeLeave", "BridgeDestroy", "SoftHangupRequest"),
        *("Newexten", "Hangup", "Cdr", "Cdr", "Hangup"),
    ]
    assert {event["Linkedid"] for event in events if "Linkedid" in event} == {acted.caller}
    entered = [event for event in events if event["Event"] == "BridgeEnter"]
    assert [event["Uniqueid"] for event in entered] == [acted.callee, acted.caller]
    assert float(entered[1]["Timestamp"]) - float(events[0]["Timestamp"]) == pytest.approx(1)


@pytest.mark.parametrize("by", ["caller", "callee"])
async def test_whoever_hangs_up_leaves_the_bridge_first(
    simulator: Simulator, clock: SteppedClock, ami: Ami, by: calls.Side
) -> None:
    call = asyncio.create_task(calls.inside(simulator, hung_up_by=by))
    await clock.advance(10)
    acted = await call
    events = await told(ami)
    order = [event["Uniqueid"] for event in events if event["Event"] == "BridgeLeave"]
    assert order == ([acted.caller, acted.callee] if by == "caller" else [acted.callee, acted.caller])
