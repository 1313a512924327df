import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.network.ami import Ami, AmiError, Message, parse
from tests.network.asterisk import AsteriskError
from tests.network.call import CallFailedError
from tests.network.config import ANSWERED_DID, BOB_DID, BRIDGE_SECRET, BRIDGE_USER, LISTENER_SECRET, LISTENER_USER
from tests.network.network import Network
from tests.network.tones import heard, who


def is_event(message: Message, event: str, **headers: str) -> bool:
    return message["Event"] == event and all(message.get(name, "").startswith(value) for name, value in headers.items())


def is_alive(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_mounted(folder: Path) -> bool:
    return str(folder) in Path("/proc/self/mountinfo").read_text()


def exists(path: Path) -> bool:
    return path.exists()


async def entered(network: Network, *channels: str) -> dict[str, str]:
    """Wait until these channels (`PJSIP/alice`) are in an Asterisk bridge; their uniqueids."""
    found = {}
    for channel in channels:
        event = await network.wait_for_event(lambda e, name=channel: is_event(e, "BridgeEnter", Channel=name))  # type: ignore[misc]
        found[channel] = event["Uniqueid"]
    return found


async def record(network: Network, uniqueid: str, path: Path, seconds: float = 1.5) -> None:
    """Start a MixMonitor, let it hear so much, and stop it."""
    answer = await network.pbx.action("MixMonitor", Channel=uniqueid, File=str(path), Options="i(ID)")
    await asyncio.sleep(seconds)
    await network.pbx.action("StopMixMonitor", Channel=uniqueid, MixMonitorID=answer["MixMonitorID"])


async def test_inside_call_is_recorded_with_exactly_both_parties(network: Network) -> None:
    call = await network.call("alice", "102")
    await call.answered()
    ids = await entered(network, "PJSIP/alice", "PJSIP/bob")
    wav = network.spool / "inside.wav"
    await record(network, ids["PJSIP/alice"], wav)
    await call.hangup()
    await network.idle()
    assert who(wav) == {"alice", "bob"}


async def test_calls_are_placed_from_the_phones_console_as_make_network_says(network: Network) -> None:
    await asyncio.to_thread(network.asterisks[1].cli, "channel originate PJSIP/102@as-alice extension alice@hum")
    assert set(await entered(network, "PJSIP/alice", "PJSIP/bob")) == {"PJSIP/alice", "PJSIP/bob"}
    await asyncio.to_thread(network.asterisks[1].cli, "channel request hangup all")
    await network.idle()


async def test_inbound_call_reaches_the_queue_with_the_callers_number_and_name(network: Network) -> None:
    await network.behave("bob", "ring")
    call = await network.inbound("+4915112345", name="Erika")
    await call.answered()
    ids = await entered(network, "PJSIP/trunk", "PJSIP/carol")
    wav = network.spool / "inbound.wav"
    await record(network, ids["PJSIP/trunk"], wav)
    join = await network.wait_for_event(lambda e: is_event(e, "QueueCallerJoin", Queue="support"))
    assert (join["CallerIDNum"], join["CallerIDName"]) == ("+4915112345", "Erika")
    await network.hangup("carol")
    await call.ended()
    assert who(wav) == {"outside", "carol"}


async def test_a_caller_in_the_queue_hears_music_until_somebody_answers(network: Network) -> None:
    await network.behave("bob", "answer", after_s=1.5)
    await network.behave("carol", "ring")
    call = await network.inbound(did=ANSWERED_DID)
    await call.answered()
    join = await network.wait_for_event(lambda e: is_event(e, "QueueCallerJoin"))
    wav = network.spool / "queue.wav"
    answer = await network.pbx.action("MixMonitor", Channel=join["Uniqueid"], File=str(wav), Options="i(ID)")
    await entered(network, "PJSIP/trunk", "PJSIP/bob")
    await asyncio.sleep(1)
    await network.pbx.action("StopMixMonitor", Channel=join["Uniqueid"], MixMonitorID=answer["MixMonitorID"])
    windows = heard(wav)
    last_music = max(index for index, window in enumerate(windows) if "music" in window)
    assert {"music", "outside"} in windows[:last_music]
    assert all("bob" not in window for window in windows[:last_music])
    assert any({"bob", "outside"} == window for window in windows[last_music + 1 :])


async def test_outbound_call_leaves_through_the_trunk(network: Network) -> None:
    call = await network.call("alice", "0301234567")
    await call.answered()
    ids = await entered(network, "PJSIP/alice", "PJSIP/trunk")
    wav = network.spool / "outbound.wav"
    await record(network, ids["PJSIP/trunk"], wav)
    await network.hangup("outside")
    await call.ended()
    assert who(wav) == {"alice", "outside"}


async def test_in_a_ring_group_the_first_to_answer_gets_the_call(network: Network) -> None:
    await network.behave("bob", "answer", after_s=60)
    call = await network.call("alice", "600")
    await call.answered()
    await entered(network, "PJSIP/alice", "PJSIP/carol")
    await network.wait_for_event(lambda e: is_event(e, "Hangup", Channel="PJSIP/bob"))
    assert {channel["Channel"].split("-")[0] for channel in await network.channels()} == {"PJSIP/alice", "PJSIP/carol"}


@pytest.mark.parametrize(("behaviour", "cause", "status"), [("busy", 17, "BUSY"), ("reject", 21, "NOANSWER")])
async def test_a_phone_that_does_not_take_the_call_says_why(
    network: Network, behaviour: str, cause: int, status: str
) -> None:
    await network.behave("bob", behaviour)  # type: ignore[arg-type]
    call = await network.call("alice", "102")
    with pytest.raises(CallFailedError) as failed:
        await call.answered()
    assert failed.value.cause == cause
    await network.wait_for_event(lambda e: is_event(e, "DialEnd", DialStatus=status))


async def test_a_caller_who_gives_up_leaves_no_answered_call(network: Network) -> None:
    await network.behave("bob", "ring")
    call = await network.call("alice", "102")
    await network.ringing("bob")
    await call.hangup()
    await network.wait_for_event(lambda e: is_event(e, "DialEnd", DialStatus="CANCEL"))
    await network.idle()
    assert not [event for event in network.pbx.events() if event["Event"] == "BridgeEnter"]


async def test_calls_at_the_same_time_do_not_hear_each_other(network: Network) -> None:
    calls = [
        await network.call("alice", "102"),
        await network.call("carol", "104"),
        await network.inbound(did=BOB_DID, party="stranger"),
    ]
    for call in calls:
        await call.answered()
    ids = await entered(network, "PJSIP/alice", "PJSIP/carol", "PJSIP/trunk")
    paths = {name: network.spool / f"several-{index}.wav" for index, name in enumerate(ids)}
    await asyncio.gather(*(record(network, ids[name], path) for name, path in paths.items()))
    assert [who(path) for path in paths.values()] == [{"alice", "bob"}, {"carol", "dave"}, {"stranger", "bob"}]


@pytest.mark.parametrize(("number", "optimised"), [("700", True), ("701", False)])
async def test_a_local_channel_goes_or_stays(network: Network, number: str, optimised: bool) -> None:
    call = await network.call("alice", number)
    await call.answered()
    ids = await entered(network, "PJSIP/alice", "PJSIP/bob")
    if optimised:
        await network.wait_for_event(lambda e: is_event(e, "LocalOptimizationEnd"))
        await network.wait_for_event(
            lambda e: is_event(e, "Hangup", Channel="Local/102@internal") and ";2" in e["Channel"]
        )
    wav = network.spool / f"local-{number}.wav"
    await record(network, ids["PJSIP/alice"], wav)
    names = {channel["Channel"].split("/")[0] for channel in await network.channels()}
    assert names == ({"PJSIP"} if optimised else {"PJSIP", "Local"})
    assert {"alice", "bob"} == who(wav)


async def test_a_number_that_the_pbx_answers_itself_is_no_talk(network: Network) -> None:
    call = await network.call("alice", "800")
    await call.answered()
    start = await network.wait_for_event(lambda e: is_event(e, "Newchannel", Channel="PJSIP/alice"))
    wav = network.spool / "machine.wav"
    await record(network, start["Uniqueid"], wav, 3)
    await call.hangup()
    assert who(wav) == {"announcement", "alice"}
    assert not [event for event in network.pbx.events() if event["Event"] == "BridgeEnter"]


async def test_keys_pressed_arrive_at_the_pbx(network: Network) -> None:
    call = await network.call("alice", "800")
    await call.answered()
    await network.press("alice", "*3")
    await network.wait_for_event(
        lambda e: is_event(e, "DTMFEnd", Channel="PJSIP/alice", Digit="3", Direction="Received")
    )
    keys = [e["Digit"] for e in network.pbx.events() if is_event(e, "DTMFEnd", Direction="Received")]
    assert keys == ["*", "3"]


async def test_a_capture_holds_the_whole_call(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "call" / "events.ami"
    async with network.capture(path):
        call = await network.call("alice", "102")
        await call.answered()
        await entered(network, "PJSIP/alice", "PJSIP/bob")
        await call.hangup()
        await network.idle()
    raw = path.read_bytes()
    assert raw.endswith(b"\r\n\r\n")
    messages = [parse(block) for block in raw.split(b"\r\n\r\n")[:-1]]
    assert all("Event" in message and "Timestamp" in message for message in messages if "Uniqueid" in message)
    names = [message["Event"] for message in messages]
    assert names[0] == "FullyBooted"
    assert [names.count(name) for name in ("Newchannel", "DialBegin", "BridgeEnter", "BridgeLeave", "Hangup")] == [
        2, 1, 2, 2, 2,
    ]  # fmt: skip
    assert b"RECBRIDGE_CAPTURE_END" not in raw


async def test_the_bridges_user_may_record(network: Network) -> None:
    await network.call("alice", "800")
    start = await network.wait_for_event(lambda e: is_event(e, "Newchannel", Channel="PJSIP/alice"))
    async with await Ami.connect(network.pbx_ami_port, BRIDGE_USER, BRIDGE_SECRET) as bridge:
        await bridge.action("MixMonitor", Channel=start["Uniqueid"], File=str(network.spool / "bridge.wav"))
        await bridge.wait_for(lambda e: is_event(e, "MixMonitorStart", Channel="PJSIP/alice"))


async def test_a_user_without_system_cannot_record(network: Network) -> None:
    await network.call("alice", "800")
    start = await network.wait_for_event(lambda e: is_event(e, "Newchannel", Channel="PJSIP/alice"))
    async with await Ami.connect(network.pbx_ami_port, LISTENER_USER, LISTENER_SECRET) as listener:
        with pytest.raises(AmiError, match="Permission denied"):
            await listener.action("MixMonitor", Channel=start["Uniqueid"], File=str(network.spool / "never.wav"))


async def test_a_second_network_runs_beside_the_first_and_leaves_nothing(
    network: Network, asterisk_chroot: Path
) -> None:
    async with Network(systemname="pbx2") as other:
        work = other.work
        processes = [asterisk.pid for asterisk in other.asterisks]
        call = await other.call("alice", "102")
        await call.answered()
        start = await other.wait_for_event(lambda e: is_event(e, "Newchannel", Channel="PJSIP/alice"))
        assert start["Uniqueid"].startswith("pbx2-")
        assert await network.channels() == []
        assert "Asterisk" in other.cli("core show version")
    assert not exists(work)
    assert not [pid for pid in processes if is_alive(pid)]
    assert not is_mounted(asterisk_chroot)
    with pytest.raises(AsteriskError, match="not running"):
        other.cli("core show version")


@pytest.mark.usefixtures("asterisk_chroot")
async def test_a_network_dies_with_a_python_that_is_killed(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.network", "--work", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"pids" not in (line := await process.stdout.readline()):
            assert line, "it ended early"
    pids = [int(word) for word in line.split()[1:]]
    assert len(pids) == 2
    assert all(is_alive(pid) for pid in pids)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with asyncio.timeout(20):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110 - the kernel sends no event
            await asyncio.sleep(0.05)
