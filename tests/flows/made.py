"""Events as Asterisk sends them, and sections as they come of them, made by hand: for the tests of the measure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tests.flows.oracle import observe
from tests.flows.truth import Truth
from tests.flows.verdict import Section
from tests.network import tones
from tests.network.ami import Message

ZERO = 1_795_000_000.0
"""When the first event may be."""


@dataclass(slots=True)
class Script:
    """A PBX's events, at seconds since ZERO. Legs are called by their numbers: 1 is `PJSIP/alice-00000001`."""

    events: list[Message] = field(default_factory=list)
    phones: list[Message] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def add(self, at: float, event: str, leg: int, **headers: str) -> None:
        uniqueid = {"Channel": self.names[leg], "Uniqueid": f"u{leg}"} if leg else {}
        self.events.append({"Event": event, "Timestamp": f"{ZERO + at:.6f}", **uniqueid, **headers})

    def leg(self, number: int, name: str, *, linked: int | None = None, at: float = 0.0, caller: str = "") -> None:
        self.names[number] = name if "/" in name else f"PJSIP/{name}-{number:08x}"
        state = "Ring" if caller else "Down"
        self.add(at, "Newchannel", number, Linkedid=f"u{linked or number}", CallerIDNum=caller, ChannelStateDesc=state)

    def enter(self, at: float, bridge: str, *legs: int, technology: str = "simple_bridge") -> None:
        kind = "base" if technology in ("softmix", "holding_bridge") else "basic"
        for leg in legs:
            self.add(at, "BridgeEnter", leg, BridgeUniqueid=bridge, BridgeTechnology=technology, BridgeType=kind,
                     Linkedid=f"u{leg}")  # fmt: skip

    def leave(self, at: float, bridge: str, *legs: int) -> None:
        for leg in legs:
            self.add(at, "BridgeLeave", leg, BridgeUniqueid=bridge)

    def key(self, at: float, leg: int) -> None:
        self.add(at, "DTMFBegin", leg, Direction="Received")
        self.add(at + 0.12, "DTMFEnd", leg, Direction="Received")

    def monitor(self, at: float, leg: int, path: str) -> None:
        self.add(at, "VarSet", leg, Variable="MIXMONITOR_FILENAME", Value=path)

    def carrier(self, call: str, number: str) -> None:
        """A call that the carrier brings, as the phones' Asterisk has it."""
        self.phones.append({"Event": "Newchannel", "Uniqueid": call, "CallerIDNum": "<unknown>"})
        self.phones.append({"Event": "NewCallerid", "Uniqueid": call, "CallerIDNum": number})

    def truth(self) -> Truth:
        return observe(self.events, self.phones)


def two_parties(began: float = 1.0, ended: float = 3.0) -> Script:
    """Alice (1) and bob (2), and dave (9) in no talk at all."""
    script = Script()
    script.leg(1, "alice")
    script.leg(2, "bob", linked=1)
    script.leg(9, "dave")
    script.enter(began, "b", 1, 2)
    script.leave(ended, "b", 1, 2)
    return script


def audio(length_s: float, parties: Mapping[str, tuple[float, float]]) -> tones.Samples:
    """Each party hums from when to when, in seconds of the WAV."""
    mixed = np.zeros(round(length_s * 8000), dtype=np.int16)
    for party, (began, ended) in parties.items():
        first, last = round(began * 8000), round(min(ended, length_s) * 8000)
        mixed[first:last] += tones.hum(party, length_s)[first:last]
    return mixed


def section(
    leg: int, began: float, ended: float, *parties: str, record: str = "r", rule: int = 1, file: int = 1, **some: float
) -> Section:
    """A section in which these parties hum all the time, and `some` from then on (in seconds since ZERO)."""
    length_s = ended - began
    heard = dict.fromkeys(parties, (0.0, length_s)) | {party: (at - began, length_s) for party, at in some.items()}
    return Section(record, rule, file, f"u{leg}", "u1", ZERO + began, audio(length_s, heard), 8000)
