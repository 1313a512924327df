"""How long is waited, when it is tried again, and how the connection stands."""

from dataclasses import dataclass
from enum import StrEnum


class ConnectionState(StrEnum):
    """Where the connection stands. In all but `connected` no events come and no action can be done."""

    CONNECTING = "connecting"
    UNREACHABLE = "unreachable"  # waits before the next try
    LOGIN_REFUSED = "login-refused"  # tries again, but seldom
    RIGHTS_MISSING = "rights-missing"  # not even the channels may be listed; tries again, but seldom
    CONNECTED = "connected"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long is waited for what, seconds. `boot_s`: for FullyBooted, from an Asterisk that is still starting."""

    connect_s: float = 5.0
    login_s: float = 10.0
    action_s: float = 5.0
    list_s: float = 30.0
    pong_s: float = 10.0
    ping_interval_s: float = 10.0
    boot_s: float = 10.0


@dataclass(frozen=True, slots=True)
class BackOff:
    """Waits between tries, seconds: `first_s`, doubled each time up to `cap_s`; of that a random part over a half.

    It begins anew once a connection has held for `stable_s`. `refused_s` is the wait where only an admin can help,
    `torn_s` that after a message that a caller tore apart.
    """

    first_s: float = 1.0
    cap_s: float = 30.0
    refused_s: float = 60.0
    stable_s: float = 30.0
    torn_s: float = 0.02

    def wait_s(self, failures: int, chance: float) -> float:
        """The wait after the `failures`-th failure in a row, from 1 on; `chance` is from [0, 1)."""
        return min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 16)) * (1 + chance) / 2

    def refused_wait_s(self, chance: float) -> float:
        """The wait after a refusal."""
        return self.refused_s * (1 + chance) / 2
