"""Running calls to look at."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bridge.core.commands import Verb
from bridge.core.ids import CallId, ChannelName, Identity, RuleId, Uniqueid
from bridge.core.live import CallNow, PartyNow, Permitted, RuleNow

NOBODY: Mapping[Verb, Permitted] = {}


def may(*verbs: Verb, users: tuple[str, ...] = ()) -> Mapping[Verb, Permitted]:
    return {verb: Permitted(frozenset(map(Identity, users)), admins=True) for verb in verbs}


def party(
    number: int, name: str, digits: str, who: Mapping[Verb, Permitted] = NOBODY, *, outside: bool = False
) -> PartyNow:
    identity = None if outside else Identity(name.split(maxsplit=1)[0].lower())
    channel = ChannelName(f"PJSIP/{identity or 'trunk'}-{number:08x}")
    return PartyNow(Uniqueid(f"1.{number}"), channel, identity, name, digits, outside, True, may=who)


def rule(number: int, name: str, state: str, by: str | None = None, reason: str | None = None) -> RuleNow:
    owner = Identity(by) if by is not None else None
    return RuleNow(RuleId(number), name, state, 1 if state in {"recording", "paused"} else None, owner, reason)


def call(
    number: int,
    *parties: PartyNow,
    rules: tuple[RuleNow, ...] = (),
    reason: str | None = None,
    direction: str = "inbound",
    queue: str = "",
    ago_s: float = 75,
) -> CallNow:
    began = datetime.now(UTC) - timedelta(seconds=ago_s)
    return CallNow(
        call_id=CallId(f"1.{number}"),
        record_id=None,
        direction=direction,
        started_at=began,
        talking_since=began + timedelta(seconds=12) if parties and parties[0].talking else None,
        dialed=parties[-1].number,
        queue=queue,
        parties=parties,
        rules=rules,
        reason=reason,
        audience=tuple(one.identity for one in parties if one.identity is not None),
    )


NEVER = "never by rule 9"
NEAREST = "no-rule (nearest is rule 3: queue is none, not support)"
UNMATCHED = rule(3, "Support, always", "unmatched", reason="queue is none, not support")
CALLS = (
    call(
        10,
        party(11, "Café Zürich", "+41445550199", outside=True),
        party(12, "Alice Weber", "821", may(Verb.PAUSE)),
        rules=(rule(1, "Support, always", "recording"),),
        queue="support",
        ago_s=754,
    ),
    call(
        20,
        party(21, "Bob Jansen", "822", may(Verb.STOP, Verb.PAUSE, users=("bob",))),
        party(22, "", "+4930123456", outside=True),
        rules=(rule(6, "Who likes", "recording", by="bob"), UNMATCHED),
        direction="outbound",
        ago_s=3754,
    ),
    call(
        30,
        party(31, "Carol Meier", "823", may(Verb.START, users=("carol",))),
        party(32, "Dave", "824", may(Verb.START, users=("dave",))),
        rules=(rule(6, "Who likes", "offered"), UNMATCHED),
        reason="on-demand by rule 6",
        direction="internal",
        ago_s=42,
    ),
    call(
        40,
        party(41, "Erik", "825", may(Verb.RESUME)),
        party(42, "", "+33140000000", outside=True),
        rules=(rule(1, "Support, always", "paused"),),
        reason="paused",
        queue="support",
        ago_s=300,
    ),
    call(
        50,
        party(51, "", "", outside=True),
        party(52, "Fay", "826"),
        rules=(rule(1, "Sales with a long name that has to wrap somewhere", "failed"),),
        reason="failed",
        ago_s=61,
    ),
    call(
        60,
        party(61, "Board room", "900"),
        party(62, "Gus", "827"),
        rules=(
            rule(1, "Support, always", "blocked", reason="never by rule 9"),
            rule(9, "Board", "blocked", reason="never by rule 9"),
        ),
        reason=NEVER,
        direction="internal",
        ago_s=15,
    ),
    call(
        70, party(71, "Hana", "828"), party(72, "Ian", "829"), rules=(UNMATCHED,), reason=NEAREST, direction="internal"
    ),
)
"""One of each kind."""


def many(count: int) -> tuple[CallNow, ...]:
    """So many, of two parties each, half of them recorded."""
    return tuple(
        call(
            number,
            party(10 * number + 1, "", f"+4930{number:06d}", outside=True),
            party(10 * number + 2, f"User{number} Name", str(2000 + number), may(Verb.PAUSE)),
            rules=(rule(1, "Support, always", "recording" if number % 2 else "paused"), UNMATCHED),
            reason=None if number % 2 else "paused",
            queue="support",
        )
        for number in range(1000, 1000 + count)
    )
