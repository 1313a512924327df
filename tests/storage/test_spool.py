"""The folder that two programs share."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from bridge.core.errors import MediaError
from bridge.storage.spool import Spool
from tests.storage.rights import without_rights

WAV = "2026/08/01/1795223079-178_1795223079-187_1_001.wav"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A spool that users without rights can reach too (pytest's own folders are closed to them)."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        spool = Path(made) / "spool"
        spool.mkdir()
        spool.chmod(0o770)
        yield spool


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def spool_at(folder: Path) -> Spool:
    return Spool(folder, "/var/spool/asterisk/recbridge")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_both_sides_have_their_own_name_for_a_file(folder: Path) -> None:
    for asterisk in ("/var/spool/asterisk/recbridge", PurePosixPath("/var/spool/asterisk/recbridge/")):
        spool = Spool(folder, asterisk)
        assert spool.asterisk_path(WAV) == f"/var/spool/asterisk/recbridge/{WAV}"
        assert spool.local_path(WAV) == folder / WAV


@pytest.mark.parametrize("asterisk", ["spool", "", "/a,b", "/a b", "/a;rm", "/a|b", "/ä", "/a\n"])
def test_an_asterisk_path_that_mixmonitor_would_split_is_refused(folder: Path, asterisk: str) -> None:
    with pytest.raises(MediaError) as caught:
        Spool(folder, asterisk)
    assert caught.value.details["reason"] == "bad-path"


@pytest.mark.parametrize(
    "relative",
    [
        "../../../etc/x.wav",
        "/2026/08/01/a.wav",
        "2026/08/../a.wav",
        "2026/08/01/../a.wav",
        "2026/08/01/a/b.wav",
        "2026/08/01/a,b.wav",
        "2026/08/01/a b.wav",
        "2026/08/01/a.wav\n",
        "2026/08/01/a.raw",
        "2026/08/01/.wav/",
        "2026/13/01/a.wav",
        "2026/08/32/a.wav",
        "२०२६/08/01/a.wav",
        "",
    ],
)
def test_a_path_of_another_shape_is_refused(folder: Path, relative: str) -> None:
    spool = spool_at(folder)
    for use in (spool.local_path, spool.asterisk_path, spool.prepare_day):
        with pytest.raises(MediaError) as caught:
            use(relative)
        assert caught.value.details["reason"] == "bad-path"
    assert list(folder.iterdir()) == []


def test_a_days_folders_are_open_to_the_group_whatever_the_umask(folder: Path) -> None:
    with umask(0o077):
        assert spool_at(folder).prepare_day(WAV) == folder / WAV
    made = [folder / "2026", folder / "2026/08", folder / "2026/08/01"]
    assert [mode_of(one) for one in made] == [0o770] * 3
    assert not (folder / WAV).exists()


def test_a_setgid_spool_makes_setgid_days_of_its_group(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, -1, 12345)
    folder.chmod(0o2770)
    spool_at(folder).prepare_day(WAV)
    day = folder / "2026/08/01"
    assert mode_of(day) == 0o2770
    assert day.stat().st_gid == folder.stat().st_gid


def test_the_spools_group_is_kept_without_setgid_too(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may choose any group")
    os.chown(folder, -1, 12345)
    folder.chmod(0o770)
    spool_at(folder).prepare_day(WAV)
    assert [(folder / one).stat().st_gid for one in ("2026", "2026/08", "2026/08/01")] == [12345] * 3
    assert mode_of(folder / "2026/08/01") == 0o770


def test_a_folder_that_was_left_half_made_is_put_right(folder: Path) -> None:
    (folder / "2026").mkdir()
    (folder / "2026").chmod(0o700)
    spool = spool_at(folder)
    spool.prepare_day(WAV)
    spool.prepare_day(WAV)
    assert mode_of(folder / "2026") == 0o770


def test_a_good_spool_is_no_problem_and_stays_empty(folder: Path) -> None:
    assert spool_at(folder).problem() is None
    assert list(folder.iterdir()) == []


def test_a_missing_spool_is_named_and_never_made(folder: Path) -> None:
    spool = spool_at(folder / "not-mounted")
    problem = spool.problem()
    assert problem is not None
    assert problem.code == "spool-missing"
    assert "not-mounted" in problem.message
    assert "mount" in problem.message
    with pytest.raises(MediaError) as caught:
        spool.prepare_day(WAV)
    assert caught.value.details["reason"] == "spool-missing"
    assert not (folder / "not-mounted").exists()


def test_a_file_in_the_spools_place_is_named(folder: Path) -> None:
    (folder / "file").touch()
    problem = spool_at(folder / "file").problem()
    assert problem is not None
    assert problem.code == "spool-missing"


def test_a_spool_that_we_may_not_write_is_named(folder: Path) -> None:
    folder.chmod(0o555)
    with without_rights():
        problem = spool_at(folder).problem()
        with pytest.raises(MediaError) as caught:
            spool_at(folder).prepare_day(WAV)
    assert problem is not None
    assert problem.code == "spool-not-writable"
    assert "group" in problem.message
    assert caught.value.details["reason"] == "spool-not-writable"
    assert caught.value.message == problem.message


def test_a_file_where_a_days_folder_belongs_is_an_error(folder: Path) -> None:
    (folder / "2026").touch()
    with pytest.raises(MediaError) as caught:
        spool_at(folder).prepare_day(WAV)
    assert "2026" in caught.value.message
