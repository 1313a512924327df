import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, Notifier]]:
    """The service manager's socket, and a Notifier that was told of it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@recbridge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        receiver.settimeout(30)
        yield receiver, Notifier({"NOTIFY_SOCKET": name})


def test_every_message_reaches_the_service_manager(manager: tuple[socket.socket, Notifier]) -> None:
    receiver, notifier = manager
    assert notifier.listening
    tells: list[Callable[[], bool]] = [
        notifier.ready,
        lambda: notifier.ready("recording 3 calls"),
        lambda: notifier.status("Asterisk is away"),
        notifier.watchdog,
        lambda: notifier.stopping("bye"),
    ]
    said = []
    for tell in tells:
        assert tell()
        said.append(receiver.recv(4096).decode())
    assert said == [
        "READY=1",
        "READY=1\nSTATUS=recording 3 calls",
        "STATUS=Asterisk is away",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=bye",
    ]


def test_reloading_says_when_on_the_monotonic_clock(manager: tuple[socket.socket, Notifier]) -> None:
    receiver, notifier = manager
    before = time.monotonic_ns() // 1000
    assert notifier.reloading()
    first, _, second = receiver.recv(4096).decode().partition("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_a_status_cannot_smuggle_another_assignment(manager: tuple[socket.socket, Notifier]) -> None:
    receiver, notifier = manager
    notifier.status("away\nMAINPID=1")
    assert receiver.recv(4096) == b"STATUS=away MAINPID=1"


def test_without_a_service_manager_nothing_happens() -> None:
    notifier = Notifier({})
    assert not notifier.listening
    assert not notifier.ready()
    assert notifier.watchdog_s is None


def test_a_service_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_one_that_does_not_read_does_not_hold_us_up(manager: tuple[socket.socket, Notifier]) -> None:
    _, notifier = manager
    assert any(not notifier.watchdog() for _ in range(100_000))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_interval_is_for_the_process_it_names(environ: dict[str, str], expected: float | None) -> None:
    assert Notifier(environ).watchdog_s == expected
