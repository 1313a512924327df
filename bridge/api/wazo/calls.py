"""wazo-calld's calls: those that go on now, one for each party's channel, and what is done to their recording."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from aiohttp import web

from bridge.api.answers import RequestError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.wazo.access import Handler, needs_scope
from bridge.api.wazo.errors import MissingAccessError
from bridge.api.wazo.people import uuid_text
from bridge.core import errors as e
from bridge.core.access import Role, Scope
from bridge.core.commands import Refused, Verb
from bridge.core.ids import Uniqueid
from bridge.core.live import CallNow, PartyNow
from bridge.core.views import Json

_RECORD_STATES = {"recording": "active", "paused": "paused", "": "inactive"}


class NoSuchCallError(RequestError):
    """There is no such channel, or it is none that the one who asks may see."""

    status = 404
    code = "no-such-call"

    def __init__(self, call_id: str) -> None:
        super().__init__("No such call", call_id=call_id)


class RecordingUnauthorizedError(RequestError):
    """The rules do not let this user do that."""

    status = 403
    code = "recording-unauthorized"

    def __init__(self, call_id: str, reason: str) -> None:
        super().__init__("Recording unauthorized", call_id=call_id, reason=reason)


class RecordingNotStartedError(RequestError):
    """Nothing is recorded that could be paused or resumed, or nothing can be: the channel talks with nobody."""

    code = "recording-not-started"

    def __init__(self, call_id: str, reason: str) -> None:
        super().__init__("Recording not started", call_id=call_id, reason=reason)


class _Leg(NamedTuple):
    """A call as Wazo means it: a channel, in what we call one."""

    party: PartyNow
    call: CallNow


async def calls(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.0/calls`: `{"items"}`, for admins and, of their groups' calls, supervisors.

    `application` and `application_instance` are taken and not looked at: no Stasis application is ours.
    """
    _needs_more_than_own(access, "calld.calls.read")
    deps = dependencies(request)
    return _items(deps, list(_legs(deps, access)))


async def my_calls(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.0/users/me/calls`: the same of one's own."""
    deps = dependencies(request)
    return _items(deps, list(_own(deps, access)))


async def call(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.0/calls/{call_id}`: one of them, by its channel's Uniqueid."""
    call_id = request.match_info["call_id"]
    _needs_more_than_own(access, f"calld.calls.{call_id}.read")
    deps = dependencies(request)
    return json_response(_item(deps, _found(_legs(deps, access), call_id)))


def record(verb: Verb, *, own: bool) -> Handler:
    """`PUT /1.0/calls/{call_id}/record/{verb}`, or of one's `own` call `/1.0/users/me/calls/…`: 204.

    As with Wazo it is no error to start what is recorded, to stop what is not, or to pause and resume twice (facts from
    wazo-calld's integration tests). What Asterisk does not confirm is 504.
    """

    async def asked(request: web.Request, access: Access) -> web.StreamResponse:
        call_id = request.match_info["call_id"]
        wanted = f"calld.{'users.me.' if own else ''}calls.{call_id}.record.{verb}.update"
        if not own:
            _needs_more_than_own(access, wanted)
        needs_scope(access, wanted, Scope.CONTROL)
        deps = dependencies(request)
        leg = _found((_own if own else _legs)(deps, access), call_id)
        async with deps.control.ask(verb, leg.party.uniqueid, access.reader) as answer:
            if isinstance(answer, Refused):
                _check(answer.error, verb, leg.party)
            response = web.Response(status=204)
            # Written here, since the events go to the streams when the context is left.
            await response.prepare(request)
            await response.write_eof()
        return response

    return asked


def _check(error: e.ControlError, verb: Verb, party: PartyNow) -> None:
    """Raises what Wazo answers to an error; nothing where that is no error there."""
    match error:
        case e.UnknownChannelError() | e.LocalChannelError():
            raise NoSuchCallError(party.uniqueid)
        case e.ForbiddenControlError():
            raise RecordingUnauthorizedError(party.uniqueid, error.code)
        case e.AlreadyRecordingError() | e.RecordedByAnotherError() | e.RecordPausedError():
            return
        case e.AutomaticRecordingError():
            if verb is not Verb.START:
                raise RecordingUnauthorizedError(party.uniqueid, error.code)
        case e.NotRecordingError():
            if verb is not Verb.STOP:
                raise RecordingNotStartedError(party.uniqueid, error.code)
        case e.NotPausedError():
            if not party.recording:
                raise RecordingNotStartedError(party.uniqueid, error.code)
        case e.NotInTalkError() | e.TalkOverError():
            raise RecordingNotStartedError(party.uniqueid, error.code)
        case _:
            raise error


def _needs_more_than_own(access: Access, wazo_access: str) -> None:
    if access.reader.role is Role.USER:
        raise MissingAccessError(wazo_access)


def _legs(deps: Dependencies, access: Access) -> Iterator[_Leg]:
    """Every party of the calls that this reader may see."""
    reader = access.reader
    for one in deps.live.calls_now():
        if reader.sees(one.audience):
            yield from (_Leg(party, one) for party in one.parties)


def _own(deps: Dependencies, access: Access) -> Iterator[_Leg]:
    return (leg for leg in _legs(deps, access) if leg.party.identity == access.token.identity)


def _found(legs: Iterator[_Leg], call_id: str) -> _Leg:
    leg = next((leg for leg in legs if leg.party.uniqueid == call_id), None)
    if leg is None:
        raise NoSuchCallError(call_id)
    return leg


def _items(deps: Dependencies, legs: Sequence[_Leg]) -> web.Response:
    return json_response({"items": [_item(deps, leg) for leg in legs]})


def _item(deps: Dependencies, leg: _Leg) -> Json:
    """wazo-calld's call schema. Not known here: the SIP Call-ID, lines, mute, video."""
    party, call = leg
    others = {one.uniqueid: one for one in call.parties}
    peer = _peer(party, call)
    return {
        "bridges": [party.bridge] if party.bridge is not None else [],
        "call_id": party.uniqueid,
        "caller_id_name": party.name,
        "caller_id_number": party.number,
        "conversation_id": call.call_id,
        "peer_caller_id_name": peer.name if peer is not None else "",
        "peer_caller_id_number": (peer.number if peer is not None else "") or call.dialed,
        "creation_time": _time(party.began_at or call.started_at),
        "status": _status(party),
        "on_hold": party.held,
        "muted": False,
        "record_state": _RECORD_STATES[party.recording],
        "talking_to": {one: _uuid(deps, others.get(one)) for one in party.talking_with},
        "user_uuid": _uuid(deps, party),
        "tenant_uuid": str(deps.tenant_uuid),
        "is_caller": not party.dialed,
        "is_video": False,
        "dialed_extension": call.dialed,
        "sip_call_id": None,
        "line_id": None,
        "answer_time": None if party.answered_at is None else party.answered_at.isoformat(),
        "hangup_time": None,
        "direction": str(call.direction),
        "parked": party.parked,
    }


def _status(party: PartyNow) -> str:
    """Asterisk's name of the channel's state."""
    if party.answered_at is not None or party.talking:
        return "Up"
    return "Ringing" if party.dialed else "Ring"


def _peer(party: PartyNow, call: CallNow) -> PartyNow | None:
    """Whom it talks with; else who rang it, or whom it has rung."""
    talking: Sequence[Uniqueid] = party.talking_with
    others = [one for one in call.parties if one.uniqueid != party.uniqueid]
    return next(
        (one for one in others if one.uniqueid in talking),
        next((one for one in others if one.dialed != party.dialed), None),
    )


def _uuid(deps: Dependencies, party: PartyNow | None) -> str | None:
    return None if party is None or party.identity is None else uuid_text(deps, party.identity)


def _time(at: datetime) -> str:
    """As ARI writes it, in milliseconds: `2026-03-14T12:00:00.000+0000`."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}{at:%z}"
