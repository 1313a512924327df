"""A second implementation of matching: slow, obvious, and without any of the first one's code."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

from bridge.core.rules import TalkFacts

GROUPS = {"alice": ["sales"], "bob": ["sales", "support"]}
FLAGS = {"alice": {"call_record_outgoing_internal_enabled"}, "bob": {"online_call_record_enabled"}}
"""What tests/core/test_matching.py writes into users.yml."""

TIMES: Mapping[str, tuple[list[int], int, int, int]] = {
    "mon-fri 08:00-18:00 UTC": ([0, 1, 2, 3, 4], 8, 18, 0),
    "sat,sun Etc/GMT-3": ([5, 6], 0, 24, 3),
    "fri 22:00-06:00 UTC": ([4], 22, 30, 0),
    "20:00-04:00 Etc/GMT+5": ([0, 1, 2, 3, 4, 5, 6], 20, 28, -5),
}
"""Text -> days, first hour, hour after the last (from the beginning of that day), hours ahead of UTC."""


def glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def fits(patterns: list[str], text: str) -> bool:
    return text != "" and any(glob(one.lower(), text.lower()) for one in patterns)


def digits(text: str) -> str:
    return "".join(character for character in text if character not in " ()/.-")


def names(users: frozenset[Any]) -> set[str]:
    return {name for user in users for name in [user, *(f"group:{one}" for one in GROUPS.get(user, []))]}


def variable(talk: TalkFacts, name: str) -> str:
    for spelt in (name, "_" + name, "__" + name):
        if spelt in talk.variables:
            return talk.variables[spelt]
    return ""


def in_time(text: str, at: dt.datetime) -> bool:
    days, first, last, ahead = TIMES[text]
    local = at.astimezone(dt.UTC).replace(tzinfo=None) + dt.timedelta(hours=ahead)
    for back in range(3):
        midnight = dt.datetime.combine(local.date() - dt.timedelta(days=back), dt.time())
        begins, ends = midnight + dt.timedelta(hours=first), midnight + dt.timedelta(hours=last)
        if midnight.weekday() in days and begins <= local < ends:
            return True
    return False


def has_on(talk: TalkFacts, user: str, flag: str) -> bool:
    if user in talk.flags:
        return bool(getattr(talk.flags[user], flag))  # type: ignore[index]  # an Identity is a str
    return flag in FLAGS.get(user, set())


def holds(key: str, wanted: Any, talk: TalkFacts) -> bool:
    """Whether one condition holds; `wanted` is as in the file, always as a list where it may be one."""
    if key == "direction":
        return str(talk.direction) in wanted
    if key in ("user", "caller", "callee"):
        sides = {"caller": talk.callers, "callee": talk.callees}
        return bool(names(sides.get(key, talk.callers | talk.callees)) & set(wanted))
    if key in ("queue", "context"):
        return fits(wanted, talk.queue if key == "queue" else talk.context)
    if key in ("number", "dialed"):
        number = talk.number if key == "number" else talk.dialed
        return number != "" and any(glob(digits(one).lower(), digits(number).lower()) for one in wanted)
    if key == "channel":
        return any(fits(wanted, name) or fits(wanted, name.rpartition("-")[0]) for name in talk.channels)
    if key == "time":
        return any(in_time(text, talk.at) for text in wanted)
    if key == "variable":
        return all(fits(values, variable(talk, name.lstrip("_"))) for name, values in wanted.items())
    if key == "sample":
        point = int(hashlib.sha256(talk.call_id.encode()).hexdigest()[:16], 16) / 2**64
        return talk.call_id != "" and point < float(wanted.rstrip("%")) / 100
    if key == "online_call_record":
        return any(has_on(talk, user, "online_call_record_enabled") for user in talk.users) is (wanted == "true")
    if key == "user_call_record":
        way = "internal" if str(talk.direction) == "internal" else "external"
        calls = any(has_on(talk, user, f"call_record_outgoing_{way}_enabled") for user in talk.callers)
        called = any(has_on(talk, user, f"call_record_incoming_{way}_enabled") for user in talk.callees)
        return (calls or called) is (wanted == "true")
    if key == "all":
        return all(matches(item, talk) for item in wanted)
    if key == "any":
        return any(matches(item, talk) for item in wanted)
    assert key == "not"
    return not matches(wanted, talk)


def matches(when: Mapping[str, Any], talk: TalkFacts) -> bool:
    return first_failed(when, talk) is None


def first_failed(when: Mapping[str, Any], talk: TalkFacts) -> str | None:
    """The key of the first condition that does not hold; inside `all` and `variable` the way to it."""
    for key, wanted in when.items():
        if holds(key, wanted, talk):
            continue
        if key == "all":
            item = next(item for item in wanted if not matches(item, talk))
            return f"all.{first_failed(item, talk)}"
        if key == "variable":
            name = next(name for name in wanted if not holds(key, {name: wanted[name]}, talk))
            return f"variable.{name.lstrip('_')}"
        return key
    return None
