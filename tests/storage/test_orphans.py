"""What the names of files in the spool tell."""

from datetime import date
from pathlib import Path

from bridge.storage.orphans import highest_numbers

DAYS = [date(2026, 3, 2), date(2026, 3, 1), date(2026, 2, 28)]


def test_the_highest_number_counts_whichever_part_has_it(tmp_path: Path) -> None:
    for name in (
        "2026/03/02/1-1_1-2_4_001.wav",
        "2026/03/02/1-1_1-2_4_003_r.wav16",
        "2026/03/02/1-1_1-2_7_002.wav",
        "2026/03/01/1-1_1-2_4_009.wav",
        "2026/02/27/1-1_1-2_4_012.wav",  # of no day that was asked for
        "2026/03/02/holiday.wav",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert highest_numbers(tmp_path, DAYS) == {("1-1_1-2", 4): 9, ("1-1_1-2", 7): 2}


def test_a_spool_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert highest_numbers(tmp_path / "gone", DAYS) == {}
