"""What a flow is: one way in which a call moves. The modules of this package hold the flows, one module a kind.

@flow()                      # on Asterisk 22 and 16
async def blind_by_callee(net: Network) -> None:
    ...                      # ends when everybody has hung up

Every flow is played with a daemon beside the PBX (`test_flows`), and is a capture in `fixtures/` (`tests.captures`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.network.network import Network

Play = Callable[[Network], Awaitable[None]]

TALK_S = 1.2
"""How long a stretch of talk in a flow lasts."""


@dataclass(frozen=True, slots=True)
class Flow:
    """`kind` is its module's name: flows of one kind share a network. `releases` of Asterisk it works on."""

    play: Play
    kind: str
    releases: tuple[int, ...]

    @property
    def name(self) -> str:
        """As tests, captures and reports call it: `blind-by-callee`."""
        return self.play.__name__.replace("_", "-")


FLOWS: list[Flow] = []


def flow(*releases: int) -> Callable[[Play], Play]:
    """Add a flow; without releases it is for 22 and 16."""

    def keep(play: Play) -> Play:
        FLOWS.append(Flow(play, play.__module__.rpartition(".")[2], releases or (22, 16)))
        return play

    return keep


def merged(*extras: Mapping[str, str]) -> dict[str, str]:
    """Several additions to configuration files (`{"extensions.conf": …}`) as one."""
    names = dict.fromkeys(name for extra in extras for name in extra)
    return {name: "\n".join(extra[name] for extra in extras if name in extra) for name in names}
