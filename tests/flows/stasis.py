"""Calls in the hands of an application, which moves them by ARI from one Stasis bridge into another. Number 400."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.flows.flow import flow
from tests.flows.steps import happened
from tests.flows.together import leg, party, together
from tests.network.ami import AmiError
from tests.network.config import BOB_DID
from tests.network.network import Network

APPLICATION, SECRET, NUMBER, DID = "flows", "flows-secret", "400", "4930400"

# In the order in which Asterisk 16 can load them; res_websocket_client is only in 22.
_MODULES = """
res_http_websocket res_websocket_client res_stasis res_stasis_answer res_stasis_playback res_stasis_recording
res_stasis_snoop res_ari_model res_ari res_ari_events res_ari_applications res_ari_bridges res_ari_channels app_stasis
"""
PBX_EXTRA = {
    "modules.conf": "".join(f"load = {name}.so\n" for name in _MODULES.split()),
    "ari.conf": f"[general]\nenabled = yes\n[{APPLICATION}]\ntype = user\npassword = {SECRET}\n",
    "extensions.conf": f"""
[internal]
exten => {NUMBER},1,Answer()
 same => n,Stasis({APPLICATION})
 same => n,Hangup()
[from-trunk]
exten => {DID},1,Goto(internal,{NUMBER},1)
""",
}


@dataclass(slots=True)
class _Application:
    """Just enough of ARI. Asterisk knows the application as long as its WebSocket is open."""

    session: aiohttp.ClientSession
    socket: aiohttp.ClientWebSocketResponse

    async def started(self, *names: str) -> list[str]:
        """Return when a leg of each party has been given to the application since the last time: their uniqueids."""
        legs: dict[str | None, str] = {}
        while not legs.keys() >= set(names):
            event = await self.socket.receive_json(timeout=20)
            if event["type"] == "StasisStart":
                legs[party(event["channel"]["name"])] = event["channel"]["id"]
        return [legs[name] for name in names]

    async def dial(self, name: str, by: str) -> str:
        """Ring a phone for the caller, whose uniqueid is given, and return when it has answered: its uniqueid."""
        await self._post("channels", endpoint=f"PJSIP/{name}", app=APPLICATION, originator=by)
        return (await self.started(name))[0]

    async def bridge(self, *channels: str) -> str:
        """A new bridge with these channels, which leave those where they are."""
        made = (await self._post("bridges", type="mixing"))["id"]
        await self.add(made, *channels)
        return str(made)

    async def add(self, bridge: str, *channels: str) -> None:
        """Put channels into a bridge; they leave those where they are."""
        await self._post(f"bridges/{bridge}/addChannel", channel=",".join(channels))

    async def destroy(self, *bridges: str) -> None:
        """Whoever is still in one of them waits in the application."""
        for bridge in bridges:
            async with self.session.delete(f"/ari/bridges/{bridge}") as response:
                response.raise_for_status()

    async def hang_up(self, *channels: str) -> None:
        for channel in channels:
            async with self.session.delete(f"/ari/channels/{channel}") as response:
                response.raise_for_status()

    async def _post(self, path: str, **parameters: str) -> dict[str, Any]:
        async with self.session.post(f"/ari/{path}", params=parameters) as response:
            if not response.ok:
                raise AmiError(f"ARI refuses {path} {parameters}: {response.status} {await response.text()}")
            return dict(await response.json()) if response.status == 200 else {}


@asynccontextmanager
async def _application(net: Network) -> AsyncIterator[_Application]:
    login = base64.b64encode(f"{APPLICATION}:{SECRET}".encode()).decode()
    base = f"http://127.0.0.1:{net.ports.pbx_http}"
    async with (
        aiohttp.ClientSession(base, headers={"Authorization": f"Basic {login}"}) as session,
        session.ws_connect("/ari/events", params={"app": APPLICATION}) as socket,
    ):
        yield _Application(session, socket)


@flow()
async def stasis_talk(net: Network) -> None:
    """The application answers, rings another phone and bridges both."""
    async with _application(net) as application:
        call = await net.call("alice", NUMBER)
        [alice] = await application.started("alice")
        bob = await application.dial("bob", alice)
        bridge = await application.bridge(alice, bob)
        await together(net, "alice", "bob")
        await call.hangup()
        await application.hang_up(bob)
        await application.destroy(bridge)


@flow()
async def stasis_leg_moved(net: Network) -> None:
    """One leg goes to a third party in another bridge, and comes back."""
    async with _application(net) as application:
        call = await net.inbound(did=DID)
        [outside] = await application.started("trunk")
        bob = await application.dial("bob", outside)
        first = await application.bridge(outside, bob)
        await together(net, "trunk", "bob")
        carol = await application.dial("carol", outside)
        second = await application.bridge(carol)
        await application.add(second, outside)
        await together(net, "trunk", "carol")
        await application.add(first, outside)
        await together(net, "trunk", "bob")
        await call.hangup()
        await application.hang_up(bob, carol)
        await application.destroy(first, second)


@flow()
async def stasis_three_in_a_bridge(net: Network) -> None:
    """A third joins, and one of the first two leaves."""
    async with _application(net) as application:
        call = await net.call("alice", NUMBER)
        [alice] = await application.started("alice")
        bob = await application.dial("bob", alice)
        bridge = await application.bridge(alice, bob)
        await together(net, "alice", "bob")
        carol = await application.dial("carol", alice)
        await application.add(bridge, carol)
        await together(net, "alice", "bob", "carol")
        await call.hangup()
        await together(net, "bob", "carol")
        await application.hang_up(bob, carol)
        await application.destroy(bridge)


@flow()
async def stasis_from_a_talk(net: Network) -> None:
    """Both legs of a talk that the dialplan made are given to the application, which bridges them again."""
    async with _application(net) as application:
        call = await net.inbound(did=BOB_DID)
        await together(net, "trunk", "bob")
        began = net.pbx.mark
        await net.pbx.action(
            "Redirect",
            Channel=leg(net, "trunk"),
            Context="internal",
            Exten=NUMBER,
            Priority="1",
            ExtraChannel=leg(net, "bob"),
            ExtraContext="internal",
            ExtraExten=NUMBER,
            ExtraPriority="1",
        )
        legs = await application.started("trunk", "bob")
        bridge = await application.bridge(*legs)
        for name in ("trunk", "bob"):
            await happened(net, "BridgeEnter", since=began, Channel=f"PJSIP/{name}", BridgeType="stasis")
        await together(net, "trunk", "bob")
        await call.hangup()
        await application.hang_up(legs[1])
        await application.destroy(bridge)
