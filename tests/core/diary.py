"""A scene whose recorder keeps its rules, and all that it decided to keep."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bridge.core import decisions as d
from bridge.core.asked import kept_rules
from bridge.core.ids import Uniqueid
from bridge.core.people import People
from bridge.core.rules import parse_rules
from bridge.core.store import CHANGES, Change
from tests.core.scene import TRUNKS, Scene, directory

FILE = "/etc/recbridge/rules/a.yml"
SALES = """\
rules:
  # Bob wants it
  - {id: 1, name: Sales, record: always, when: {direction: inbound, queue: sales}, keep: 90d}
  - id: 2
    name: Bob by hand
    record: on-demand
    when: {user: bob}
  - {id: 3, name: Private, record: never, when: {any: [{dialed: 110}, {variable: {PRIVATE: "*"}}]}}
"""
USERS = """\
users:
  - {identity: alice, name: Alice Wombat, groups: [boss], extensions: [101]}
  - {identity: bob, groups: [sales], online_call_record_enabled: true}
"""


@dataclass
class Diary(Scene):
    """`rules` are those of FILE."""

    rules: str = SALES
    users: str = USERS
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reload(self.rules)

    def sort(self, decisions: list[d.Decision], now: datetime) -> None:
        self.changes += [one for one in decisions if isinstance(one, CHANGES)]
        super().sort(decisions, now)

    def reload(self, rules: str, users: str | None = None) -> None:
        """Other rules are in force from now on."""
        self.users = self.users if users is None else users
        people = directory(self.users)
        self.recorder.use_rules(
            parse_rules([(FILE, rules)], people),
            People(people, TRUNKS),
            kept_rules([(FILE, rules)], people, self.pbx.now),
        )

    def inbound(
        self, number: str = "+4917012345", *, queue: str = "sales", variables: Sequence[tuple[str, str]] = ()
    ) -> tuple[Uniqueid, Uniqueid]:
        """Somebody outside talks with bob."""
        one = self.pbx.channel("PJSIP/trunk-1", exten="500", number=number, context="from-trunk")
        for name, value in variables:
            self.pbx.variable(one, name, value)
        if queue:
            self.pbx.queue(one, queue)
        two = self.pbx.ring(one, "PJSIP/bob-1", number="102")
        self.pbx.answered(one, two, f"b{one}")
        self.play()
        return one, two

    def over(self, one: Uniqueid, two: Uniqueid, after_s: float = 60) -> None:
        """They hang up."""
        self.pbx.wait(after_s)
        self.pbx.over(f"b{one}", one, two)
        self.play()
