"""The folder that two programs share."""

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from bridge.core.errors import MediaError
from bridge.core.space import LowSpace
from bridge.storage.mounts import mount_point
from bridge.storage.spool import Spool
from tests.storage.mounted import can_mount, tmpfs, unmount
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


mounting = pytest.mark.skipif(not can_mount(), reason="only root may mount")
MB = 2**20


def code_of(spool: Spool) -> str | None:
    problem = spool.problem()
    return problem.code if problem is not None else None


def test_how_much_room_there_is_is_told(folder: Path) -> None:
    space = spool_at(folder).look().space
    assert space is not None
    assert 0 < space.free_bytes <= space.total_bytes


@mounting
def test_a_disk_that_gets_full_warns_first_and_is_named_then(folder: Path) -> None:
    with tmpfs(folder, 64 * MB):
        spool = Spool(folder, "/spool", low_space=LowSpace(share=0.5))
        assert (code_of(spool), spool.look().warning) == (None, None)
        (folder / "ballast").write_bytes(bytes(40 * MB))
        look = spool.look()
        assert look.problem is None
        assert look.warning is not None
        assert look.warning.code == "spool-low"
        assert "24.0 MiB of 64.0 MiB" in look.warning.message
        assert look.space is not None
        assert look.space.total_bytes == 64 * MB
        (folder / "more").write_bytes(bytes(20 * MB))
        look = spool.look()
        assert look.problem is not None
        assert look.problem.code == "spool-full"
        assert "make room" in look.problem.message
        (folder / "more").unlink()
        assert code_of(spool) is None
        assert {path.name for path in folder.iterdir()} == {"ballast"}


@mounting
def test_a_disk_without_a_byte_or_a_file_left_is_full(folder: Path) -> None:
    with tmpfs(folder, 32 * MB):
        with contextlib.suppress(OSError), (folder / "ballast").open("wb") as file:
            while True:
                file.write(bytes(MB))
        problem = spool_at(folder).problem()
        assert problem is not None
        assert problem.code == "spool-full"
        (folder / "ballast").unlink()
    with tmpfs(folder, 32 * MB, "nr_inodes=3"):
        (folder / "one").touch()
        (folder / "two").touch()
        assert code_of(spool_at(folder)) == "spool-full"
        (folder / "two").unlink()
        assert code_of(spool_at(folder)) is None


@mounting
def test_a_disk_without_a_size_is_never_full(folder: Path) -> None:
    with tmpfs(folder, 0):
        look = spool_at(folder).look()
    assert (look.problem, look.warning, look.space) == (None, None, None)


@mounting
def test_a_disk_that_became_read_only_is_named(folder: Path) -> None:
    with tmpfs(folder, 32 * MB, "ro"):
        problem = spool_at(folder).problem()
        assert problem is not None
        assert problem.code == "spool-read-only"
        with pytest.raises(MediaError) as caught:
            spool_at(folder).prepare_day(WAV)
    assert caught.value.details["reason"] == "spool-read-only"


@mounting
@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_disk_that_is_not_mounted_any_more_is_not_taken_for_its_mount_point(folder: Path, below: str) -> None:
    (folder / below).mkdir(exist_ok=True)
    state = folder.parent / "spool.json"
    spool = Spool(folder / below, "/spool", state=state)
    with tmpfs(folder, 32 * MB):
        (folder / below).mkdir(exist_ok=True)
        assert (code_of(spool), spool.unmounted()) == (None, False)
    for one in (spool, Spool(folder / below, "/spool", state=state)):
        problem = one.problem()
        assert problem is not None
        assert problem.code == "spool-unmounted"
        assert str(folder) in problem.message
        assert str(state) in problem.message
        assert one.unmounted()
        with pytest.raises(MediaError) as caught:
            one.prepare_day(WAV)
        assert caught.value.details["reason"] == "spool-unmounted"
    assert list((folder / below).iterdir()) == []
    with tmpfs(folder, 32 * MB):
        (folder / below).mkdir(exist_ok=True)
        assert (code_of(spool), spool.unmounted()) == (None, False)
    state.unlink()
    assert code_of(Spool(folder / below, "/spool", state=state)) is None


@mounting
def test_a_disk_that_is_mounted_later_and_what_another_spool_was_on_are_no_trouble(folder: Path) -> None:
    state = folder.parent / "spool.json"
    spool = Spool(folder, "/spool", state=state)
    assert code_of(spool) is None
    with tmpfs(folder, 32 * MB):
        assert code_of(spool) is None
        other = folder.parent / "other"
        other.mkdir()
        assert code_of(Spool(other, "/spool", state=state)) is None
    assert code_of(Spool(folder, "/spool", state=state)) is None


@pytest.mark.parametrize("content", ["", "x", "[]", "{}", '{"folder": 1, "mount": 2}'])
def test_what_the_state_file_should_not_hold_is_learnt_anew(folder: Path, content: str) -> None:
    state = folder.parent / "spool.json"
    state.write_text(content)
    assert code_of(Spool(folder, "/spool", state=state)) is None
    assert str(mount_point(folder)) in state.read_text()


@mounting
def test_a_state_that_cannot_be_kept_is_no_trouble(folder: Path) -> None:
    spool = Spool(folder, "/spool", state=folder / "no" / "such" / "spool.json")
    with tmpfs(folder, 32 * MB):
        assert code_of(spool) is None
        unmount(folder)
        assert code_of(spool) == "spool-unmounted"
