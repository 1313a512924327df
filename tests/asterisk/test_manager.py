"""What panoramisk 1.4 does wrong, and that our subclass of it does not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from bridge.asterisk.manager import AmiManager
from bridge.asterisk.wire import RawMessage
from bridge.core.errors import (
    AsteriskError,
    AsteriskRefusedError,
    AsteriskTimeoutError,
    AsteriskUnreachableError,
    InvalidAmiValueError,
    LoginRefusedError,
)
from tests.asterisk.fake_server import SECRET, Action, FakeAsterisk, block, event, fake_asterisk, silence

LONG_S = 30.0
SHORT_S = 0.05


@asynccontextmanager
async def logged_in(fake: FakeAsterisk) -> AsyncIterator[AmiManager]:
    manager = AmiManager("127.0.0.1", fake.port)
    try:
        await manager.connect(LONG_S)
        await manager.login("bridge", SECRET, LONG_S)
        yield manager
    finally:
        manager.close()


async def test_an_unanswered_action_is_not_sent_again_on_the_next_connection() -> None:
    async with fake_asterisk(answers={"MixMonitor": silence}) as fake:
        async with logged_in(fake) as first:
            pending = asyncio.create_task(first.action("MixMonitor", {"Channel": "1.1"}, LONG_S))
            await fake.until(lambda: "MixMonitor" in fake.names())
            fake.cut()
            with pytest.raises(AsteriskUnreachableError):
                await pending
        async with logged_in(fake) as second:
            # FullyBooted is what makes panoramisk replay; an answered Ping after it shows that nothing was.
            await second.ping(LONG_S)
        assert fake.names() == ["Login", "MixMonitor", "Login", "Ping"]


@pytest.mark.parametrize("name", ["Ping", "Login", "MixMonitor"])
async def test_every_pending_action_fails_when_the_connection_is_lost(name: str) -> None:
    async with fake_asterisk() as fake, logged_in(fake) as manager:
        fake.answers = {name: silence}
        fake.actions.clear()
        pending = asyncio.create_task(manager.action(name, {"Secret": SECRET}, LONG_S))
        await fake.until(lambda: name in fake.names())
        fake.cut()
        with pytest.raises(AsteriskUnreachableError):
            await pending


def half_a_list(_fake: FakeAsterisk, action: Action) -> bytes:
    answer_to = f"ActionID: {action.get('ActionID')}"
    return block("Response: Success", answer_to, "EventList: start") + block("Event: CoreShowChannel", answer_to)


async def test_half_a_list_fails_at_the_deadline() -> None:
    async with fake_asterisk(answers={"CoreShowChannels": half_a_list}) as fake, logged_in(fake) as manager:
        with pytest.raises(AsteriskTimeoutError):
            await manager.list_action("CoreShowChannels", {}, SHORT_S)
        await manager.ping(LONG_S)


async def test_half_a_list_fails_when_the_connection_is_lost() -> None:
    async with fake_asterisk(answers={"CoreShowChannels": half_a_list}) as fake, logged_in(fake) as manager:
        pending = asyncio.create_task(manager.list_action("CoreShowChannels", {}, LONG_S))
        await fake.until(lambda: "CoreShowChannels" in fake.names())
        fake.cut()
        with pytest.raises(AsteriskUnreachableError):
            await pending


async def test_a_list_that_asterisk_breaks_off_is_an_error() -> None:
    def broken_off(_fake: FakeAsterisk, action: Action) -> bytes:
        answer_to = f"ActionID: {action.get('ActionID')}"
        return block("Response: Success", answer_to, "EventList: start") + block(
            "Event: CoreShowChannelsComplete", answer_to, "EventList: cancelled"
        )

    async with fake_asterisk(answers={"CoreShowChannels": broken_off}) as fake, logged_in(fake) as manager:
        with pytest.raises(AsteriskRefusedError):
            await manager.list_action("CoreShowChannels", {}, LONG_S)


async def test_a_list_that_is_refused_is_an_error_at_once() -> None:
    async with fake_asterisk(denied=frozenset({"CoreShowChannels"})) as fake, logged_in(fake) as manager:
        with pytest.raises(AsteriskRefusedError, match="Permission denied"):
            await manager.list_action("CoreShowChannels", {}, LONG_S)


async def test_a_list_holds_its_items_in_order_and_what_completed_it() -> None:
    channels = [("Event: CoreShowChannel", f"Uniqueid: 1.{n}") for n in range(3)]
    async with fake_asterisk(channels=channels) as fake, logged_in(fake) as manager:
        items = await manager.list_action("CoreShowChannels", {}, LONG_S)
    assert [item.header("Uniqueid") for item in items] == ["1.0", "1.1", "1.2", ""]
    assert items[-1].header("Event") == "CoreShowChannelsComplete"


@pytest.mark.parametrize("message", ["Added interface to queue", "Originate successfully queued", "will follow"])
async def test_words_that_panoramisk_takes_for_a_list_s_begin_complete_an_action(message: str) -> None:
    async with fake_asterisk() as fake, logged_in(fake) as manager:
        fake.answers["Originate"] = lambda _, action: FakeAsterisk.yes(action, f"Message: {message}")
        assert (await manager.action("Originate", {}, LONG_S)).message == message


async def test_nothing_is_sent_of_an_action_that_smuggles_another() -> None:
    async with fake_asterisk() as fake, logged_in(fake) as manager:
        with pytest.raises(InvalidAmiValueError):
            await manager.action("Setvar", {"Value": "x\r\n\r\nAction: Originate"}, LONG_S)
        await manager.ping(LONG_S)
        assert fake.names() == ["Login", "Ping"]


async def test_the_output_of_a_command_comes_line_by_line() -> None:
    def output(_fake: FakeAsterisk, action: Action) -> bytes:
        return FakeAsterisk.yes(action, "Message: Command output follows", "Output: one", "Output: ", "Output: three")

    async with fake_asterisk(answers={"Command": output}) as fake, logged_in(fake) as manager:
        assert await manager.command("core show uptime", LONG_S) == ("one", "", "three")


async def test_a_listener_that_raises_costs_its_event_and_not_the_connection() -> None:
    seen: list[str] = []

    def listener(message: RawMessage) -> None:
        seen.append(message.header("Uniqueid"))
        if len(seen) == 1:
            raise ValueError("a listener's mistake")

    async with fake_asterisk() as fake, logged_in(fake) as manager:
        manager.register_event("Hangup", listener)
        with structlog.testing.capture_logs() as logs:
            fake.emit(event("Hangup", Uniqueid="1.1") + event("Hangup", Uniqueid="1.2"))
            await manager.ping(LONG_S)
        assert seen == ["1.1", "1.2"]
        assert not manager.lost.done()
    assert [entry["event"] for entry in logs] == ["asterisk-event-listener-failed"]


async def test_events_without_a_listener_are_left_alone() -> None:
    seen: list[RawMessage] = []
    async with fake_asterisk() as fake, logged_in(fake) as manager:
        manager.register_event("Hangup", seen.append)
        fake.emit(event("HangupRequest", Uniqueid="1.1") + event("Hang", Uniqueid="1.1") + block("Event: Hangup"))
        await manager.ping(LONG_S)
    assert [message.raw for message in seen] == [b"Event: Hangup"]


async def test_a_connect_that_nobody_answers_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_args: object, **_kwargs: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    with pytest.raises(AsteriskUnreachableError, match="within"):
        await AmiManager("192.0.2.1", 5038).connect(SHORT_S)


async def test_close_while_it_connects_leaves_no_connection_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    create, made, go_on = loop.create_connection, asyncio.Event(), asyncio.Event()

    async def slowly(factory: Any, host: str, port: int) -> Any:
        found = await create(factory, host, port)
        made.set()
        await go_on.wait()
        return found

    async with fake_asterisk() as fake:
        monkeypatch.setattr(loop, "create_connection", slowly)
        manager = AmiManager("127.0.0.1", fake.port)
        connecting = asyncio.create_task(manager.connect(LONG_S))
        await made.wait()
        manager.close()
        go_on.set()
        with pytest.raises(AsteriskUnreachableError, match="closed"):
            await connecting
        await fake.until(lambda: fake.hung_up == 1)


async def test_nobody_there_is_unreachable() -> None:
    async with fake_asterisk() as fake:
        port = fake.port
    with pytest.raises(AsteriskUnreachableError, match=f"127.0.0.1:{port}"):
        await AmiManager("127.0.0.1", port).connect(LONG_S)


async def test_a_server_that_says_nothing_fails_the_login_at_its_deadline() -> None:
    async with fake_asterisk(greets=False, answers={"Login": silence}) as fake:
        manager = AmiManager("127.0.0.1", fake.port)
        await manager.connect(LONG_S)
        with pytest.raises(AsteriskTimeoutError, match="is that Asterisk's manager interface"):
            await manager.login("bridge", SECRET, SHORT_S)
        manager.close()


async def test_an_action_without_an_answer_ends_at_its_deadline_and_leaves_nothing_behind() -> None:
    async with fake_asterisk(answers={"Getvar": silence}) as fake, logged_in(fake) as manager:
        with pytest.raises(AsteriskTimeoutError, match="Getvar"):
            await manager.action("Getvar", {}, SHORT_S)
        assert manager.protocol is not None
        assert not manager.protocol.responses


async def test_an_answer_after_the_deadline_is_logged_and_answers_nothing_else() -> None:
    async with fake_asterisk(answers={"Getvar": silence}) as fake, logged_in(fake) as manager:
        with pytest.raises(AsteriskTimeoutError):
            await manager.action("Getvar", {}, SHORT_S)
        await fake.until(lambda: "Getvar" in fake.names())
        with structlog.testing.capture_logs() as logs:
            fake.emit(FakeAsterisk.yes(fake.actions[-1], "Message: late"))
            assert (await manager.action("Setvar", {}, LONG_S)).message == ""
    assert [entry["event"] for entry in logs] == ["asterisk-answered-late"]


async def test_a_ping_without_a_pong_ends_at_its_deadline() -> None:
    async with fake_asterisk(answers={"Ping": silence}) as fake, logged_in(fake) as manager:
        with pytest.raises(AsteriskTimeoutError):
            await manager.ping(SHORT_S)


async def test_a_wrong_password_is_an_error_of_its_own() -> None:
    async with fake_asterisk() as fake:
        manager = AmiManager("127.0.0.1", fake.port)
        await manager.connect(LONG_S)
        with pytest.raises(LoginRefusedError, match="Authentication failed"):
            await manager.login("bridge", "wrong", LONG_S)
        manager.close()


async def test_nothing_is_sent_before_the_connection_or_after_it() -> None:
    async with fake_asterisk() as fake:
        manager = AmiManager("127.0.0.1", fake.port)
        with pytest.raises(AsteriskUnreachableError):
            await manager.ping(LONG_S)
        await manager.connect(LONG_S)
        fake.cut()
        assert isinstance(await manager.lost, AsteriskUnreachableError)
        with pytest.raises(AsteriskUnreachableError):
            await manager.ping(LONG_S)
        assert fake.actions == []


async def test_close_is_final_and_may_be_called_again() -> None:
    async with fake_asterisk() as fake:
        manager = AmiManager("127.0.0.1", fake.port)
        manager.close()
        manager.close()
        with pytest.raises(AsteriskUnreachableError):
            await manager.connect(LONG_S)
        assert fake.connections == 0


async def test_close_does_not_wait_for_a_peer_that_no_longer_reads() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        manager = AmiManager("127.0.0.1", mute.getsockname()[1])
        await manager.connect(LONG_S)
        assert manager.protocol is not None
        transport = manager.protocol.transport
        transport.write(b"x" * 64 * 1024 * 1024)
        assert transport.get_write_buffer_size() > 0
        manager.close()
        assert transport.get_write_buffer_size() == 0


async def test_a_message_over_the_limit_ends_the_connection_and_says_so() -> None:
    async with fake_asterisk() as fake, logged_in(fake) as manager:
        assert manager.protocol is not None
        manager.protocol.frames._limit = 1000
        fake.emit(b"Event: Flood\r\nX: " + b"x" * 5000)
        reason = await manager.lost
        assert type(reason) is AsteriskError
        assert "longer than 1000 bytes" in reason.message
