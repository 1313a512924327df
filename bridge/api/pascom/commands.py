"""pascom's commands: what one wants is looked up in a table, asked of what the JSON API asks, and answered in XML."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from xml.etree.ElementTree import Element

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from bridge.api.answers import ForbiddenError, InvalidFieldsError, RequestError
from bridge.api.auth import Access
from bridge.api.dependencies import dependencies
from bridge.api.journal import entries_of
from bridge.api.monitor import ChannelText
from bridge.api.pascom import shapes
from bridge.api.pascom.envelope import Envelope
from bridge.api.pascom.subscriptions import Subscriptions, subscriptions_in
from bridge.api.records import find_record, open_section, section_key, ticket_for
from bridge.api.requests import error_response
from bridge.api.validation import refusal
from bridge.core.access import Role, Scope
from bridge.core.commands import Refused, Verb
from bridge.core.ids import Identity


class NoSuchCommandError(RequestError):
    """A module or a command that is not here."""

    code = "no-such-command"


class NoSubscriptionsError(RequestError):
    """Events were subscribed to where none can be sent."""

    code = "websocket-needed"


def _digits(text: Any) -> Any:
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 9):
        raise PydanticCustomError("digits", "it should be a whole number")
    return int(text)


Digits = Annotated[int, BeforeValidator(_digits)]


class Attributes(BaseModel):
    """A command's attributes; those that it does not know are ignored, as pascom does."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _OfChannel(Attributes):
    channel: ChannelText


class _OfRecord(Attributes):
    recordId: Annotated[str, Field(min_length=1, max_length=200)]  # noqa: N815  # pascom's name


class _Transfer(_OfRecord):
    ruleId: Digits  # noqa: N815  # pascom's name
    file: Digits
    format: Literal["wav"] = "wav"
    description: Annotated[str, Field(max_length=1000)] = ""


class _Own(Attributes):
    limit: Annotated[Digits, Field(ge=1, le=1000)] = 100


class _OfIdentity(_Own):
    identity: Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and how: `subscriptions` are those of its WebSocket, None over HTTP."""

    request: web.Request
    access: Access
    subscriptions: Subscriptions | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """A cmd, and one that follows it in a message."""

    cmd: Element
    then: Element | None = None


Handler = Callable[[Asker, Element, contextlib.AsyncExitStack], Awaitable[_Answer]]


@contextlib.asynccontextmanager
async def answered(asker: Asker, document: bytes | str) -> AsyncIterator[list[Element]]:
    """Entered with the answer to a command, and what follows it at once; left when both are on their way.

    What comes of a Start or Stop reaches the streams after that. Whatever is wrong is in the answer, as a base.Failure
    with our code: nothing is raised but ConnectionError.
    """
    identity = asker.access.token.identity
    envelope = Envelope()
    async with contextlib.AsyncExitStack() as until_sent:
        try:
            module, command = envelope.open(document)
            handler = _COMMANDS.get(module, {}).get(command.tag)
            if handler is None:
                raise _no_such(module)
            answer = await handler(asker, command, until_sent)
        except ConnectionError:
            raise
        except Exception as error:
            answer = _Answer(failure(error_response(error, dependencies(asker.request).clock())))
        frames = [envelope.around(answer.cmd, identity)]
        if answer.then is not None:
            frames.append(shapes.message(answer.then, identity))
        yield frames


def failure(answer: web.Response) -> Element:
    """base.Failure: what the JSON API would answer, which decides what of an error is told, and what only logged."""
    body = json.loads(answer.text or "{}")
    return shapes.failure(body["error_id"], body["message"], body["details"])


AttributesT = TypeVar("AttributesT", bound=Attributes)


def _attributes(command: Element, model: type[AttributesT]) -> AttributesT:
    """Raises InvalidFieldsError with everything that is wrong."""
    try:
        return model.model_validate(dict(command.items()))
    except ValidationError as error:
        raise refusal(f"command {command.tag}", error) from error


def _no_such(module: str) -> NoSuchCommandError:
    if module not in _COMMANDS:
        return NoSuchCommandError(f"there is no such module here, only {', '.join(_COMMANDS)}")
    names = ", ".join(_COMMANDS[module])
    return NoSuchCommandError(f"the module {module} has no such command here, only {names}")


def _control(verb: Verb) -> Handler:
    async def control(asker: Asker, command: Element, until_sent: contextlib.AsyncExitStack) -> _Answer:
        asker.access.needs(Scope.CONTROL)
        channel = _attributes(command, _OfChannel).channel
        asking = dependencies(asker.request).control.ask(verb, channel, asker.access.reader)
        answer = await until_sent.enter_async_context(asking)
        if isinstance(answer, Refused):
            raise answer.error
        return _Answer(shapes.success())

    return control


async def _find_record(asker: Asker, command: Element, _: contextlib.AsyncExitStack) -> _Answer:
    record_id = _attributes(command, _OfRecord).recordId
    return _Answer(shapes.record_entry(await find_record(asker.request, record_id, asker.access.reader)))


async def _init_transfer(asker: Asker, command: Element, _: contextlib.AsyncExitStack) -> _Answer:
    """Success, and the offer of a file.

    XMPP would now begin a transfer on the connection itself; over HTTP and WebSocket there is no such thing, so the
    offer says where the file is for a minute, without a token, how long it is and what its SHA-256 is. Over a WebSocket
    it comes behind the Success as a `<message>`, over HTTP it is inside of it.
    """
    wanted = _attributes(command, _Transfer)
    access = asker.access
    access.needs(Scope.DOWNLOAD)
    key = section_key({"record_id": wanted.recordId, "rule_id": str(wanted.ruleId), "file": str(wanted.file)})
    section, opened = await open_section(asker.request, key, access.reader)
    with opened:
        size = opened.stamp.size
    ticket = ticket_for(asker.request, key, access)
    offer = shapes.file_offer(
        {
            "description": wanted.description,
            "recordId": key.record_id,
            "ruleId": key.rule_id,
            "file": key.file,
            "format": wanted.format,
            "size": size,
            "sha256": section.report.sha256 if section.report is not None else "",
            # With it the ticket needs the right to download alone, as this command does.
            "url": f"{ticket['url']}&download=true",
            "expiresAt": ticket["expiresAt"],
        }
    )
    if asker.subscriptions is None:
        return _Answer(shapes.success(offer))
    return _Answer(shapes.success(), shapes.cmd("monitor", offer))


async def _find_own(asker: Asker, command: Element, _: contextlib.AsyncExitStack) -> _Answer:
    limit = _attributes(command, _Own).limit
    return _Answer(shapes.journal_list(await entries_of(asker.request, asker.access.token.identity, limit)))


async def _find_by_identity(asker: Asker, command: Element, _: contextlib.AsyncExitStack) -> _Answer:
    wanted = _attributes(command, _OfIdentity)
    identity, reader = Identity(wanted.identity), asker.access.reader
    if reader.role is Role.USER or not reader.sees((identity,)):
        raise ForbiddenError("another's journal needs a supervisor of theirs, or an admin")
    return _Answer(shapes.journal_list(await entries_of(asker.request, identity, wanted.limit)))


async def _add_subscription(asker: Asker, command: Element, _: contextlib.AsyncExitStack) -> _Answer:
    subscriptions = _of_socket(asker)
    subscriptions.add(_named(command))
    return _Answer(subscriptions.listed())


async def _remove_subscription(asker: Asker, command: Element, _: contextlib.AsyncExitStack) -> _Answer:
    subscriptions = _of_socket(asker)
    subscriptions.remove(_named(command))
    return _Answer(subscriptions.listed())


def _of_socket(asker: Asker) -> Subscriptions:
    if asker.subscriptions is None:
        raise NoSubscriptionsError("events come over /api/v1/ws alone: send this command there")
    return asker.subscriptions


def _named(command: Element) -> Any:
    found, problems = subscriptions_in(command)
    if problems:
        raise InvalidFieldsError(f"the command {command.tag} is not as it should be: {'; '.join(problems)}", {})
    return found


_COMMANDS: Mapping[str, Mapping[str, Handler]] = {
    "monitor": {
        "Start": _control(Verb.START),
        "Stop": _control(Verb.STOP),
        "FindRecord": _find_record,
        "InitTransfer": _init_transfer,
    },
    "journal": {"FindOwn": _find_own, "FindByIdentity": _find_by_identity},
    "event": {"AddSubscription": _add_subscription, "RemoveSubscription": _remove_subscription},
}
