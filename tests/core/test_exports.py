"""An export's life, and what its manifest says."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.access import Reader, Role
from bridge.core.cdrs import CdrNumber, KeptCdr, recording_uuid
from bridge.core.errors import IllegalTransitionError
from bridge.core.export_mails import words_of
from bridge.core.exports import (
    MANIFEST_COLUMNS,
    Copied,
    Export,
    ExportId,
    ExportStatus,
    Part,
    Progress,
    Reason,
    csv_lines,
    manifest_row,
    recordings_of,
)
from bridge.core.ids import Identity
from bridge.core.records import AudioReport, Section, SectionState
from tests.storage import kept

P, W, F, D, E = (ExportStatus(one) for one in ("pending", "processing", "finished", "deleted", "error"))
DAY = timedelta(days=1)
REPORT = AudioReport(1.5, 100, 8000, 1, (0.5,), (0.1,), b"", "ab" * 32)
MOVES: dict[ExportStatus, Callable[[Export], Export]] = {
    P: lambda one: one.put_back(),
    W: lambda one: one.begun(kept.NOON),
    F: lambda one: one.finished(kept.NOON, DAY, 7, 1),
    D: lambda one: one.deleted(Reason.CANCELLED),
    E: lambda one: one.failed(Reason.NO_SPACE),
}
ALLOWED = {(P, W), (P, D), (W, P), (W, F), (W, E), (W, D), (F, D), (E, D)}


def export(status: ExportStatus = P) -> Export:
    return Export(
        ExportId("e1"), Identity("eve"), kept.NOON, status, calls=2, recordings=3, done=2, missing=2, email="eve@x.de",
        url="https://x.de/1",
    )  # fmt: skip


def stored(file: int = 1, **values: object) -> Section:
    plain = kept.section(file, state=SectionState.STORED, started_at=kept.NOON, ended_at=kept.NOON, report=REPORT)
    return replace(plain, **values)  # type: ignore[arg-type]


PART = Part(
    number=0,
    cdr=CdrNumber(7),
    key=kept.section().key,
    name="7/a.wav",
    path="p",
    at=kept.NOON,
    ended_at=kept.NOON,
    duration_s=1.5,
    owner="eve",
    tags=("a", "b"),
    size_bytes=100,
    stored_sha256="ab" * 32,
    deleted=False,
)


@pytest.mark.parametrize("before", ExportStatus)
@pytest.mark.parametrize("after", ExportStatus)
def test_the_table_of_its_states(before: ExportStatus, after: ExportStatus) -> None:
    one = export(before)
    if (before, after) in ALLOWED:
        assert MOVES[after](one).status is after
    else:
        with pytest.raises(IllegalTransitionError):
            MOVES[after](one)
        assert one == export(before)


@pytest.mark.parametrize("status", [P, F, D, E])
def test_only_what_is_being_made_comes_on(status: ExportStatus) -> None:
    assert export(W).progressed(kept.NOON, Progress(3, 1, 9, 6)).done == 3
    with pytest.raises(IllegalTransitionError):
        export(status).progressed(kept.NOON, Progress(3, 1, 9, 6))


def test_what_is_made_anew_counts_anew() -> None:
    for one in (export(W).put_back(), export(P).begun(kept.NOON)):
        assert (one.done, one.missing) == (0, 0)


def test_its_end_is_told_once_that_is_no_guess() -> None:
    one = export(P).begun(kept.NOON)
    assert (one.ends_at, one.told_at) == (None, None)
    second = timedelta(seconds=1)
    soon = one.progressed(kept.NOON + second, Progress(1, 0, 1000, 500))
    early = one.progressed(kept.NOON + 60 * second, Progress(1, 0, 1000, 1))
    sound = one.progressed(kept.NOON + 60 * second, Progress(1, 0, 1000, 250))
    assert (soon.ends_at, early.ends_at) == (None, None)
    assert sound.ends_at == kept.NOON + 240 * second
    assert sound.finished(kept.NOON, DAY, 7, 0).ends_at is None
    assert sound.put_back().ends_at is None
    assert (sound.put_back().wanted_bytes, sound.put_back().done_bytes) == (0, 0)
    # What was there at the beginning may be more than is there now, and less.
    assert one.progressed(kept.NOON + 60 * second, Progress(1, 0, 100, 250)).ends_at == kept.NOON + 60 * second


def test_the_mail_says_how_its_link_is_used() -> None:
    done = export(W).finished(kept.NOON, DAY, 7, 0)
    zipped, page = (replace(done, url=f"https://x.de/{end}") for end in ("1/download", "exports?id=1"))
    assert "X-Auth-Token" in words_of(zipped)[1]
    assert "?token=" in words_of(zipped)[1]
    assert "sign in there" in words_of(page)[1]


def test_a_finished_one_is_kept_so_long_and_never_beyond_all_times() -> None:
    one = export(W).finished(kept.NOON, DAY, 7, 1)
    assert (one.expires_at, one.size_bytes, one.done, one.missing) == (kept.NOON + DAY, 7, 3, 1)
    assert export(W).finished(kept.NOON, timedelta.max, 7, 1).expires_at is not None


def test_it_is_made_of_what_was_recorded() -> None:
    sections = (
        stored(1),
        stored(2, deleted_at=kept.NOON),
        stored(3, report=None),
        stored(4, participants=(Identity("bob"),)),
    )
    call = KeptCdr(CdrNumber(7), kept.cdr(), sections)
    readers = [Reader(Identity(one), role, frozenset()) for one, role in (("x", Role.ADMIN), ("bob", Role.USER))]
    files = [[(number, key.file) for number, key in recordings_of(call, reader)] for reader in readers]
    assert files == [[(7, 1), (7, 4)], [(7, 4)]]


def test_the_manifest_says_what_is_in_the_zip() -> None:
    row = dict(zip(MANIFEST_COLUMNS, manifest_row(PART, Copied(100, "ab" * 32)), strict=True))
    assert row == {
        "cdr_id": "7",
        "recording_uuid": str(recording_uuid(PART.key)),
        "file_name": "7/a.wav",
        "record_id": kept.RECORD,
        "rule_id": "1",
        "file": "1",
        "start": "2026-08-01T12:00:00.123+00:00",
        "end": "2026-08-01T12:00:00.123+00:00",
        "duration_s": "1.500",
        "identity": "eve",
        "tags": "a;b",
        "size_bytes": "100",
        "sha256": "ab" * 32,
        "stored_sha256": "ab" * 32,
        "status": "ok",
    }


def test_the_manifest_says_what_is_not_as_it_was_stored() -> None:
    def said(one: Part, copied: Copied | None) -> tuple[str, str, str]:
        row = dict(zip(MANIFEST_COLUMNS, manifest_row(one, copied), strict=True))
        return row["status"], row["sha256"], row["identity"]

    other = Copied(99, "cd" * 32)
    assert said(PART, other) == ("changed", "cd" * 32, "eve")
    assert said(PART, None) == ("missing", "", "eve")
    assert said(replace(PART, deleted=True), other) == ("deleted", "", "")
    assert said(Part(0, CdrNumber(7), PART.key), None) == ("deleted", "", "")


@given(st.lists(st.lists(kept.texts | st.sampled_from(["=1+1", "+1", "-1", "@a", "\t=1", "\r=1"]), min_size=2)))
def test_no_cell_is_a_formula_and_the_rest_is_as_it_was(rows: list[list[str]]) -> None:
    text = csv_lines(rows).decode()
    for row, cells in zip(rows, csv.reader(io.StringIO(text, newline="")), strict=True):
        for value, cell in zip(row, cells, strict=True):
            assert not cell or cell[0] not in "=+-@\t\r\n"
            assert cell.removeprefix("'") == value.encode("utf-8", "replace").decode().removeprefix("'")


def test_the_mail_says_where_it_is_or_why_it_is_not() -> None:
    subject, text = words_of(export(W).finished(kept.NOON, DAY, 7, 1))
    assert "ready" in subject
    assert "\nhttps://x.de/1\n" in text
    assert "1 of them are missing" in text
    assert "until 2026-08-02 12:00 UTC" in text
    subject, text = words_of(export(W).failed(Reason.NO_SPACE))
    assert "failed" in subject
    assert "no room" in text
    assert "https" not in text
