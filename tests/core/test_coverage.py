"""Every second of every talk of a finished call is recorded by a rule, or has one reason why not."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import decisions as d
from bridge.core.access import Role
from bridge.core.accounts import Account, Reason, SectionAccount, Span, TalkAccount
from bridge.core.commands import Verb
from bridge.core.coverage import Away, CallCoverage, RuleCoverage, Tally, away_times, cover
from bridge.core.ids import FactNumber, RuleId, TalkId, Uniqueid
from bridge.core.records import Fact, FactKind, NumberedFact, SectionState
from bridge.core.sections import FINAL
from bridge.core.store import CHANGES, Change, PutAsked, PutTalk
from tests.core.pbx import START
from tests.core.scene import Scene
from tests.fakes import MemoryStore
from tests.storage import kept

ALWAYS = "rules:\n  - {id: 1, name: All, record: always, pause: user}\n"
NEAR = 0.02
"""The scene's events are milliseconds apart."""


@dataclass
class Book(Scene):
    """A scene that keeps everything, and adds up in the end."""

    changes: list[Change] = field(default_factory=list)

    def sort(self, decisions: list[d.Decision], now: datetime) -> None:
        self.changes += [one for one in decisions if isinstance(one, CHANGES)]
        super().sort(decisions, now)

    def next_run(self, seen_at: datetime, rules: str = ALWAYS) -> "Book":
        """It was killed, and started again."""
        again = Book(rules=rules, pbx=self.pbx, changes=list(self.changes))
        again.recorder.spans.restore(*asyncio.run(opened(self.changes)))
        left = [section for section in self.sections.values() if section.state not in FINAL]
        wishes = list(self.demands.values()), list(self.pauses.values())
        now, calls = self.pbx.now, list(self.running.values())
        again.sort(again.recorder.restore(left, now, *wishes, calls, seen_at), now)
        return again

    def accounts(self) -> Sequence[Account]:
        async def ask() -> Sequence[Account]:
            store = MemoryStore()
            await store.commit(self.changes)
            return await store.accounts(START, self.pbx.now + timedelta(days=1), 100)

        return asyncio.run(ask())

    def covered(self, *away: Away) -> CallCoverage:
        """Of the only call, once all of its numbers fit."""
        (account,) = self.accounts()
        return fitting(cover(account, away))

    def over(self, bridge: str, *channels: Uniqueid) -> None:
        self.pbx.over(bridge, *channels)
        self.play()


def fitting(call: CallCoverage) -> CallCoverage:
    ones: list[CallCoverage | RuleCoverage] = [call, *call.rules]
    for one in ones:
        assert one.talked_s == pytest.approx(one.recorded_s + sum(one.reasons.values()), abs=1e-5)
        assert one.talked_s == pytest.approx(call.talked_s, abs=1e-5)
        assert min([one.recorded_s, *one.reasons.values()]) >= 0
    return call


def said(call: CallCoverage) -> dict[int | None, tuple[int, dict[str, int]]]:
    """For each rule whole seconds recorded, and by reason; moments of milliseconds are nobody's concern."""
    return {
        rule.rule_id: (
            round(rule.recorded_s),
            {str(reason): round(seconds) for reason, seconds in rule.reasons.items() if seconds > NEAR},
        )
        for rule in call.rules
    }


def talking(rules: str = ALWAYS, **values: Any) -> tuple[Book, Uniqueid, Uniqueid]:
    """alice and bob begin to talk."""
    book = Book(rules=rules, **values)
    alice, bob = book.call()
    book.play()
    return book, alice, bob


def test_a_talk_that_is_recorded_is_recorded_all_of_it() -> None:
    book, alice, bob = talking()
    book.pbx.wait(60)
    book.over("b1", alice, bob)
    call = book.covered()
    assert said(call) == {1: (60, {})}
    assert (call.rules[0].sections, call.faulty) == (1, False)
    assert call.talked_s == pytest.approx(book.cdrs[0].talked_s, abs=0.001)


def test_a_call_without_a_talk_has_nothing_to_account_for() -> None:
    book = Book()
    alice = book.pbx.channel("PJSIP/alice-1", exten="102")
    book.pbx.hangup(alice)
    book.play()
    assert (book.covered().talked_s, book.covered().rules) == (0, ())


def test_where_there_is_no_rule_that_is_the_reason() -> None:
    book, alice, bob = talking("rules:\n  - {id: 1, name: Q, record: always, when: {queue: support}}\n")
    book.pbx.wait(10)
    book.over("b1", alice, bob)
    assert said(book.covered()) == {None: (0, {"no-rule": 10})}


def test_a_never_stands_for_itself_and_over_the_rules_it_beats() -> None:
    rules = ALWAYS + "  - {id: 2, name: Not bob, record: never, when: {channel: PJSIP/bob}}\n"
    book, alice, bob = talking(rules)
    book.pbx.wait(10)
    book.over("b1", alice, bob)
    assert said(book.covered()) == {1: (0, {"never": 10}), 2: (0, {"never": 10})}


@pytest.mark.parametrize(
    ("value", "rules", "expected"),
    [
        ("never", ALWAYS, {1: (0, {"variable": 10})}),
        ("never", "rules: []\n", {None: (0, {"variable": 10})}),
        ("on-demand", ALWAYS, {1: (0, {"variable": 10})}),
        ("on-demand", "rules: []\n", {0: (0, {"variable": 10})}),
        ("always", "rules: []\n", {0: (10, {})}),
    ],
)
def test_what_the_variable_decides_is_the_variables_doing(
    value: str, rules: str, expected: dict[int | None, tuple[int, dict[str, int]]]
) -> None:
    book = Book(rules=rules)
    alice = book.pbx.channel("PJSIP/alice-1", exten="102")
    book.pbx.variable(alice, "RECBRIDGE", value)
    bob = book.pbx.ring(alice, "PJSIP/bob-1")
    book.pbx.answered(alice, bob, "b1")
    book.pbx.wait(10)
    book.over("b1", alice, bob)
    assert said(book.covered()) == expected


def test_on_demand_is_the_reason_until_somebody_starts_and_after_it_was_stopped() -> None:
    book, alice, bob = talking("rules:\n  - {id: 6, name: Who likes, record: on-demand}\n")
    for verb, seconds in ((Verb.START, 3), (Verb.STOP, 4)):
        book.pbx.wait(seconds)
        book.ask(verb, alice, "alice")
    book.pbx.wait(5)
    book.over("b1", alice, bob)
    assert said(book.covered()) == {6: (4, {"on-demand": 8})}


def test_a_pause_is_none_of_the_recording_though_the_file_goes_on() -> None:
    rules = ALWAYS + "  - {id: 2, name: Too, record: always}\n"
    book, alice, bob = talking(rules)
    for verb, seconds in ((Verb.PAUSE, 10), (Verb.RESUME, 5)):
        book.pbx.wait(seconds)
        book.ask(verb, alice, "alice")
    book.pbx.wait(10)
    book.over("b1", alice, bob)
    call = book.covered()
    assert said(call) == {1: (20, {"paused": 5}), 2: (25, {})}
    assert (round(call.recorded_s), dict(call.reasons)) == (25, {})


def test_a_pause_that_ends_by_itself_ends_the_reason() -> None:
    book, alice, bob = talking(ALWAYS.replace("user", "user, pause_at_most: 2s"))
    book.ask(Verb.PAUSE, alice, "alice")
    book.wakes()
    book.pbx.wait(8)
    book.over("b1", alice, bob)
    assert said(book.covered()) == {1: (8, {"paused": 2})}


def test_a_consultation_that_the_rule_leaves_out_says_so() -> None:
    book, alice, bob = talking(ALWAYS.replace("pause: user", "consultation: false"))
    book.pbx.wait(10)
    book.pbx.hold(bob)
    bob2 = book.pbx.channel("PJSIP/bob-2", exten="103")
    carol = book.pbx.ring(bob2, "PJSIP/carol-1")
    book.pbx.answered(bob2, carol, "b2")
    book.pbx.wait(4)
    book.over("b2", bob2, carol)
    book.over("b1", alice, bob)
    calls = [fitting(cover(account, ())) for account in book.accounts()]
    assert [said(call) for call in calls] == [{1: (0, {"consultation": 4})}, {1: (14, {})}]


def test_a_rule_that_follows_a_user_or_matches_later_says_so_of_the_other_talks() -> None:
    rules = """\
rules:
  - {id: 1, name: Bob, record: always, when: {user: bob}, follow: user}
  - {id: 2, name: Carol, record: always, when: {user: carol}}
"""
    book, alice, bob = talking(rules, users="users:\n  - {identity: bob}\n  - {identity: carol}\n")
    book.pbx.wait(10)
    book.pbx.leave("b1", bob)
    book.play()
    carol = book.pbx.channel("PJSIP/carol-1", of=alice)
    book.pbx.enter("b1", carol)
    book.play()
    book.pbx.wait(5)
    book.pbx.hangup(bob)
    book.over("b1", alice, carol)
    assert said(book.covered()) == {1: (10, {"follow": 5}), 2: (5, {"not-matched": 10})}


def test_calls_that_become_one_are_accounted_for_as_one() -> None:
    book, alice, bob = talking()
    book.pbx.wait(10)
    carol = book.pbx.channel("PJSIP/carol-1", exten="104")
    dave = book.pbx.ring(carol, "PJSIP/dave-1")
    book.pbx.answered(carol, dave, "b2")
    book.pbx.wait(5)
    book.pbx.leave("b2", dave)
    book.pbx.leave("b1", alice)
    book.pbx.enter("b1", dave)
    book.pbx.hangup(alice)
    book.play()
    book.pbx.wait(3)
    book.pbx.hangup(carol)
    book.over("b1", bob, dave)
    assert said(book.covered()) == {1: (10 + 5 + 5 + 3, {})}


def test_a_talk_that_goes_on_while_its_call_becomes_part_of_another_is_that_ones() -> None:
    book, alice, bob = talking()
    carol = book.pbx.channel("PJSIP/carol-1", exten="104")
    dave = book.pbx.ring(carol, "PJSIP/dave-1")
    book.pbx.answered(carol, dave, "b2")
    book.pbx.wait(5)
    book.pbx.leave("b1", alice)
    book.pbx.hangup(bob)
    book.pbx.enter("b2", alice)
    book.pbx.wait(3)
    book.over("b2", alice, carol, dave)
    assert said(book.covered()) == {1: (5 + 5 + 3, {})}


def test_a_start_that_asterisk_refuses_is_a_failure_until_the_next_one_is_tried() -> None:
    book = Book(rules=ALWAYS, refuse=lambda act: True)  # noqa: ARG005
    alice, bob = book.call()
    book.play()
    book.pbx.wait(10)
    book.over("b1", alice, bob)
    call = book.covered()
    assert said(call) == {1: (0, {"failed": 10})}
    assert call.faulty


def test_the_moments_until_mixmonitor_runs_are_its_start() -> None:
    book, alice, bob = talking(answers=False)
    (start,) = book.starts()
    book.pbx.wait(3)
    book.take(d.MixMonitorAccepted(book.pbx.now, start.key, "0x1"), book.pbx.now)
    book.answers = True
    book.pbx.wait(10)
    book.over("b1", alice, bob)
    call = book.covered()
    assert said(call) == {1: (10, {"starting": 3})}
    assert not call.faulty


def test_a_file_that_is_too_short_leaves_what_nobody_can_explain() -> None:
    book, alice, bob = talking()
    book.pbx.wait(20)
    book.over("b1", alice, bob)
    (account,) = book.accounts()
    (section,) = account.sections
    for length_s, reasons in ((15, {"unknown": 5}), (19.5, {"ending": 1})):
        short = cover(replace(account, sections=[replace(section, duration_s=length_s)]), ())
        assert dict(said(fitting(short))[1][1]) == pytest.approx(reasons, abs=0.6)
        assert short.faulty is (length_s == 15)


@pytest.mark.parametrize("state", [SectionState.FAILED, SectionState.LOST])
def test_what_lies_in_a_bad_section_is_that_sections(state: SectionState) -> None:
    book, alice, bob = talking()
    book.pbx.wait(20)
    book.over("b1", alice, bob)
    (account,) = book.accounts()
    bad = replace(account.sections[0], state=state, duration_s=None)
    assert said(fitting(cover(replace(account, sections=[bad]), ()))) == {1: (0, {str(state): 20})}
    closed = replace(bad, state=SectionState.CLOSED)
    assert said(fitting(cover(replace(account, sections=[closed]), ()))) == {1: (0, {"unchecked": 20})}


def test_what_nobody_saw_counts_only_where_nothing_was_recorded() -> None:
    book, alice, bob = talking()
    book.pbx.wait(20)
    book.over("b1", alice, bob)
    (account,) = book.accounts()
    away = [Away(Reason.ASTERISK_AWAY, START + timedelta(seconds=5), START + timedelta(seconds=12))]
    assert said(cover(account, away)) == {1: (20, {})}
    nothing = replace(account, sections=[])
    assert said(fitting(cover(nothing, away))) == {1: (0, {"asterisk-away": 7, "unknown": 13})}
    # With Asterisk the talk was over, too, though that was only seen afterwards.
    crash = [Away(Reason.ASTERISK_AWAY, START + timedelta(seconds=5), START + timedelta(days=1), restarted=True)]
    assert said(fitting(cover(account, crash))) == {1: (5, {})}


def test_what_asterisk_had_not_written_yet_when_it_went_is_lost() -> None:
    book, alice, bob = talking()
    book.pbx.wait(20)
    book.over("b1", alice, bob)
    (account,) = book.accounts()
    cut = replace(account.sections[0], duration_s=16, cut=True)
    crash = [Away(Reason.ASTERISK_AWAY, START + timedelta(seconds=18), START + timedelta(days=1), restarted=True)]
    call = fitting(cover(replace(account, sections=[cut]), crash))
    assert said(call) == {1: (16, {"lost": 2})}
    assert call.faulty


def test_a_short_gap_belongs_to_what_comes_after_it_else_to_what_came_before() -> None:
    book, alice, bob = talking()
    book.pbx.wait(20)
    book.over("b1", alice, bob)
    (account,) = book.accounts()
    (section,) = account.sections
    assert section.started_at is not None
    later = section.started_at + timedelta(seconds=10.5)
    one = replace(section, duration_s=10, ended_at=later)
    other = replace(section, requested_at=later, started_at=later, duration_s=9)

    def reasons(*away: Away) -> dict[str, float]:
        call = fitting(cover(replace(account, sections=[one, other]), away))
        return {str(reason): round(seconds, 1) for reason, seconds in call.reasons.items() if seconds > NEAR}

    assert reasons() == {"starting": 0.5, "ending": 0.5}
    # What nobody saw is no beginning.
    assert reasons(Away(Reason.RECBRIDGE_AWAY, later + timedelta(seconds=9.3), None)) == {
        "starting": 0.5, "ending": 0.3, "recbridge-away": 0.2,
    }  # fmt: skip


def test_a_restart_goes_on_with_the_talks_that_go_on() -> None:
    book, alice, bob = talking()
    book.pbx.wait(10)
    book.ask(Verb.PAUSE, alice, "alice")
    book.pbx.wait(5)
    again = book.next_run(book.pbx.now)
    new = [one for one in again.changes if one not in book.changes]
    assert [type(one) for one in new] == [PutAsked]  # the rules are asked again, and nothing new holds
    assert len(again.changes) == len(book.changes) + 1
    again.pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    again.play()
    again.ask(Verb.RESUME, alice, "alice")
    again.pbx.wait(20)
    again.over("b1", alice, bob)
    call = again.covered()
    assert said(call) == {1: (30, {"paused": 5})}
    assert call.talked_s == pytest.approx(again.cdrs[0].talked_s, abs=0.001)


def test_rules_that_changed_while_nobody_ran_hold_from_the_start_on() -> None:
    book, alice, bob = talking()
    book.pbx.wait(10)
    again = book.next_run(book.pbx.now, rules=ALWAYS + "  - {id: 2, name: Not bob, record: never}\n")
    again.pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    again.play()
    again.pbx.wait(5)
    again.over("b1", alice, bob)
    assert said(again.covered()) == {1: (10, {"never": 5}), 2: (0, {"never": 5, "not-matched": 10})}


def test_a_talk_of_which_the_next_run_knows_nothing_ended_when_something_was_seen_last() -> None:
    book, _, _ = talking()
    book.pbx.wait(10)
    book.running.clear()
    again = book.next_run(seen_at := book.pbx.now - timedelta(seconds=3))
    talks, _ = asyncio.run(opened(again.changes))
    assert talks == []
    assert [one.talk.ended_at for one in again.changes if isinstance(one, PutTalk)][-1] == seen_at


async def opened(changes: Sequence[Change]) -> tuple[Sequence[TalkAccount], Sequence[Span]]:
    store = MemoryStore()
    await store.commit(changes)
    return await store.open_talks(), await store.open_spans()


# When nobody looked


def facts(*kinds: tuple[float, FactKind, dict[str, object]]) -> list[NumberedFact]:
    return [
        NumberedFact(FactNumber(number), Fact(kind, START + timedelta(seconds=at), data=data))
        for number, (at, kind, data) in enumerate(kinds, start=1)
    ]


def test_who_was_away_when() -> None:
    def seen(at: float) -> dict[str, object]:
        return {"previous_seen_at": (START + timedelta(seconds=at)).isoformat()}

    lost, connected = FactKind.ASTERISK_LOST, FactKind.ASTERISK_CONNECTED
    started, stopped = FactKind.RECBRIDGE_STARTED, FactKind.RECBRIDGE_STOPPED
    times = away_times(
        facts(
            (0, started, {"previous_seen_at": None}),
            (1, connected, {}),
            (10, lost, {}),
            (20, connected, {"restarted": True}),
            (40, started, seen(30)),
            (42, connected, {"restarted": False}),
            (50, lost, {}),
            (60, started, seen(55)),
            (61, connected, {}),
            (70, stopped, {}),
            (80, started, seen(70)),
            (81, connected, {}),
            (90, lost, {}),
        )
    )
    plain = [
        (
            str(one.reason).removesuffix("-away"),
            (one.began_at - START).total_seconds(),
            one.ended_at and (one.ended_at - START).total_seconds(),
            one.restarted,
        )
        for one in times
    ]
    assert plain == [
        ("recbridge", 0, 1, False),
        ("asterisk", 10, 20, True),
        ("recbridge", 30, 42, False),
        ("asterisk", 50, 55, False),
        ("recbridge", 55, 61, False),
        ("recbridge", 70, 81, False),
        ("asterisk", 90, None, False),
    ]


# Whatever is kept

_second = st.integers(-5, 65).map(lambda seconds: START + timedelta(seconds=seconds / 2))
_maybe = st.none() | _second
_rule_ids = st.sampled_from([RuleId(1), RuleId(2)])
_talk_ids = st.sampled_from([TalkId("1-1"), TalkId("1-2")])
_reasons = st.none() | st.sampled_from(Reason)
_spans = st.builds(Span, _talk_ids, st.integers(1, 9), st.none() | _rule_ids, _reasons, _second, _maybe)
_sections = st.builds(
    SectionAccount,
    _talk_ids, _rule_ids, st.sampled_from(SectionState), _second, _maybe, _maybe, st.none() | st.floats(0, 40),
    st.booleans(),
)  # fmt: skip
_aways = st.builds(Away, st.sampled_from([Reason.ASTERISK_AWAY, Reason.RECBRIDGE_AWAY]), _second, _maybe, st.booleans())
_talks = st.tuples(_second, _second, _second, _second)


@given(_talks, st.lists(_spans, max_size=8), st.lists(_sections, max_size=6), st.lists(_aways, max_size=3))
def test_whatever_is_kept_every_second_is_accounted_for_once(
    times: tuple[datetime, datetime, datetime, datetime],
    spans: list[Span],
    sections: list[SectionAccount],
    away: list[Away],
) -> None:
    cdr = kept.cdr("1.1", ())
    talks = [
        TalkAccount(TalkId("1-1"), cdr.call_id, times[0], times[1]),
        TalkAccount(TalkId("1-2"), cdr.call_id, times[2], times[3]),
    ]
    call = fitting(cover(Account(1, cdr, talks, spans, sections), away))
    if not any(one.restarted for one in away):
        lengths = [max(0.0, (end - begin).total_seconds()) for begin, end in (times[:2], times[2:])]
        assert call.talked_s == pytest.approx(sum(lengths))
    for rule in call.rules:
        files = [s.duration_s or 0 for s in sections if s.state is SectionState.STORED and s.rule_id == rule.rule_id]
        assert rule.recorded_s <= sum(files) + 1e-4
        assert rule.recorded_s <= call.recorded_s + 1e-6
    tally = Tally()
    tally.add(call)
    tally.add(call)
    assert tally.all.talked_s == pytest.approx(2 * call.talked_s)
    assert tally.all.reasons == pytest.approx(Counter({one: 2 * s for one, s in call.reasons.items()}))
    assert tally.faulty == 2 * call.faulty


def test_an_admins_pause_covers_all_rules() -> None:
    book, alice, bob = talking(ALWAYS + "  - {id: 2, name: Too, record: always}\n")
    book.ask(Verb.PAUSE, alice, "root", Role.ADMIN)
    book.pbx.wait(4)
    book.over("b1", alice, bob)
    assert said(book.covered()) == {1: (0, {"paused": 4}), 2: (0, {"paused": 4})}
