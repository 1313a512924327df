"""What is wrong in a file, and where, in words that help."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.document import (
    POSITIVE,
    Boolean,
    Listed,
    OneOrMany,
    Strict,
    Text,
    load,
    one_of,
    suggest,
)
from bridge.core.durations import Duration, parse_duration
from bridge.core.yaml_tree import MAX_CHARACTERS, parse


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Inner(Strict):
    text: Text = ""
    length: Duration = timedelta(0)


class Outer(Strict):
    number: Annotated[int, POSITIVE] = 1
    flag: Boolean = False
    colours: OneOrMany[Annotated[Colour, one_of(Colour)]] = ()
    texts: Listed[Text] = ()
    plain: str = ""
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    perhaps: Inner | None = None


def problems(text: str) -> list[str]:
    return [str(problem) for problem in load(text, "f", Outer).problems]


@pytest.mark.parametrize(
    "text", ["*3", "*49*", "*", "0049", "no", "yes", "null", "~", "1e3", "2026-01-01", "0x1F", "<<"]
)
def test_text_stays_text(text: str) -> None:
    loaded = load(f"plain: {text}\ntexts: [{text}, {text}]\n", "f", Outer)
    assert loaded.value is not None
    assert (loaded.value.plain, loaded.value.texts) == (text, (text, text))


def test_a_star_can_begin_a_key() -> None:
    root, found = parse("*3: x\n", "f")
    assert found == []
    assert root is not None
    assert isinstance(root.value, dict)
    assert list(root.value) == ["*3"]


def test_values_become_what_the_model_says() -> None:
    loaded = load("number: 12\nflag: true\ncolours: red\ninner: {length: 90d}\nmany: [{text: a}]\n", "f", Outer)
    assert loaded.problems == []
    assert loaded.value == Outer(
        number="12",  # type: ignore[arg-type]  # as a file gives it
        flag="true",  # type: ignore[arg-type]
        colours="red",  # type: ignore[arg-type]
        inner=Inner(length="90d"),  # type: ignore[arg-type]
        many=(Inner(text="a"),),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("numbr: 1", "f:1:1: unknown key `numbr` (did you mean number?)"),
        (
            "inner:\n  zzz: 1",
            "f:2:3: unknown key `zzz`; possible here: text, length",
        ),
        ("many:\n  - txt: a", "f:2:5: unknown key `txt` (did you mean text?)"),
        ("perhaps: {lenght: 1d}", "f:1:11: unknown key `lenght` (did you mean length?)"),
        ("number: 1.0", "f:1:9: `number` must be a whole number from 1 to 999999999, not `1.0`"),
        ("number: 007", "f:1:9: `number` must be a whole number from 1 to 999999999, not `007`"),
        ("number: 1_0", "f:1:9: `number` must be a whole number from 1 to 999999999, not `1_0`"),
        ("number: [1]", "f:1:9: `number` must be a single value, not a list"),
        ("flag: no", "f:1:7: `flag` must be true or false, not `no` (did you mean false?)"),
        ("flag: TRUE", "f:1:7: `flag` must be true or false, not `TRUE` (did you mean true?)"),
        ("colours: gren", "f:1:10: `colours` cannot be `gren`: possible are red, green (did you mean green?)"),
        (
            "colours: [red, Green]",
            "f:1:16: `colours` cannot be `Green`: possible are red, green (did you mean green?)",
        ),
        (
            "colours: []",
            "f:1:10: `colours` is an empty list, which nothing can match: name something, or leave the key out",
        ),
        ("colours:", "f:1:1: `colours` has no value"),
        ("number:\nplain: a", "f:1:1: `number` has no value"),
        ("inner:", "f:1:1: `inner` has no value"),
        ("perhaps:", "f:1:1: `perhaps` has no value"),
        ("plain:", "f:1:1: `plain` has no value"),
        ("texts:\n  - a\n  -\n", "f:3:4: `texts` has an item with nothing in it"),
        ("texts: ['']", "f:1:9: `texts` is empty"),
        ("plain: {a: b}", "f:1:8: `plain` must be text, not keys"),
        ("inner: [a]", "f:1:8: `inner` must hold keys of its own, not a list"),
        ("many: a", "f:1:7: `many` must be a list, not text"),
        ("many: [a]", "f:1:8: an item of `many` must hold keys of its own, not text"),
        ("- a", "f:1:1: the file must hold keys of its own, not a list"),
        ("inner: {length: 15}", "f:1:17: `length` must be a number and s, m, h or d, like 90d, not `15`"),
        ("number: 1\nnumber: 2", "f:2:1: `number` stands here a second time (first in line 1)"),
        ("", "f:1:1: the file is empty; possible here: number, flag, colours, texts, plain, inner, many, perhaps"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, problem: str) -> None:
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("plain: &a b", "f:1:8: a value cannot begin with `&`: quote it"),
        ("plain: !49", "f:1:8: a value cannot begin with `!`: quote it"),
        ("plain: %10", "f:1:8: a value cannot begin with `%`: quote it"),
        ("%YAML 1.2\n---\nplain: a", "f:1:1: a value cannot begin with `%`: quote it"),
        ("plain: @a", "f:1:8: a value cannot begin with `@`: quote it"),
        ("plain: a\n\tnumber: 1", "f:2:1: a tab cannot stand here: indent with spaces"),
        ("inner:\n\ttext: a", "f:2:1: a tab cannot stand here: indent with spaces"),
        ("plain: 'a\nnumber: 1\n", "f:1:8: the quote that opens here is never closed"),
        ("texts: [a, b\nnumber: 1\n", "f:1:8: the list that `[` opens here is not closed, or lacks a comma"),
        ("texts: [a?b]", "f:1:10: text with a `?` must be quoted between `[` and `]` and between `{` and `}`"),
        ("inner: {text: a\nnumber: 1\n", "f:1:8: the keys that `{` opens here are not closed, or lack a comma"),
        (
            "inner:\n  text: a\n length: 1d\n",
            "f:3:2: wrong indentation: this does not line up with what stands above it",
        ),
        (
            "inner:\n  text: a\n  lenght\nnumber: 1\n",
            "f:3:3: a key without `:` (if it is no key, it is not indented as what it belongs to)",
        ),
        ("plain: a: b", "f:1:9: a `:` that cannot stand here: wrong indentation, or text to be quoted"),
        ('plain: "\\d"', "f:1:10: an unknown `\\` in double quotes: use single quotes"),
        ("texts: - a", "f:1:8: a list item `- …` cannot stand here: begin it on a line of its own"),
        ("plain: |a", "f:1:9: a value cannot begin with `|` or `>`: quote it"),
        ("plain: ]", "f:1:8: a value is missing here, or begins with a character that must be quoted"),
        ("{{a}}: b", "f:1:2: a key must be text (quote a value that begins with `{` or `[`)"),
        ("plain: a\n---\nplain: b", "f:2:1: a second document begins here: one file, one document"),
        ("plain: a\nnumber: \x07", "f:2:9: the character U+0007 cannot stand in YAML"),
        ("[" * 5000, "f:1:33: nested deeper than 32 levels"),
        ("a" * (MAX_CHARACTERS + 1), "f:1:1: the file is longer than 4,000,000 characters"),
    ],
)
def test_what_is_no_yaml_is_said_in_our_words(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_many_mistakes_are_all_named() -> None:
    text = (
        "numbr: 1\nflag: maybe\nflag: true\ncolours: [blue, rde]\ninner:\n  length: long\n  txt: a\nmany:\n  - text:\n"
    )
    assert [(problem.line, problem.column) for problem in sorted(load(text, "f", Outer).problems)] == [
        (1, 1), (2, 7), (3, 1), (4, 11), (4, 17), (6, 11), (7, 3), (9, 5),
    ]  # fmt: skip


def test_a_byte_order_mark_moves_no_place() -> None:
    assert problems("\ufeffnumbr: 1") == ["f:1:1: unknown key `numbr` (did you mean number?)"]


@given(st.text(alphabet=st.sampled_from("ab:-[]{},*&!|>'\"#%@`? \n\t"), max_size=60))
def test_any_text_gives_a_value_or_problems_and_never_raises(text: str) -> None:
    loaded = load(text, "f", Outer)
    assert (loaded.value is None) == bool(loaded.problems)
    for problem in loaded.problems:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.column >= 1


def test_suggestions_know_upper_and_lower_case_alike() -> None:
    assert suggest("BOB", ["alice", "bob"]) == "bob"
    assert suggest("xyz", ["alice", "bob"]) is None


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("15s", timedelta(seconds=15)),
        ("2m", timedelta(minutes=2)),
        ("2h", timedelta(hours=2)),
        ("90d", timedelta(days=90)),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90", None), ("90 d", "90d"), ("90D", "90d"), ("2 hours", "2h"), ("0d", None), ("-1d", None),
        ("1h30m", None), ("1.5h", None), ("999999999d", None), ("", None),
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str, meant: str | None) -> None:
    with pytest.raises(ValueError, match=r"must be a number|longer than 100 years") as raised:
        parse_duration(text)
    assert getattr(raised.value, "suggestion", "") == meant
