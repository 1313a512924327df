"""What the parties of a flow do, step by step, each step ending with the events that prove it."""

from tests.flows.together import leg, party, together, until
from tests.network.ami import Message
from tests.network.call import Call
from tests.network.network import Network


async def happened(net: Network, name: str, *, since: int = 0, **headers: str) -> Message:
    """The first such event of the PBX after the mark, its headers beginning as given; AmiError."""
    return await net.wait_for_event(
        lambda one: one["Event"] == name and all(one.get(key, "").startswith(value) for key, value in headers.items()),
        since=since,
    )


async def alice_and_bob(net: Network) -> Call:
    """Alice has called Bob, and they talk."""
    call = await net.call("alice", "102")
    await together(net, "alice", "bob")
    return call


async def blind(net: Network, by: str, number: str) -> int:
    """A party transfers blindly by its keys; returns the mark at which it began. AmiError where Asterisk refuses."""
    began = net.pbx.mark
    await net.press(by, "#1")
    await happened(net, "MusicOnHoldStart", since=began)  # now keys are digits of the number
    await net.press(by, number)
    await happened(
        net, "BlindTransfer", since=began, Result="Success", TransfererChannel=_channel(by), Extension=number
    )
    return began


async def consult(net: Network, by: str, number: str) -> int:
    """A party holds its talk and dials the target of an attended transfer; returns the mark at which it began."""
    began = net.pbx.mark
    await net.press(by, "*2")
    await happened(net, "Hold", since=began, Channel=_channel(by))
    await net.press(by, number)
    await happened(net, "Newchannel", since=began, Channel=f"Local/{number}@")
    await happened(net, "BridgeEnter", since=began, Channel=_channel(by))  # that of the consultation
    return began


async def transferred(net: Network, by: str, since: int) -> Message:
    """Asterisk says that the party's attended transfer succeeded."""
    return await happened(net, "AttendedTransfer", since=since, Result="Success", OrigTransfererChannel=_channel(by))


async def bob_asks_carol(net: Network) -> int:
    """A consultation and its talk; returns the mark at which it began."""
    began = await consult(net, "bob", "103")
    await together(net, "bob", "carol")
    return began


async def hands_over(net: Network, by: str, since: int) -> None:
    """The transferer hangs up, and that completes the transfer."""
    await net.hangup(by)
    await transferred(net, by, since)


async def gone(net: Network, name: str, *, since: int = 0) -> None:
    """Return when a leg of the party has hung up on the PBX after the mark."""
    await happened(net, "Hangup", since=since, Channel=_channel(name))


async def alone(net: Network, name: str) -> None:
    """Return when the party's newest leg is the PBX's only real one."""
    last = leg(net, name)

    def met() -> bool:
        events = net.pbx.events()
        ended = {event["Uniqueid"] for event in events if event["Event"] == "Hangup"}
        born = [event for event in events if event["Event"] == "Newchannel" and party(event["Channel"])]
        return [event["Channel"] for event in born if event["Uniqueid"] not in ended] == [last]

    await until(net, met, f"channel but {last}")


def _channel(name: str) -> str:
    return f"PJSIP/{name}-"
