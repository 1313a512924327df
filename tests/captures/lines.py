"""The network's additions for captures: dial plans, and calls whose caller says whatever it likes of itself."""

from urllib.parse import quote

from tests.network.call import Call
from tests.network.config import BOB_DID
from tests.network.network import Network

LOOKED_UP_DID = "4930560"
"""The PBX looks the caller's name up, and the directory answers with line breaks."""
MACHINE_DID = "4930561"
"""The PBX itself answers."""
UNANSWERED, CAMPAIGN, CONFERENCE, OWN_CAMPAIGN = "110", "120", "900", "121"

_NAME = "Erika%0D%0AEvent: Hangup%0D%0AUniqueid: 1%0D%0A%0D%0AAction: Command"

PBX_EXTRA = {
    "extensions.conf": f"""
[internal]
exten => {UNANSWERED},1,Dial(PJSIP/bob,1)
 same => n,Goto(end,1)
exten => {CAMPAIGN},1,Set(__CAMPAIGN=spring 2026, "north")
 same => n,Dial(Local/102@internal/n,30)
 same => n,Goto(end,1)
exten => {OWN_CAMPAIGN},1,Set(CAMPAIGN=autumn)
 same => n,Dial(PJSIP/bob,30,tTkK)
 same => n,Goto(end,1)
exten => {CONFERENCE},1,ConfBridge(1)
 same => n,Hangup()
[from-trunk]
exten => {LOOKED_UP_DID},1,Set(CALLERID(name)=${{URIDECODE({_NAME})}})
 same => n,Goto(internal,800,1)
exten => {MACHINE_DID},1,Goto(internal,800,1)
""",
}
PHONES_EXTRA = {
    "modules.conf": "load = func_uri.so\n",
    "extensions.conf": """
[liar]
exten => _X.,1,Set(CALLERID(name)=${URIDECODE(${LIAR_NAME})})
 same => n,Set(CALLERID(num)=${URIDECODE(${LIAR_NUMBER})})
 same => n,Dial(PJSIP/${EXTEN}@as-carrier,30)
 same => n,Hangup(${HANGUPCAUSE})
""",
}


async def claims(net: Network, *, name: str = "", number: str = "+4915112345", did: str = BOB_DID) -> Call:
    """An inbound call whose name and number hold any characters at all, line breaks too."""
    await net.phones.action("Setvar", Variable="LIAR_NAME", Value=quote(name, safe=""))
    await net.phones.action("Setvar", Variable="LIAR_NUMBER", Value=quote(number, safe=""))
    return await net._originate("outside", f"Local/{did}@liar/n", 60)
