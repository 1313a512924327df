"""The file for what the database cannot take: what is in it is found again, whatever happens to it."""

import json
import os
import types
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.records import CallStatus
from bridge.core.store import CHANGES, AddCdr, AppendFact, Change, Intent, Mark, PutSection
from bridge.storage.intents import RESERVED_BYTES, IntentsFile, intent_of, line_of, text_of
from bridge.storage.plain import reader
from tests.storage import kept
from tests.storage.mounted import can_mount, tmpfs

_finite = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | kept.texts | _finite,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(kept.texts, inner, max_size=3),
    max_leaves=4,
)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: kept.texts,
    int: st.integers(),
    float: _finite,
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    datetime: st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])),
    type(None): st.none(),
    Any: _json,
}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """All that an annotation of a change allows."""
    if isinstance(annotation, NewType):
        return values(annotation.__supertype__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, arguments))
    if origin is tuple and arguments[1:] == (...,):
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    if origin is frozenset:
        return st.frozensets(values(arguments[0]), max_size=3)
    if origin is Mapping:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return st.sampled_from(annotation)
    if isinstance(annotation, type) and is_dataclass(annotation):
        hints = get_type_hints(annotation)
        return st.builds(annotation, **{one.name: values(hints[one.name]) for one in fields(annotation)})
    return _PLAIN[annotation]


@pytest.mark.parametrize("kind", CHANGES, ids=lambda kind: kind.__name__)
def test_every_kind_of_change_is_the_same_when_it_is_read_again(kind: type[Change]) -> None:
    @settings(max_examples=50, deadline=None)
    @given(values(kind), st.integers(1, 2**40))
    def check(change: Change, number: int) -> None:
        intent = Intent(Mark(number, number), (change,))
        text = text_of(line_of(intent))
        assert text is not None
        assert intent_of(text) == intent

    check()


@pytest.mark.parametrize(
    ("answered_at", "status"), [(kept.NOON, CallStatus.ANSWERED), (None, CallStatus.UNKNOWN)], ids=["answered", "not"]
)
def test_a_call_that_an_older_version_left_has_the_status_that_those_in_its_database_got(
    answered_at: datetime | None, status: CallStatus
) -> None:
    intent = Intent(Mark(1, 1), (AddCdr(replace(kept.cdr(), answered_at=answered_at, status=status)),))
    text = text_of(line_of(intent))
    assert text is not None
    older = json.loads(text)
    del older["changes"][0][1]["cdr"]["status"], older["changes"][0][1]["cdr"]["destination_context"]
    assert intent_of(json.dumps(older).encode()) == intent


def test_a_kind_of_value_that_could_not_be_read_again_is_told_when_it_is_thought_of() -> None:
    with pytest.raises(NotImplementedError, match="complex"):
        reader(tuple[complex, ...])


def noon() -> datetime:
    return kept.NOON


def intents(count: int, first: int = 1) -> list[Intent]:
    return [
        Intent(Mark(1, number), (AppendFact(kept.fact(number=number)), PutSection(kept.section(number))))
        for number in range(first, first + count)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recbridge.db.intents"


def written(path: Path, some: list[Intent]) -> None:
    file = IntentsFile(path, noon)
    file.append(some)
    file.close()


def all_in(file: IntentsFile, most: int = 1000) -> list[Intent]:
    found: list[Intent] = []
    offset = 0
    while True:
        some, offset = file.read(offset, most)
        if not some:
            return found
        found += some


def opened_again(path: Path) -> list[Intent]:
    file = IntentsFile(path, noon)
    try:
        return all_in(file)
    finally:
        file.close()


def last_byte(path: Path) -> int:
    """Where the zeros begin."""
    return len(path.read_bytes().rstrip(b"\0"))


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


def events(logged: list[Any]) -> list[str]:
    return [one["event"] for one in logged]


def test_what_is_added_is_there_in_its_order_after_a_new_start(path: Path, logged: list[Any]) -> None:
    written(path, intents(3))
    written(path, intents(2, first=4))
    assert opened_again(path) == intents(5)
    assert path.stat().st_mode & 0o777 == 0o600
    assert logged == []


def test_it_is_read_piece_by_piece(path: Path) -> None:
    file = IntentsFile(path, noon)
    file.append(intents(7))
    some, offset = file.read(0, 4)
    assert [one.last.number for one in some] == [1, 2]
    file.append(intents(1, first=8))
    assert [one.last.number for one in all_in(file, 4)] == list(range(1, 9))
    assert [one.last.number for one in file.read(offset, 2)[0]] == [3]
    file.close()


def test_an_emptied_file_is_empty_and_keeps_its_room(path: Path) -> None:
    file = IntentsFile(path, noon)
    assert file.size_bytes == 0
    file.append(intents(20_000))
    assert path.stat().st_size > RESERVED_BYTES
    assert file.size_bytes > RESERVED_BYTES
    file.clear()
    assert (all_in(file), file.size_bytes) == ([], 0)
    assert (path.stat().st_size, path.stat().st_blocks * 512 >= RESERVED_BYTES) == (RESERVED_BYTES, True)
    file.append(intents(1, first=9))
    file.close()
    assert opened_again(path) == intents(1, first=9)


def test_a_write_that_was_cut_off_anywhere_is_skipped_and_said(path: Path) -> None:
    written(path, intents(2))
    before = last_byte(path)
    written(path, intents(1, first=3))
    whole = path.read_bytes()
    for cut in range(before + 1, len(whole.rstrip(b"\0")), 7):
        for rest in (b"", bytes(4096)):
            path.write_bytes(whole[:cut] + rest)
            with structlog.testing.capture_logs() as logged:
                assert opened_again(path) == intents(2)
            assert events(logged) == ["intents-torn"]
            if cut % 5 == 0:
                written(path, intents(1, first=4))
                with structlog.testing.capture_logs() as logged:
                    assert opened_again(path) == [*intents(2), *intents(1, first=4)]
                assert events(logged) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=30))
def test_what_was_overwritten_hides_nothing_else_and_is_moved_aside(at: int, garbage: bytes) -> None:
    with TemporaryDirectory() as folder, structlog.testing.capture_logs() as logged:
        path = Path(folder) / "x.intents"
        written(path, intents(10))
        with path.open("r+b") as file:
            file.seek(at)
            file.write(garbage)
        spoiled = path.read_bytes()
        known = IntentsFile(path, noon)
        try:
            found = all_in(known)
            assert set(map(str, found)) <= set(map(str, intents(10)))
            assert len(found) >= 10 - 2 - garbage.count(b"\n")
            known.clear()
            known.append(intents(1))
            assert all_in(known) == intents(1)
        finally:
            known.close()
        if "intents-moved-aside" in events(logged):
            (aside,) = Path(folder).glob("x.intents.broken-20260801T120000Z")
            assert aside.read_bytes()[: len(spoiled)].rstrip(b"\0") == spoiled.rstrip(b"\0")
        else:
            assert found == intents(10)


@pytest.mark.parametrize("read", [0, 1], ids=["nothing", "some"])
def test_what_an_earlier_run_left_and_nobody_has_read_is_moved_aside_not_emptied(
    path: Path, logged: list[Any], read: int
) -> None:
    written(path, intents(3))
    before = path.read_bytes()
    file = IntentsFile(path, noon)
    if read:
        file.read(0, 1)  # the disk says no to the next
    file.append(intents(1, first=4))
    file.clear()
    file.append(intents(1, first=5))
    file.close()
    (aside,) = path.parent.glob("*.broken-*")
    assert aside.read_bytes().startswith(before.rstrip(b"\0"))
    assert opened_again(path) == intents(1, first=5)
    assert events(logged) == ["intents-moved-aside"]


@pytest.mark.parametrize("content", [b"\xff" * 5000, b"{}\n" * 9, os.urandom(1000), b"x"])
def test_a_file_of_somebody_else_is_moved_aside(path: Path, content: bytes, logged: list[Any]) -> None:
    path.write_bytes(content)
    file = IntentsFile(path, noon)
    assert all_in(file) == []
    file.append(intents(1))
    file.close()
    assert opened_again(path) == intents(1)
    (aside,) = path.parent.glob("*.broken-*")
    assert aside.read_bytes().startswith(content)
    assert events(logged) == ["intents-unreadable", "intents-moved-aside"]
    assert logged[-1]["file"] == str(aside)


def test_a_folder_in_its_place_is_moved_aside(path: Path) -> None:
    (path / "inside").mkdir(parents=True)
    written(path, intents(1))
    assert opened_again(path) == intents(1)
    assert [one.name for one in path.parent.glob("*.broken-*/*")] == ["inside"]


def test_a_change_that_this_version_does_not_know_is_no_torn_write(path: Path, logged: list[Any]) -> None:
    written(path, intents(1))
    line = line_of(Intent(Mark(1, 2), (AppendFact(kept.fact()),))).replace(b"AppendFact", b"AddThought")
    text = line[18:-1]
    with path.open("r+b") as file:
        file.seek(last_byte(path))
        file.write(b"%08x %08x %s\n" % (len(text), zlib.crc32(text), text))
    assert opened_again(path) == intents(1)
    assert events(logged) == ["intents-unreadable"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    if not can_mount():
        pytest.skip("no tmpfs may be mounted here")
    folder = tmp_path / "disk"
    folder.mkdir()
    with tmpfs(folder, 6 << 20):
        yield folder


def fill(folder: Path) -> None:
    with (folder / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_a_full_disk_takes_intents_into_the_room_that_was_reserved(small_disk: Path, logged: list[Any]) -> None:
    path = small_disk / "x.intents"
    file = IntentsFile(path, noon)
    assert all_in(file) == []
    fill(small_disk)
    taken = 0
    with pytest.raises(OSError, match="No space"):  # noqa: PT012 - which of them is the first is not told
        while True:
            file.append(intents(100, first=taken + 1))
            taken += 100
    assert taken > 1000
    assert all_in(file) == intents(taken)
    (small_disk / "filler").unlink()
    file.append(intents(1, first=taken + 1))
    file.close()
    assert opened_again(path) == intents(taken + 1)
    assert events(logged) == []


def test_without_room_from_the_start_it_says_so_and_takes_what_it_can_later(
    small_disk: Path, logged: list[Any]
) -> None:
    fill(small_disk)
    file = IntentsFile(small_disk / "x.intents", noon)
    with pytest.raises(OSError, match="No space"):
        file.append(intents(1))
    (small_disk / "filler").unlink()
    file.append(intents(2))
    file.clear()
    fill(small_disk)
    file.append(intents(3))
    assert all_in(file) == intents(3)
    file.close()
    assert set(events(logged)) <= {"intents-not-reserved"}
