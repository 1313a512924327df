"""Recording on demand: start, stop, pause and resume what is recorded of a running call."""

import unicodedata
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import dependencies
from bridge.api.operations import Operation
from bridge.api.requests import error_response
from bridge.api.validation import Fields, Nothing, body_of, query_of
from bridge.core.access import Scope
from bridge.core.commands import Refused, Verb
from bridge.core.views import RecordEvent, section_event

_BREAKING = frozenset({"Cc", "Zl", "Zp"})


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in _BREAKING for character in text):
        raise PydanticCustomError("control_character", "it should have no control characters or line breaks")
    return text


_NO_BREAKS = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$"}

ChannelText = Annotated[
    str, Field(min_length=1, max_length=256, json_schema_extra=_NO_BREAKS), AfterValidator(_one_line)
]
"""A channel's name, `PJSIP/bob-00000001`, or its Uniqueid."""


class RecordEvents(TypedDict):
    """What the command was about, as far as the reader may see it."""

    recordEvents: list[RecordEvent]


class MonitorBody(Fields):
    """Of whose talk."""

    channel: ChannelText


async def start(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/monitor/start`: every rule that offers it to this user records the channel's talk.

    All four answer `{"recordEvents": […]}`, one RecordEvent for each section that the command was about and that the
    reader may see, when Asterisk has confirmed; what comes of it reaches the streams after that. Errors: 404 for a
    channel of no call that the reader may see, 403 where it has not the right, 409 where the call or its recording is
    in no state for it, 503 with too many commands under way, 504 where Asterisk did not confirm.
    """
    return await _command(request, access, Verb.START)


async def stop(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/monitor/stop`: end what this user has started."""
    return await _command(request, access, Verb.STOP)


async def pause(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/monitor/pause`: silence, until the resume, in all that this user may pause."""
    return await _command(request, access, Verb.PAUSE)


async def resume(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/monitor/resume`: go on with what is paused."""
    return await _command(request, access, Verb.RESUME)


async def _command(request: web.Request, access: Access, verb: Verb) -> web.StreamResponse:
    access.needs(Scope.CONTROL)
    query_of(request, Nothing)
    body = await body_of(request, MonitorBody)
    deps = dependencies(request)
    async with deps.control.ask(verb, body.channel, access.reader) as answer:
        if isinstance(answer, Refused):
            response = error_response(answer.error, deps.clock())
        else:
            reader = access.reader
            events = [event for one in answer.sections if (event := section_event(one, reader)) is not None]
            response = json_response({"recordEvents": events})
        # Written here, since the events go to the streams when the context is left.
        await response.prepare(request)
        await response.write_eof()
    return response


OPERATIONS = tuple(
    Operation(
        "POST",
        f"/api/v1/monitor/{verb}",
        handler,
        words,
        {200: RecordEvents},
        body=MonitorBody,
        errors=(403, 404, 409, 504),
    )
    for verb, handler, words in (
        (Verb.START, start, "Record a talk"),
        (Verb.STOP, stop, "Stop recording it"),
        (Verb.PAUSE, pause, "Pause its recording"),
        (Verb.RESUME, resume, "Go on with its recording"),
    )
)
