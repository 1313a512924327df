"""What SIP phones can do beyond the network's: transfer by REFER, blindly or with Replaces, and hold by re-INVITE.

The phones' Asterisk does it: a leg is redirected into the dial plan that sends the request, and hums again.
"""

from urllib.parse import quote

from tests.network.ami import AmiError
from tests.network.config import PHONES
from tests.network.network import Network

PHONES_EXTRA = {
    "modules.conf": "load = bridge_holding.so\nload = app_bridgewait.so\n",
    # The PBX leaves the transferer's BYE to the phone, which sends it when it is told that the transfer succeeded.
    # A hold inside the phones' Asterisk goes out as a re-INVITE with sendonly.
    "pjsip.conf": "".join(
        f"[{endpoint}](+type=endpoint)\nmoh_passthrough = yes\n"
        for endpoint in ("pbx", "as-carrier", *(f"as-{name}" for name in PHONES))
    ),
    "extensions.conf": """
[flows-refer]
exten => s,1,Transfer(PJSIP/${FLOWS_REFER_TO})
 same => n,GotoIf($["${TRANSFERSTATUS}" != "SUCCESS"]?hum,${CHANNEL(accountcode)},1)
 same => n,Hangup()
[flows-hold]
exten => s,1,BridgeWait(flows,participant,e(h))
""",
}


async def legs(net: Network, name: str) -> list[str]:
    """The party's legs on its phone, the oldest first, by Uniqueid."""
    born = [event["Uniqueid"] for event in net.phones.events() if event["Event"] == "Newchannel"]
    living = await net.phones.listing("CoreShowChannels")
    return sorted((leg["Uniqueid"] for leg in living if leg["AccountCode"] == name), key=born.index)


async def refer(net: Network, by: str, number: str, *, replaces: str | None = None) -> None:
    """The phone sends REFER on its oldest leg, and hangs that up when it succeeds; else it hums on.

    With `replaces`, another leg of the phone, the transferee takes that leg's place (an attended transfer).
    """
    uri = f"sip:{number}@127.0.0.1:{net.ports.pbx_sip}"
    if replaces is not None:
        uri = f"<{uri}?Replaces={quote(await _dialog(net, replaces), safe='')}>"
    leg = (await legs(net, by))[0]
    await net.phones.action("Setvar", Channel=leg, Variable="FLOWS_REFER_TO", Value=uri)
    await net.phones.action("Redirect", Channel=leg, Context="flows-refer", Exten="s", Priority="1")


async def hold(net: Network, by: str) -> None:
    """The phone holds its oldest leg, and is silent."""
    leg = (await legs(net, by))[0]
    await net.phones.action("Redirect", Channel=leg, Context="flows-hold", Exten="s", Priority="1")


async def unhold(net: Network, by: str) -> None:
    """The phone takes its oldest leg back, and hums."""
    leg = (await legs(net, by))[0]
    await net.phones.action("Redirect", Channel=leg, Context="hum", Exten=by, Priority="1")


async def _dialog(net: Network, leg: str) -> str:
    """A leg's SIP dialog as Replaces names it: as the PBX sees it, so its own tag is the phone's remote one."""
    call_id, to_tag, from_tag = [
        await _channel(net, leg, f"CHANNEL(pjsip,{item})") for item in ("call-id", "remote_tag", "local_tag")
    ]
    return f"{call_id};to-tag={to_tag};from-tag={from_tag}"


async def _channel(net: Network, leg: str, variable: str) -> str:
    value = (await net.phones.action("Getvar", Channel=leg, Variable=variable))["Value"]
    if not value:
        raise AmiError(f"{leg} has no {variable}")
    return value
