"""Conditions made ready to be asked, and what they are asked about.

Pure: nothing is looked up and no clock is read, everything is in TalkFacts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from hashlib import sha256
from typing import Any

from bridge.core.conditions import Direction, When, plain_number, plain_variable, share_of, who
from bridge.core.ids import ChannelName, Identity
from bridge.core.people import Directory, UserFlags, device_channel, matcher
from bridge.core.times import parse_time


@dataclass(frozen=True, slots=True)
class TalkFacts:
    """What rules are asked about. An empty text means that there is none.

    `number` is that of the party outside, `dialed` what was dialled first, `at` when (aware). `channels` are the
    names of the parties' channels, `variables` what is known of the call's channel variables; `call_id` is what
    `sample` goes by. `flags` stand over those of users.yml.
    """

    direction: Direction
    callers: frozenset[Identity]
    callees: frozenset[Identity]
    number: str
    dialed: str
    queue: str
    context: str
    at: datetime
    variables: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    call_id: str = ""
    flags: Mapping[Identity, UserFlags] = field(default_factory=dict)

    @property
    def users(self) -> frozenset[Identity]:
        """The users on either side."""
        return self.callers | self.callees

    def flags_of(self, user: Identity, directory: Directory) -> UserFlags:
        """A user's flags: what users.yml says, unless something stands over it."""
        return self.flags.get(user) or directory.flags_of(user)

    def variable(self, name: str) -> str:
        """A channel variable's value; `_NAME` and `__NAME`, which are inherited, count as NAME."""
        plain = self.variables.get(name)
        if plain is not None:
            return plain
        return next((value for key, value in self.variables.items() if plain_variable(key) == name), "")


@dataclass(frozen=True, slots=True)
class Failed:
    """A condition that does not hold: its key, what it wants (any of these), and what the talk has.

    A key inside `all` is `all.queue`, a variable's `variable.NAME`. Of `any`, `inner` is what failed first in each
    item; of `not`, `found` are the keys that hold.
    """

    key: str
    wanted: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    inner: tuple["Failed", ...] = ()

    def __str__(self) -> str:
        """`direction is inbound, not outbound or internal`."""
        if self.inner:
            return f"{self.key}: {'; '.join(map(str, self.inner))}"
        if not self.wanted:
            return f"{self.key}: {' and '.join(self.found)} hold{'s' if len(self.found) == 1 else ''}"
        return f"{self.key} is {' and '.join(self.found) or 'none'}, not {' or '.join(self.wanted)}"


Condition = Callable[[TalkFacts], Failed | None]
"""A condition, ready to be asked: None where it holds."""


def conditions_of(when: When, directory: Directory, path: str = "") -> tuple[Condition, ...]:
    """The conditions in the order in which they are written. `directory` says who is in a group."""
    return tuple(one for key in when.keys for one in _VOCABULARY[key](path + key, when.value(key), directory))


def first_failed(conditions: Sequence[Condition], talk: TalkFacts) -> Failed | None:
    """The first that does not hold."""
    for condition in conditions:
        failed = condition(talk)
        if failed is not None:
            return failed
    return None


def _condition(
    key: str,
    wanted: tuple[str, ...],
    holds: Callable[[TalkFacts], bool],
    found: Callable[[TalkFacts], Sequence[str]],
) -> Condition:
    return lambda talk: None if holds(talk) else Failed(key, wanted, tuple(found(talk)))


def _direction(key: str, wanted: tuple[Direction, ...], _: Directory) -> list[Condition]:
    words = tuple(str(one) for one in wanted)
    return [_condition(key, words, lambda talk: talk.direction in wanted, lambda talk: (str(talk.direction),))]


def _text(key: str, wanted: tuple[str, ...], get: Callable[[TalkFacts], str]) -> Condition:
    fits = matcher(wanted)

    def holds(talk: TalkFacts) -> bool:
        text = get(talk)
        return text != "" and fits(text)

    return _condition(key, wanted, holds, lambda talk: (get(talk),) if get(talk) else ())


def _texts(key: str, wanted: tuple[str, ...], _: Directory) -> list[Condition]:
    """`queue` and `context`."""
    name = key.rpartition(".")[2]
    return [_text(key, wanted, lambda talk: getattr(talk, name))]


def _number(key: str, wanted: tuple[str, ...], _: Directory) -> list[Condition]:
    name = key.rpartition(".")[2]
    fits = matcher(map(plain_number, wanted))

    def number(talk: TalkFacts) -> str:
        return getattr(talk, name)  # type: ignore[no-any-return]  # `number` and `dialed` are both text

    def holds(talk: TalkFacts) -> bool:
        return number(talk) != "" and fits(plain_number(number(talk)))

    return [_condition(key, wanted, holds, lambda talk: (number(talk),) if number(talk) else ())]


def _side(side: Callable[[TalkFacts], frozenset[Identity]]) -> "Compile":
    def compile_side(key: str, wanted: tuple[str, ...], directory: Directory) -> list[Condition]:
        users = frozenset().union(*(who(name, directory) for name in wanted))
        return [_condition(key, wanted, lambda talk: not users.isdisjoint(side(talk)), lambda talk: sorted(side(talk)))]

    return compile_side


def _channel(key: str, wanted: tuple[str, ...], _: Directory) -> list[Condition]:
    fits = matcher(wanted)

    def holds(talk: TalkFacts) -> bool:
        return any(fits(name) or fits(device_channel(ChannelName(name))) for name in talk.channels)

    return [_condition(key, wanted, holds, lambda talk: talk.channels)]


def _time(key: str, wanted: tuple[str, ...], _: Directory) -> list[Condition]:
    times = [parse_time(one) for one in wanted]

    def holds(talk: TalkFacts) -> bool:
        return any(one.holds(talk.at) for one in times)

    return [_condition(key, wanted, holds, lambda talk: tuple(dict.fromkeys(one.local(talk.at) for one in times)))]


def _variable(key: str, wanted: Mapping[str, tuple[str, ...]], _: Directory) -> list[Condition]:
    def one(name: str, values: tuple[str, ...]) -> Condition:
        return _text(f"{key}.{name}", values, lambda talk: talk.variable(name))

    return [one(plain_variable(name), values) for name, values in wanted.items()]


def sample_point(call_id: str) -> Fraction:
    """Where a call stands between 0 and 1, the same in every run and on every machine.

    A sample holds the calls below its share: that of 20% holds all of that of 10%, in whatever rule they stand.
    """
    return Fraction(int.from_bytes(sha256(call_id.encode("utf-8", "surrogateescape")).digest()[:8]), 2**64)


def _sample(key: str, wanted: str, _: Directory) -> list[Condition]:
    share = share_of(wanted)

    def holds(talk: TalkFacts) -> bool:
        return talk.call_id != "" and sample_point(talk.call_id) < share

    def found(talk: TalkFacts) -> tuple[str, ...]:
        return (f"{float(sample_point(talk.call_id)):.4%}",) if talk.call_id else ()

    return [_condition(key, (f"below {wanted}",), holds, found)]


def _flag(names: Callable[[TalkFacts], tuple[str, str]]) -> "Compile":
    """`names` gives the flag that counts for callers and the one for callees."""

    def compile_flag(key: str, wanted: bool, directory: Directory) -> list[Condition]:
        def on(talk: TalkFacts) -> bool:
            calling, called = names(talk)
            sides = ((talk.callers, calling), (talk.callees, called))
            return any(getattr(talk.flags_of(user, directory), name) for side, name in sides for user in side)

        words = ("false", "true")
        return [_condition(key, (words[wanted],), lambda talk: on(talk) is wanted, lambda talk: (words[on(talk)],))]

    return compile_flag


def _call_record(talk: TalkFacts) -> tuple[str, str]:
    way = "internal" if talk.direction is Direction.INTERNAL else "external"
    return f"call_record_outgoing_{way}_enabled", f"call_record_incoming_{way}_enabled"


def _online(_: TalkFacts) -> tuple[str, str]:
    return "online_call_record_enabled", "online_call_record_enabled"


def _all(key: str, wanted: tuple[When, ...], directory: Directory) -> list[Condition]:
    return [condition for when in wanted for condition in conditions_of(when, directory, f"{key}.")]


def _any(key: str, wanted: tuple[When, ...], directory: Directory) -> list[Condition]:
    items = [conditions_of(when, directory) for when in wanted]

    def ask_any(talk: TalkFacts) -> Failed | None:
        inner = []
        for item in items:
            failed = first_failed(item, talk)
            if failed is None:
                return None
            inner.append(failed)
        return Failed(key, inner=tuple(inner))

    return [ask_any]


def _not(key: str, wanted: When, directory: Directory) -> list[Condition]:
    conditions = conditions_of(wanted, directory)

    def ask_not(talk: TalkFacts) -> Failed | None:
        return Failed(key, found=wanted.keys) if first_failed(conditions, talk) is None else None

    return [ask_not]


Compile = Callable[[str, Any, Directory], list[Condition]]

_VOCABULARY: dict[str, Compile] = {
    "direction": _direction,
    "queue": _texts,
    "user": _side(lambda talk: talk.users),
    "caller": _side(lambda talk: talk.callers),
    "callee": _side(lambda talk: talk.callees),
    "number": _number,
    "dialed": _number,
    "context": _texts,
    "channel": _channel,
    "time": _time,
    "variable": _variable,
    "sample": _sample,
    "user_call_record": _flag(_call_record),
    "online_call_record": _flag(_online),
    "all": _all,
    "any": _any,
    "not": _not,
}
"""For each key of When how it becomes conditions."""
