"""A folder of `fixtures/`: a capture, the rules and users asked, and what must come of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.core.people import People
from bridge.core.replay import AskedTalk, Replayed
from bridge.files import read_rules, read_users
from bridge.replay import read_messages, replay

FIXTURES = Path(__file__).parents[2] / "fixtures"
TRUNKS = ("PJSIP/trunk*",)
USUAL_USERS = """\
users:
  - identity: alice
    name: Alice Example
    extensions: ["101"]
    devices: [{id: d1, name: Desk, channel: PJSIP/alice}]
    groups: [sales]
  - identity: bob
    name: Bob Example
    extensions: ["102"]
    devices: [{id: d2, name: Desk, channel: PJSIP/bob}]
    groups: [support]
  - identity: carol
    name: Carol Example
    extensions: ["103"]
    devices: [{id: d3, name: Desk, channel: PJSIP/carol}]
    groups: [support]
  - identity: dave
    name: Dave Example
    extensions: ["104"]
    devices: [{id: d4, name: Desk, channel: PJSIP/dave}]
"""
USUAL_RULES = """\
rules:
  - {id: 1, name: Support queue, record: always, when: {queue: support}, tags: [support]}
  - {id: 2, name: With the outside, record: always, when: {direction: [inbound, outbound]}}
  - {id: 3, name: Support inside, record: always, when: {direction: internal, user: "group:support"}}
  - {id: 4, name: Alice if she likes, record: on-demand, when: {user: alice}}
  - {id: 5, name: Never Dave, record: never, when: {user: dave}}
"""


class Folder:
    """One fixture. It may be made by hand: the four files are all there is to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.ami"
        self.expected = path / "expected.json"

    def fill(self) -> None:
        """The usual rules and users where it has none of its own, and what comes of them."""
        for name, text in (("rules.yml", USUAL_RULES), ("users.yml", USUAL_USERS)):
            if not (self.path / name).exists():
                (self.path / name).write_text(text)
        if self.known_wrong is None:
            self.write_expected()

    @property
    def known_wrong(self) -> str | None:
        """Why what comes of it now is not what must (`known-wrong.txt`): then expected.json is written by hand."""
        path = self.path / "known-wrong.txt"
        return path.read_text("utf-8").strip() if path.exists() else None

    def replayed(self) -> Replayed:
        """What comes of it now."""
        users = read_users(self.path / "users.yml")
        rules = read_rules(self.path / "rules.yml", users)
        return replay(read_messages(self.events.read_bytes(), str(self.events)), rules, People(users, TRUNKS))

    def write_expected(self) -> None:
        """Take what comes of it now for right."""
        self.expected.write_text(as_text(self.replayed()), encoding="utf-8")


def as_text(replayed: Replayed) -> str:
    """All of it as JSON, one thing a line. What is empty is left out."""
    parts = {
        "talks": [_plain(talk) for talk in map(_talk, replayed.talks)],
        "sections": [_plain(section) for section in replayed.sections.values()],
        "journal": [_plain(entry) for entry in replayed.entries],
        "cdrs": [_plain(cdr) for cdr in replayed.cdrs],
        "facts": [_plain(fact) for fact in replayed.facts],
    }
    return "{\n" + ",\n".join(f'"{name}": {_lines(part)}' for name, part in parts.items()) + "\n}\n"


def _lines(items: list[Any]) -> str:
    return "[\n" + ",\n".join("  " + json.dumps(item, ensure_ascii=True) for item in items) + "\n]" if items else "[]"


def _talk(talk: AskedTalk) -> dict[str, Any]:
    answers = talk.answers
    return {
        "call_id": talk.call_id,
        "began_at": talk.began_at,
        "channels": talk.channels,
        "matching": [rule.id for rule in answers.recording],
        "recording": talk.recording,
        "offered": [rule.id for rule in answers.offered],
        "never": [rule.id for rule in answers.never],
        "why_not": None if talk.recording else answers.why_not(),
        "failed": {str(answer.rule.id): answer.reason for answer in answers.answers if not answer.matched},
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return dict(_kept(value))
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return round(value, 6)
    return value


def _kept(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if name == "talk_id":
            continue  # talks are counted over all calls: it is another one beside other calls
        # What a silent file of that length holds says nothing more than its length.
        plain = round(value.duration_s, 6) if name == "report" and value is not None else _plain(value)
        if plain not in (None, "", [], {}):
            yield name, plain
