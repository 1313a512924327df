"""PITEL's live list: each user's leg in a running call, under PITEL's names. What is not known is ''.

PITEL's description and its example differ on numbers (the example has the customer's as `cid_num`); the description is
kept: `b_cid_num` is the customer's number, `cid_num` the hotline's, `destination` the number that the call goes to.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from typing_extensions import TypedDict

from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.operations import Operation
from bridge.core.access import Reader
from bridge.core.conditions import Direction
from bridge.core.ids import ChannelName, Identity
from bridge.core.live import CallNow, Contact, PartyNow
from bridge.core.people import Directory, User, derived_uuid

_DIRECTIONS: Mapping[str, str] = {
    Direction.INTERNAL: "local",
    Direction.INBOUND: "inbound",
    Direction.OUTBOUND: "outbound",
}


class Monitor(TypedDict):
    """PITEL's live list."""

    data: list[dict[str, str]]
    total: int


async def monitor(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /v3/monitor`: `{"data": […], "total": n}`, of the oldest call first. Parameters are ignored, as PITEL does.

    Where a phone is, only itself, its supervisors and admins are told.
    """
    deps = dependencies(request)
    legs = [
        (call, party)
        for call in deps.live.calls_now()
        if access.reader.sees(call.audience)
        for party in call.parties
        if party.identity is not None
    ]
    contacts = await _contacts(deps, access.reader, [party for _, party in legs])
    data = [_item(deps, call, party, contacts.get(party.channel, Contact())) for call, party in legs]
    return json_response({"data": data, "total": len(data)})


async def _contacts(deps: Dependencies, reader: Reader, legs: list[PartyNow]) -> Mapping[ChannelName, Contact]:
    channels = [leg.channel for leg in legs if leg.identity is not None and reader.sees((leg.identity,))]
    return await deps.contacts.contacts(channels) if deps.contacts is not None and channels else {}


def _item(deps: Dependencies, call: CallNow, leg: PartyNow, contact: Contact) -> dict[str, Any]:
    user = _user(deps.directory(), leg.identity or Identity(""))
    number, hotline, destination = _numbers(call, leg)
    return {
        "agent_name": user.identity,
        "b_cid_num": number,
        "call_id": call.call_id,
        "call_state": "ONCALL" if leg.talking or leg.answered_at is not None else "RINGING",
        # The PBX's own time, without a zone: we run beside it.
        "call_time": f"{call.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        "cid_num": hotline,
        "destination": destination,
        "direction": _DIRECTIONS.get(call.direction, ""),
        "domain_name": deps.systemname,
        "domain_uuid": str(deps.tenant_uuid),
        "extension": leg.number,
        "extension_uuid": str(derived_uuid(user.uuid, leg.number)) if leg.number else "",
        "last_name": "",
        "middle_name": "",
        # All of it, as PITEL does: which part of a name is which, users.yml does not say.
        "first_name": user.name,
        "network_ip": contact.address,
        "server_host": deps.server_host or deps.systemname,
        "user_agent": contact.user_agent,
        "user_uuid": str(user.uuid),
        "username": user.identity,
    }


def _user(directory: Directory, identity: Identity) -> User:
    return directory.by_identity.get(identity) or User.model_construct(identity=identity)


def _numbers(call: CallNow, leg: PartyNow) -> tuple[str, str, str]:
    """The other side's number, the hotline's, and the one that the call goes to."""
    others = [one for one in call.parties if one.uniqueid != leg.uniqueid]
    connected = [one for one in others if one.uniqueid in leg.talking_with]
    match call.direction:
        case Direction.INBOUND:
            return _first(connected, others, outside=True), call.dialed, call.dialed
        case Direction.OUTBOUND:
            customer = _first(connected, others, outside=True)
            return customer, "", customer or call.dialed  # only the trunk knows what number we show
        case _:
            caller = next((one.number for one in call.parties if not one.dialed), "")
            other = _first(connected, others, outside=False) or ("" if leg.dialed else call.dialed)
            return other, caller, call.dialed


def _first(*some: list[PartyNow], outside: bool) -> str:
    return next((one.number for parties in some for one in parties if one.outside == outside and one.number), "")


OPERATIONS = (Operation("GET", "/v3/monitor", monitor, "PITEL's live list", {200: Monitor}, group="PITEL"),)
