"""Calls acted from first to last, with the events of Asterisk 22.10 in their order (after captures of real ones).

Left out are RTP statistics, device and extension states, and Dial's many timing variables.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from tests.network.config import PHONES, SUPPORT_DID
from tests.simulator.pbx import DOWN, RING, RINGING, UP, Bridge, Channel, Pbx
from tests.simulator.server import Simulator

Side = Literal["caller", "callee"]


@dataclass(frozen=True, slots=True)
class Acted:
    """A call that is over: the Uniqueids of the two who talked."""

    caller: str
    callee: str


class Script(Protocol):
    """A call that can be acted: `talk_s` seconds of talk, after which one hangs up."""

    async def __call__(self, simulator: Simulator, talk_s: float = ..., /) -> Acted: ...


async def inside(
    simulator: Simulator,
    talk_s: float = 5.0,
    *,
    caller: str = "alice",
    callee: str = "bob",
    ring_s: float = 0.2,
    hung_up_by: Side = "caller",
) -> Acted:
    """A phone dials another one: alice 102, which is bob."""
    pbx = simulator.pbx
    number = PHONES[callee]
    first = _phone(pbx, caller, number)
    pbx.newexten(first, number, "Dial", f"PJSIP/{callee},30,tTkK")
    second = pbx.new_channel(
        callee, callee, "internal", "s", state=DOWN, caller=_identity(callee), linkedid=first.linkedid
    )
    return await _dialled(pbx, first, second, callee, number, talk_s=talk_s, ring_s=ring_s, hung_up_by=hung_up_by)


async def outbound(
    simulator: Simulator,
    talk_s: float = 5.0,
    *,
    caller: str = "alice",
    number: str = "0301234567",
    ring_s: float = 0.2,
    hung_up_by: Side = "caller",
) -> Acted:
    """A phone dials out through the trunk; the party outside hums `outside`."""
    pbx = simulator.pbx
    first = _phone(pbx, caller, number)
    pbx.newexten(first, number, "Dial", f"PJSIP/{number}@trunk,60,tTkK")
    unknown = ("<unknown>", "<unknown>")
    second = pbx.new_channel("trunk", "outside", "from-trunk", "s", state=DOWN, caller=unknown, linkedid=first.linkedid)
    second.caller = (number, "<unknown>")
    return await _dialled(
        pbx, first, second, f"{number}@trunk", number, talk_s=talk_s, ring_s=ring_s, hung_up_by=hung_up_by
    )


async def inbound(
    simulator: Simulator,
    talk_s: float = 5.0,
    *,
    number: str = "+4915112345",
    name: str = "Erika Muster",
    did: str = SUPPORT_DID,
    answers: str = "bob",
    ring_s: float = 0.2,
    hung_up_by: Side = "caller",
) -> Acted:
    """The trunk brings a call into the queue `support`: bob and carol ring, one of them answers."""
    pbx = simulator.pbx
    began = pbx.clock.now()
    caller = pbx.new_channel("trunk", "outside", "from-trunk", did, state=RING, caller=(number, name))
    pbx.newexten(caller, did, "Goto", "internal,500,1")
    caller.context = "internal"
    pbx.newexten(caller, "500", "Queue", "support,tTkK,,,60")
    queue = ("Queue", "support")
    pbx.emit("agent", "QueueCallerJoin", *caller.headers(), queue, ("Position", "1"), ("Count", "1"))
    pbx.emit("call", "MusicOnHoldStart", *caller.headers(), ("Class", "default"))
    members = {each: _call_member(pbx, caller, each) for each in ("carol", "bob")}
    for member in members.values():
        pbx.set_state(member, RINGING)
        pbx.newexten(member, "500", "AppQueue", "(Outgoing Line)")
        pbx.connect_line(member, caller.caller)
        _dial(pbx, "DialState", caller, member, ("DialStatus", "RINGING"))
    await pbx.clock.sleep(ring_s)

    agent = members.pop(answers)
    (other,) = members.values()
    pbx.set_state(agent, UP)
    _dial(pbx, "DialEnd", caller, agent, ("DialStatus", "ANSWER"))
    # The one who did not answer is cancelled twice, before and after the connected line (measured).
    _dial(pbx, "DialEnd", caller, other, ("DialStatus", "CANCEL"))
    pbx.connect_line(caller, agent.caller)
    _dial(pbx, "DialEnd", caller, other, ("DialStatus", "CANCEL"))
    pbx.emit("call", "MusicOnHoldStop", *caller.headers())
    waited = str(int(ring_s))
    served = (queue, ("Interface", f"PJSIP/{answers}"), ("MemberName", answers.capitalize()), ("HoldTime", waited))
    pbx.set_variable(caller, "QUEUEPOSITION", "1")
    pbx.emit("agent", "QueueCallerLeave", *caller.headers(), queue, ("Position", "1"), ("Count", "0"))
    pbx.emit("agent", "AgentConnect", *caller.headers(), *agent.headers("Dest"), *served, ("RingTime", waited))
    pbx.hang_up(other, 26)
    pbx.set_state(caller, UP)
    answered = pbx.clock.now()
    bridge = await _talk(pbx, caller, agent, talk_s)

    ends = caller if hung_up_by == "caller" else agent
    pbx.emit("call", "HangupRequest", *ends.headers())
    end = (("TalkTime", str(int(talk_s))), ("Reason", "caller" if ends is caller else "agent"))
    pbx.emit("agent", "AgentComplete", *caller.headers(), *agent.headers("Dest"), *served, *end)
    for channel in (ends, agent if ends is caller else caller):
        pbx.leave(channel)
    pbx.destroy(bridge)
    pbx.emit("call", "SoftHangupRequest", *caller.headers(), ("Cause", "16"))
    pbx.newexten(caller, "h", "NoOp")
    caller.priority = 2
    pbx.hang_up(agent)
    application = ("Queue", "support,tTkK,,,60")
    _cdr(pbx, caller, other, application, "500", began=began, answered=None, ended=answered)
    _cdr(pbx, caller, agent, application, "500", began=began, answered=answered, ended=pbx.clock.now())
    pbx.hang_up(caller)
    return Acted(caller.uniqueid, agent.uniqueid)


def _identity(name: str) -> tuple[str, str]:
    return PHONES[name], name.capitalize()


def _phone(pbx: Pbx, name: str, number: str) -> Channel:
    return pbx.new_channel(name, name, "internal", number, state=RING, caller=_identity(name))


def _dial(pbx: Pbx, event: str, caller: Channel, callee: Channel, *more: tuple[str, str]) -> None:
    pbx.emit("call", event, *caller.headers(), *callee.headers("Dest"), *more)


def _call_member(pbx: Pbx, caller: Channel, name: str) -> Channel:
    member = pbx.new_channel(name, name, "internal", "s", state=DOWN, caller=_identity(name), linkedid=caller.linkedid)
    pbx.set_variable(member, "DIALEDPEERNUMBER", name)
    # DialBegin still shows the leg as it was born (measured).
    newborn = member.headers("Dest")
    member.exten, member.connected = "500", caller.caller
    known = (("Queue", "support"), ("Interface", f"PJSIP/{name}"), ("MemberName", name.capitalize()))
    pbx.emit("agent", "AgentCalled", *caller.headers(), *member.headers("Dest"), *known)
    pbx.emit("call", "DialBegin", *caller.headers(), *newborn, ("DialString", f"PJSIP/{name}"))
    return member


async def _dialled(
    pbx: Pbx,
    caller: Channel,
    callee: Channel,
    dialstring: str,
    number: str,
    *,
    talk_s: float,
    ring_s: float,
    hung_up_by: Side,
) -> Acted:
    """Dial from the second leg's birth on: it rings, answers, they talk, one hangs up."""
    application = caller.application
    pbx.set_variable(callee, "DIALEDPEERNUMBER", dialstring)
    callee.connected = caller.caller
    pbx.newexten(callee, number, "AppDial", "(Outgoing Line)")
    if callee.context == "from-trunk":
        presentation = ("CID-CallingPres", "0 (Presentation Allowed, Not Screened)")
        pbx.emit("call", "NewCallerid", *callee.headers(), presentation)
    pbx.connect_line(callee, caller.caller)
    _dial(pbx, "DialBegin", caller, callee, ("DialString", dialstring))
    pbx.connect_line(caller, callee.caller)
    pbx.set_state(callee, RINGING)
    _dial(pbx, "DialState", caller, callee, ("DialStatus", "RINGING"))
    await pbx.clock.sleep(ring_s)

    pbx.set_state(callee, UP)
    for variable, value in (
        ("DIALSTATUS", "ANSWER"),
        ("DIALEDPEERNAME", callee.name),
        ("DIALEDPEERNUMBER", dialstring),
    ):
        pbx.set_variable(caller, variable, value)
    callee.exten = ""
    _dial(pbx, "DialEnd", caller, callee, ("DialStatus", "ANSWER"))
    pbx.set_state(caller, UP)
    answered = pbx.clock.now()
    bridge = await _talk(pbx, caller, callee, talk_s)

    by_caller = hung_up_by == "caller"
    pbx.emit("call", "HangupRequest", *(caller if by_caller else callee).headers(), ("Cause", "16"))
    if by_caller:
        pbx.leave(caller)
        _to_the_end(pbx, caller)
        pbx.leave(callee)
        pbx.destroy(bridge)
        pbx.hang_up(caller)
        pbx.hang_up(callee)
    else:
        pbx.leave(callee)
        pbx.leave(caller)
        pbx.destroy(bridge)
        _to_the_end(pbx, caller)
        pbx.hang_up(callee)
        pbx.hang_up(caller)
    _cdr(pbx, caller, callee, application, number, began=caller.began, answered=answered, ended=pbx.clock.now())
    return Acted(caller.uniqueid, callee.uniqueid)


async def _talk(pbx: Pbx, caller: Channel, callee: Channel, talk_s: float) -> Bridge:
    bridge = pbx.new_bridge()
    if callee.application[0] == "AppDial":
        pbx.newexten(callee, "", *callee.application)
    pbx.enter(bridge, callee)
    pbx.enter(bridge, caller)
    pbx.set_variable(callee, "BRIDGEPEER", caller.name)
    pbx.set_variable(caller, "BRIDGEPEER", callee.name)
    await pbx.clock.sleep(talk_s)
    return bridge


def _to_the_end(pbx: Pbx, caller: Channel) -> None:
    pbx.emit("call", "SoftHangupRequest", *caller.headers(), ("Cause", "16"))
    pbx.newexten(caller, "h", "NoOp")
    caller.priority = 2


def _cdr(
    pbx: Pbx,
    caller: Channel,
    callee: Channel,
    application: tuple[str, str],
    number: str,
    *,
    began: float,
    answered: float | None,
    ended: float,
) -> None:
    def at(seconds: float | None) -> str:
        return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"

    name = "" if caller.caller[1] == "<unknown>" else caller.caller[1]
    pbx.emit(
        "cdr",
        "Cdr",
        ("AccountCode", ""),
        ("Source", caller.caller[0]),
        ("Destination", number),
        ("DestinationContext", caller.context),
        ("CallerID", f'"{name}" <{caller.caller[0]}>'),
        ("Channel", caller.name),
        ("DestinationChannel", callee.name),
        ("LastApplication", application[0]),
        ("LastData", application[1]),
        ("StartTime", at(began)),
        ("AnswerTime", at(answered)),
        ("EndTime", at(ended)),
        ("Duration", str(int(ended - began))),
        ("BillableSeconds", str(int(ended - answered) if answered is not None else 0)),
        ("Disposition", "NO ANSWER" if answered is None else "ANSWERED"),
        ("AMAFlags", "DOCUMENTATION"),
        ("UniqueID", caller.uniqueid),
        ("UserField", ""),
    )
