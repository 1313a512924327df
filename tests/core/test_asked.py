"""What the rules were asked is kept with the rules of then, and gives the same answers again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.asked import KeptUser, facts_item, facts_of, facts_to_keep, kept_rules
from bridge.core.erasure import Person
from bridge.core.erasure_of_rules import ERASED, without_in_facts, without_in_rules
from bridge.core.explaining import ExplainedTalk, explained, explanation_item, find_call
from bridge.core.hindsight import judge
from bridge.core.ids import ChannelName, Identity, RuleId
from bridge.core.matching import TalkFacts
from bridge.core.people import UserFlags
from bridge.core.rules import Direction, RuleSet, ask, parse_rules
from bridge.core.store import PutAsked, PutRules, PutTalk
from tests.core.diary import FILE, SALES, USERS, Diary
from tests.core.pbx import START
from tests.core.scene import directory
from tests.fakes import MemoryStore

BOB = Identity("bob")
FACTS = TalkFacts(
    Direction.INBOUND, frozenset(), frozenset({BOB}), "+4917012345", "500", "sales", "from-trunk", START,
    {"PRIVATE": "1", "OTHER": "x"}, ("PJSIP/trunk-1", "PJSIP/bob-1"), "1.1",
    {BOB: UserFlags(online_call_record_enabled=True), Identity("eve"): UserFlags()},
)  # fmt: skip


def rules(text: str = SALES, users: str = USERS) -> RuleSet:
    return parse_rules([(FILE, text)], directory(users))


def all_of(diary: Diary, call: str, instead: RuleSet | None = None) -> list[ExplainedTalk]:
    async def look() -> list[ExplainedTalk]:
        store = MemoryStore()
        await store.commit(diary.changes)
        found = await find_call(store, call)
        assert found is not None
        explanation_item(found, await explained(store, found, instead))
        return await explained(store, found, instead)

    return asyncio.run(look())


def said(talks: Sequence[ExplainedTalk]) -> list[list[str | None]]:
    """Of all that was asked each rule's answer."""
    told = [one for talk in talks for one in talk.told]
    return [[answer.reason for answer in one.judged.answers.answers] for one in told if one.judged is not None]


def test_each_talk_is_asked_once_and_before_it_the_rules_are_kept() -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    diary.over(*diary.inbound())
    kinds = [type(one) for one in diary.changes if isinstance(one, PutRules | PutAsked | PutTalk)]
    assert kinds == [PutRules, *[PutAsked, PutTalk, PutTalk] * 2]


def test_of_a_talk_only_what_the_rules_can_use_is_kept() -> None:
    kept = facts_to_keep(FACTS, rules())
    assert kept == replace(FACTS, variables={"PRIVATE": "1"}, flags={BOB: UserFlags(online_call_record_enabled=True)})
    assert ask(rules(), kept).answers == ask(rules(), FACTS).answers


@given(
    st.builds(
        TalkFacts,
        direction=st.sampled_from(Direction),
        callers=st.frozensets(st.sampled_from(["alice", "bob"]).map(Identity)),
        callees=st.frozensets(st.sampled_from(["alice", "bob"]).map(Identity)),
        number=st.sampled_from(["", "+49", "\udcff"]),
        dialed=st.sampled_from(["", "110"]),
        queue=st.sampled_from(["", "sales"]),
        context=st.just(""),
        at=st.just(START),
        variables=st.dictionaries(
            st.sampled_from(["PRIVATE", "__PRIVATE", "RECBRIDGE"]), st.sampled_from(["1", "never"])
        ),
        channels=st.just((ChannelName("PJSIP/bob-1"),)),
        call_id=st.sampled_from(["", "1.1"]),
        flags=st.dictionaries(st.just(BOB), st.builds(UserFlags, online_call_record_enabled=st.booleans())),
    )
)
def test_what_is_kept_is_read_as_it_was(talk: TalkFacts) -> None:
    assert facts_of(facts_item(talk), talk.at) == talk


def test_of_users_nothing_is_kept_but_what_matching_knows() -> None:
    kept = kept_rules([(FILE, SALES)], directory(USERS), START)
    assert kept.users == (
        KeptUser(Identity("alice"), ("boss",)),
        KeptUser(BOB, ("sales",), ("online_call_record_enabled",)),
    )
    again = kept.parsed()
    assert again is not None
    assert ask(again, FACTS).answers == ask(rules(), FACTS).answers
    renamed = kept_rules([(FILE, SALES)], directory(USERS.replace("Wombat", "Koala")), START + timedelta(days=1))
    assert renamed.digest == kept.digest
    assert kept_rules([(FILE, SALES)], directory(USERS.replace("boss", "chief")), START).digest != kept.digest


def test_the_rules_of_then_answer_whatever_was_loaded_since() -> None:
    diary = Diary()
    first = diary.inbound()
    diary.reload("rules:\n  - {id: 9, name: Nobody, record: never}\n")
    diary.over(*first)
    later = diary.inbound()
    diary.over(*later)
    (talk,) = all_of(diary, first[0])
    (told,) = talk.told
    assert told.judged is not None
    assert [rule.id for rule in told.judged.answers.recording] == [1]
    (talk,) = all_of(diary, later[0])
    assert [[answer.rule.id for answer in told.judged.answers.answers] for told in talk.told if told.judged] == [[9]]
    (talk,) = all_of(
        diary, first[0], parse_rules([("b.yml", "rules: [{id: 7, name: B, record: always}]")], directory())
    )
    assert [[rule.id for rule in told.judged.answers.recording] for told in talk.told if told.judged] == [[7]]


def test_each_rule_says_what_failed_first() -> None:
    diary = Diary()
    diary.over(*diary.inbound(queue="support"))
    assert said(all_of(diary, "1")) == [
        [
            "queue is support, not sales",
            None,
            "any: dialed is 500, not 110; variable.PRIVATE is none, not *",
        ]
    ]


@pytest.mark.parametrize("name", ["1", "1700000000.1", "1700000000-1_1700000000-2"])
def test_a_finished_call_has_three_names(name: str) -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    assert len(all_of(diary, name)) == 1


@pytest.mark.parametrize("name", ["1700000000.1", "1700000000.2", "PJSIP/bob-1"])
def test_a_running_call_is_found_by_its_channels(name: str) -> None:
    diary = Diary()
    diary.inbound()
    (talk,) = all_of(diary, name)
    assert talk.talk.talk.ended_at is None
    assert len(talk.told) == 1


def test_a_restart_that_finds_the_same_rules_is_told_once() -> None:
    diary = Diary()
    one, _ = diary.inbound()
    diary.pbx.wait(1)
    again = diary.restarted(changes=diary.changes)
    assert isinstance(again, Diary)
    assert len([change for change in again.changes if isinstance(change, PutAsked)]) == 2
    (talk,) = all_of(again, one)
    assert [len(talk.talk.asked), len(talk.told)] == [2, 1]


def test_a_restart_that_finds_other_rules_is_told_as_well() -> None:
    diary = Diary()
    one, _ = diary.inbound()
    diary.pbx.wait(1)
    again = diary.restarted(changes=diary.changes, rules="rules: [{id: 9, name: No, record: never}]")
    assert isinstance(again, Diary)
    (talk,) = all_of(again, one)
    assert [[answer.rule.id for answer in told.judged.answers.answers] for told in talk.told if told.judged] == [
        [1, 2, 3],
        [9],
    ]


def test_a_call_of_before_says_that_nothing_is_known() -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    diary.changes = [one for one in diary.changes if not isinstance(one, PutAsked | PutRules)]
    (talk,) = all_of(diary, "1")
    assert talk.told == ()


def test_rules_that_are_gone_are_not_guessed() -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    diary.changes = [one for one in diary.changes if not isinstance(one, PutRules)]
    (talk,) = all_of(diary, "1")
    (told,) = talk.told
    assert (told.judged, told.unknown) == (None, "the rules of then are not known any more")


# What cannot be judged


@pytest.mark.parametrize(
    ("when", "undecided"),
    [
        ("{variable: {CAMPAIGN: x}}", ("CAMPAIGN",)),
        ("{queue: support, variable: {CAMPAIGN: x}}", None),
        ("{variable: {CAMPAIGN: x}, queue: support}", None),
        ("{queue: sales, not: {variable: {CAMPAIGN: x, B: y}}}", ("CAMPAIGN",)),
        ("{any: [{queue: sales}, {variable: {CAMPAIGN: x}}]}", None),
        ("{any: [{queue: support}, {variable: {CAMPAIGN: x}}]}", ("CAMPAIGN",)),
        ("{variable: {PRIVATE: x}}", None),
    ],
)
def test_a_rule_is_undecided_only_where_a_variable_that_was_not_kept_decides(
    when: str, undecided: tuple[str, ...] | None
) -> None:
    new = rules(f"rules: [{{id: 5, name: New, record: always, when: {when}}}]")
    judged = judge(new, facts_to_keep(FACTS, rules()), rules().variables())
    assert judged.undecided.get(RuleId(5)) == undecided


# Erasure


def test_a_user_is_forgotten_in_what_was_asked() -> None:
    person = Person(identity=BOB, names=frozenset({"Bob"}), numbers=frozenset({"102"}))
    talk = replace(FACTS, dialed="102", variables={"PRIVATE": "Bob", "OTHER": "x"})
    forgotten = without_in_facts(talk, person)
    assert "bob" not in str(forgotten).lower()
    assert (forgotten.number, forgotten.dialed, forgotten.variables) == (FACTS.number, "", {"OTHER": "x"})


def test_a_number_is_forgotten_in_what_was_asked() -> None:
    forgotten = without_in_facts(replace(FACTS, dialed="0170"), Person(number="+49170 12345"))
    assert forgotten == replace(FACTS, number="", dialed="0170")


def test_a_variable_that_holds_a_number_goes_however_it_is_written() -> None:
    talk = replace(FACTS, variables={"PAI": "<sip:+49170/12345@trunk>", "OTHER": "+49170 99999"})
    assert without_in_facts(talk, Person(number="+49170 12345")).variables == {"OTHER": "+49170 99999"}


NAMED = """\
rules:
  # bob (+49 170 12345) asked for this
  - {id: 1, name: "Bob's calls", record: always, when: {user: [bob, alice], queue: bob}}
  - id: 2
    name: Others
    record: never
    when:
      all: [{not: {caller: "bob"}}, {number: ["+49 170-12345", "+4989*"]}]
      channel: PJSIP/bob-*
"""


def test_a_person_is_forgotten_in_rules_and_all_else_stays_word_for_word() -> None:
    kept = kept_rules([(FILE, NAMED)], directory(USERS), START)
    person = Person(identity=BOB, numbers=frozenset({"+4917012345", "+49 170 12345", "+49 170-12345"}))
    without = without_in_rules(kept, person)
    assert without.erased
    assert [user.identity for user in without.users] == ["alice", ERASED]
    ((_, text),) = without.files
    assert text == (
        NAMED.replace("# bob (+49 170 12345)", "# erased (erased)")
        .replace('"Bob\'s calls"', '"erased\'s calls"')
        .replace("[bob, alice]", "[erased, alice]")
        .replace('"bob"', '"erased"')
        .replace('"+49 170-12345"', '"erased"')
        .replace("PJSIP/bob-*", "PJSIP/erased-*")
    )
    assert without.parsed() is not None


def test_rules_that_do_not_name_a_person_stay_as_they_are() -> None:
    kept = kept_rules([(FILE, SALES.replace("bob", "alice").replace("Bob", "Al"))], directory(USERS), START)
    assert without_in_rules(kept, Person(number="+4917012345")) == kept


def test_a_name_that_is_folded_empties_its_file() -> None:
    text = 'rules:\n  - {id: 1, name: A, record: always, when: {user: ["b\\x6fb"]}}\n'
    without = without_in_rules(kept_rules([(FILE, text)], directory(USERS), START), Person(identity=BOB))
    assert without.files == ((FILE, ""),)
    assert without.parsed() is None
