"""What systemd is told: sd_notify(3), in the standard library alone."""

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Speaks to the service manager at `$NOTIFY_SOCKET`; without one every method does nothing.

    Nothing here waits: a datagram that systemd's socket cannot take at once is lost, and False says so.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # an abstract socket
        self.watchdog_s = _watchdog_s(environ)
        """Within so many seconds `watchdog` must be called, best twice as often; None without a watchdog."""

    @property
    def listening(self) -> bool:
        """Whether there is a service manager to tell."""
        return bool(self._address)

    def starting(self, for_s: float) -> bool:
        """The start goes on, for up to so many seconds from now, whatever TimeoutStartSec says."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(for_s * 1_000_000)}")

    def ready(self, status: str = "") -> bool:
        """The service is up, or done with reloading."""
        return self._send("READY=1", *_status(status))

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(*_status(text))

    def watchdog(self) -> bool:
        """Still alive."""
        return self._send("WATCHDOG=1")

    def reloading(self) -> bool:
        """The configuration is being read again; `ready` ends it."""
        # systemd compares it with the time at which it asked: CLOCK_MONOTONIC, in microseconds.
        return self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """The service is about to end."""
        return self._send("STOPPING=1", *_status(status))

    def _send(self, *lines: str) -> bool:
        if not self._address:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return False
        return True


def _status(text: str) -> tuple[str, ...]:
    # A line break would begin another assignment.
    return (f"STATUS={' '.join(text.split())}",) if text else ()


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """`$WATCHDOG_USEC` in seconds, where `$WATCHDOG_PID` means this process (sd_watchdog_enabled(3))."""
    interval, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not interval.isdecimal() or int(interval) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(interval) / 1_000_000
