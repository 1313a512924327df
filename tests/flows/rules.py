"""The rules that the flows' daemons have, and what each must cover, as DESIGN.md says and by the oracle alone.

DESIGN.md: rules are asked at the start of each talk, and a talk goes on while two who talked still do. Who joins it
later does not make a rule match that did not: such a talk is covered as its start was answered. In a conference the
start are the first two, if only for milliseconds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tests.flows.truth import GLITCH_S, Party, Stretch, Talk, Truth

Span = tuple[float, float]
"""From when until when."""
Covers = Callable[[Truth, Stretch], Iterable[Span]]
"""What a rule covers of a stretch of a talk, in the order of time."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`options` stand in the rule file; `covers` is what must come of them."""

    id: int
    name: str
    options: str
    covers: Covers

    @property
    def label(self) -> str:
        """As a fault names it."""
        return f"rule {self.id} ({self.name})"


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of one daemon; the first one's coverage is what is told of a flow."""

    name: str
    rules: Sequence[Rule]

    @property
    def yaml(self) -> str:
        """As a rule file."""
        lines = [f"  - {{id: {rule.id}, name: '{rule.name}', {rule.options}}}\n" for rule in self.rules]
        return "".join(["rules:\n", *lines])


def covered(truth: Truth, rule: Rule) -> Truth:
    """What of these talks a rule must cover, and nothing else: as if there had been nothing else."""
    talks = [Talk(piece) for talk in truth.talks for piece in _pieces(truth, talk, rule)]
    return replace(truth, talks=talks)


def _pieces(truth: Truth, talk: Talk, rule: Rule) -> list[list[Stretch]]:
    """The covered stretches of a talk, those together that follow one another without a gap."""
    pieces: list[list[Stretch]] = []
    for stretch in talk.stretches:
        for began, ended in rule.covers(truth, stretch):
            if ended <= began:
                continue
            if not pieces or began - pieces[-1][-1].ended > GLITCH_S:
                pieces.append([])
            pieces[-1].append(Stretch(began, ended, stretch.legs))
    return pieces


# -- What the rules cover


def everything(_truth: Truth, stretch: Stretch) -> list[Span]:
    """All talk."""
    return [(stretch.began, stretch.ended)]


def nothing(_truth: Truth, _stretch: Stretch) -> list[Span]:
    """A rule that never records by itself."""
    return []


def of_calls_with(user: Party) -> Covers:
    """`follow: call`: all talk of a call (and of those joined with it) since a talk began that had the user in it."""

    def covers(truth: Truth, stretch: Stretch) -> list[Span]:
        leg = next(iter(stretch.legs))
        matched = (
            max(one.began, truth.one_call_since(leg, next(iter(one.legs))))
            for one in truth.moments
            if one.legs == one.first and user in one.first.values()
        )
        return [(max(stretch.began, min(matched, default=stretch.ended)), stretch.ended)]

    return covers


def while_in_it(user: Party) -> Covers:
    """`follow: user`: of what it would cover with `follow: call` only where the user is in the talk."""
    of_calls = of_calls_with(user)

    def covers(truth: Truth, stretch: Stretch) -> Iterable[Span]:
        return of_calls(truth, stretch) if user in stretch.legs.values() else ()

    return covers


def but_consultations(truth: Truth, stretch: Stretch) -> list[Span]:
    """`consultation: false`: all talk but that before an attended transfer."""
    spans = [(stretch.began, stretch.ended)]
    for one in truth.consultations:
        if one.legs.keys() <= stretch.legs.keys():
            spans = [
                part
                for began, ended in spans
                for part in ((began, min(ended, one.began)), (max(began, one.ended), ended))
                if part[1] - part[0] > GLITCH_S
            ]
    return spans


def but_talks_begun_with(user: Party) -> Covers:
    """What a `never` leaves to the others: it is asked at a talk's start, and its answer stands for all of the talk."""

    def covers(truth: Truth, stretch: Stretch) -> list[Span]:
        return [
            (max(one.began, stretch.began), min(one.ended, stretch.ended))
            for one in truth.moments
            if one.legs == stretch.legs and user not in one.first.values()
        ]

    return covers


FOLLOWING = RuleBook(
    "",
    (
        Rule(1, "All", "record: always", everything),
        Rule(2, "Carol, followed", "record: always, when: {user: carol}, follow: user", while_in_it("carol")),
        Rule(3, "Calls of Bob", "record: always, when: {user: bob}, follow: call", of_calls_with("bob")),
        Rule(4, "No consultations", "record: always, consultation: false", but_consultations),
    ),
)
NEVER = RuleBook(
    "never",
    (
        Rule(1, "All", "record: always", but_talks_begun_with("carol")),
        Rule(9, "Carol never", "record: never, when: {user: carol}", nothing),
    ),
)
