"""The rules in force, and why a call was recorded or not."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from bridge.api.answers import NotFoundError, json_response
from bridge.api.auth import Access
from bridge.api.coverage import Moment
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Fields, Nothing, body_of, query_of
from bridge.core.access import Role
from bridge.core.accounts import TalkAccount
from bridge.core.asked import Asked, AskedTalk, Matches
from bridge.core.explaining import (
    ExplainedTalk,
    ExplanationItem,
    FoundCall,
    Told,
    explained,
    explanation_item,
    find_call,
)
from bridge.core.hindsight import judge
from bridge.core.ids import NO_TALK, CallId, RuleId
from bridge.core.imagined import ImaginedTalk, imagine
from bridge.core.rules import Direction
from bridge.core.rules_in_force import RulesItem, rules_item

_COUNTED: Final = timedelta(days=7)
_FRESH: Final = timedelta(minutes=1)


class WeekOfMatches:
    """How often rules matched in the last week: counted anew at most once a minute, however many ask."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._counting = asyncio.Lock()
        self._counted_at: datetime | None = None
        self._found: Mapping[RuleId, Matches] = {}

    async def get(self) -> tuple[Mapping[RuleId, Matches], datetime]:
        """By rule, and since when. Raises StoreError."""
        async with self._counting:
            now = self._deps.clock()
            if self._counted_at is None or not timedelta(0) <= now - self._counted_at < _FRESH:
                self._found = await self._deps.store.rule_matches(now - _COUNTED)
                self._counted_at = now
            return self._found, self._counted_at - _COUNTED


MATCHES = web.AppKey("matches", WeekOfMatches)

_Line = Annotated[str, StringConstraints(max_length=200)]
_Who = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _name_of_call(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ExplainBody(Fields):
    """Either `call`, or an imagined talk with `from` and `to` at least."""

    call: Annotated[_Who | None, BeforeValidator(_name_of_call)] = None
    caller: Annotated[_Who | None, Field(alias="from")] = None
    callee: Annotated[_Who | None, Field(alias="to")] = None
    direction: Annotated[Direction | None, Field(strict=False)] = None
    at: Annotated[Moment | None, Field(strict=False)] = None
    queue: _Line = ""
    dialed: _Line | None = None
    context: _Line = ""
    channels: Annotated[tuple[_Line, ...], Field(strict=False, max_length=20)] = ()
    variables: Annotated[dict[_Line, _Line], Field(max_length=50)] = Field(default_factory=dict)
    call_id: Annotated[_Line, Field(alias="callId")] = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> "ExplainBody":
        imagined = self.model_fields_set - {"call"}
        if self.call is not None and imagined:
            raise ValueError("either `call`, or an imagined talk")
        if self.call is None and (self.caller is None or self.callee is None):
            raise ValueError("it should have `call`, or `from` and `to`")
        return self


async def rules(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/rules`: what is in force. Who is no admin sees the names of the rules that name them."""
    query_of(request, Nothing)
    deps = dependencies(request)
    in_force = await deps.store.rules_in_force()
    matches: Mapping[RuleId, Matches] = {}
    since = deps.clock() - _COUNTED
    if access.reader.role is Role.ADMIN:
        matches, since = await request.app[MATCHES].get()
    answer = rules_item(deps.rules(), in_force.since if in_force is not None else None, matches, since, access.reader)
    return json_response(answer)


async def explain(request: web.Request, _: Access) -> web.StreamResponse:
    """`POST /api/v1/rules/explain`: each rule's answer to each talk of a call, or to an imagined talk."""
    body = await body_of(request, ExplainBody)
    deps = dependencies(request)
    if body.call is None:
        return json_response(_imagined(body, deps))
    call = await find_call(deps.store, body.call)
    if call is None:
        raise NotFoundError("there is no such call")
    return json_response(explanation_item(call, await explained(deps.store, call)))


def _imagined(body: ExplainBody, deps: Dependencies) -> ExplanationItem:
    now = deps.clock()
    talk, notes = imagine(
        ImaginedTalk(
            caller=body.caller or "",
            callee=body.callee or "",
            at=body.at or now,
            direction=body.direction,
            queue=body.queue,
            dialed=body.dialed,
            context=body.context,
            channels=body.channels,
            variables=body.variables,
            call_id=body.call_id,
        ),
        deps.directory(),
    )
    rules_now = deps.rules().rules
    asked = Asked(NO_TALK, talk.at, talk)
    told = Told(asked, None, rules_now, judge(rules_now, talk, rules_now.variables()))
    account = TalkAccount(NO_TALK, CallId(""), talk.at)
    talks = [ExplainedTalk(AskedTalk(account, (), (asked,)), (told,))]
    return {**explanation_item(FoundCall(CallId(body.call_id), None, None, ()), talks), "call": None, "notes": notes}


OPERATIONS = (
    Operation("GET", "/api/v1/rules", rules, "The rules in force, and how often each matched", {200: RulesItem}),
    Operation(
        "POST",
        "/api/v1/rules/explain",
        explain,
        "Why a call was recorded or not, or what the rules say of an imagined talk",
        {200: ExplanationItem},
        body=ExplainBody,
        errors=(404, 408, 413),
        admin=True,
    ),
)
