"""One WAV out of what MixMonitor wrote."""

import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.core.errors import MediaError
from bridge.storage.finishing import finish
from tests.network import tones
from tests.storage.crashed import names, remount, tiny_disk


def parts(folder: Path, receive_s: float = 2.0, transmit_s: float = 2.0) -> tuple[Path, Path, Path, Path]:
    path, receive, transmit = folder / "a.wav", folder / "a_r.wav", folder / "a_t.wav"
    tones.write_wav(receive, tones.hum("alice", receive_s))
    tones.write_wav(transmit, tones.hum("bob", transmit_s))
    tones.write_wav(path, tones.hum("alice", 2.0))
    return path, path, receive, transmit


@pytest.mark.parametrize(("leg_is_left", "sides"), [(True, ["alice", "bob"]), (False, ["bob", "alice"])])
def test_each_party_is_on_its_own_side_and_the_parts_go(tmp_path: Path, sides: list[str], *, leg_is_left: bool) -> None:
    files = parts(tmp_path)
    assert finish(*files, stereo=True, leg_is_left=leg_is_left)
    assert [tones.who(files[0], channel=channel) for channel in (0, 1)] == [{sides[0]}, {sides[1]}]
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_the_shorter_side_is_filled_up_with_silence(tmp_path: Path) -> None:
    files = parts(tmp_path, receive_s=20.0, transmit_s=1.0)
    assert finish(*files, stereo=True, leg_is_left=True)
    frames, rate = tones.samples(files[0])
    assert frames.shape == (20 * rate, 2)
    assert not np.any(frames[rate:, 1])
    assert np.any(frames[19 * rate :, 0])


def test_joining_again_after_a_crash_changes_nothing(tmp_path: Path) -> None:
    files = parts(tmp_path)
    kept = {path: path.read_bytes() for path in set(files)}
    finish(*files, stereo=True, leg_is_left=True)
    joined = files[0].read_bytes()
    assert finish(*files, stereo=True, leg_is_left=True)  # the parts were gone
    assert files[0].read_bytes() == joined
    files[2].write_bytes(kept[files[2]])  # one of two was not removed any more
    assert finish(*files, stereo=True, leg_is_left=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert files[0].read_bytes() == joined


def test_where_a_side_is_missing_the_mixed_file_stands_for_both(tmp_path: Path) -> None:
    files = parts(tmp_path)
    files[3].unlink()
    assert not finish(*files, stereo=True, leg_is_left=True)
    assert tones.who(files[0]) == {"alice"}
    assert files[2].exists()


def test_sixteen_kilohertz_gets_its_lasting_name(tmp_path: Path) -> None:
    mixed, path = tmp_path / "a.wav16", tmp_path / "a.wav"
    tones.write_wav(mixed, tones.hum("bob", 1.0, rate=16000), rate=16000)
    for _ in range(2):
        assert finish(path, mixed, tmp_path / "r", tmp_path / "t", stereo=False, leg_is_left=False)
    with wave.open(str(path)) as wav:
        assert wav.getframerate() == 16000
    assert not mixed.exists()


def test_parts_that_are_no_audio_are_named_and_left(tmp_path: Path) -> None:
    files = parts(tmp_path)
    files[2].write_bytes(b"no audio")
    with pytest.raises(MediaError) as caught:
        finish(*files, stereo=True, leg_is_left=True)
    assert caught.value.details["reason"] == "unreadable"
    assert {path.name for path in tmp_path.iterdir()} >= {"a.wav", "a_r.wav", "a_t.wav"}


def test_with_no_room_for_the_joined_file_every_part_stays(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", 140) as disk:
        files = parts(disk)
        before = {path: path.read_bytes() for path in disk.iterdir()}
        with pytest.raises(MediaError) as caught:
            finish(*files, stereo=True, leg_is_left=True)
        assert caught.value.details["reason"] == "disk-full"
        assert {path: path.read_bytes() for path in disk.iterdir()} == before
        remount(disk, "size=1024k")
        assert finish(*files, stereo=True, leg_is_left=True)
        assert names(disk) == {"a.wav"}


def test_on_a_disk_that_became_read_only_nothing_is_joined_but_mono_needs_nothing(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", 1024) as disk:
        files = parts(disk)
        remount(disk, "ro")
        with pytest.raises(MediaError) as caught:
            finish(*files, stereo=True, leg_is_left=True)
        assert caught.value.details["reason"] == "read-only"
        assert names(disk) == {"a.wav", "a_r.wav", "a_t.wav"}
        assert finish(*files, stereo=False, leg_is_left=True)


_KILLED = """
import os, signal, sys
from pathlib import Path
from bridge.storage.finishing import finish
count = int(sys.argv[3])
def last_time(real):
    def call(*arguments, **named):
        global count
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    return call
setattr(os, sys.argv[2], last_time(getattr(os, sys.argv[2])))
finish(*(Path(sys.argv[1]) / name for name in ("a.wav", "a.wav", "a_r.wav", "a_t.wav")), stereo=True, leg_is_left=True)
"""


@pytest.mark.parametrize(("step", "times"), [("fsync", 1), ("replace", 1), ("fsync", 2), ("unlink", 2), ("unlink", 3)])
def test_killed_in_the_middle_it_is_done_again(tmp_path: Path, step: str, times: int) -> None:
    files = parts(tmp_path, receive_s=1.0)
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), step, str(times)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert finish(*files, stereo=True, leg_is_left=True)
    assert [tones.seconds(files[0], channel=side) for side in (0, 1)] == [{"alice": 1.0}, {"bob": 2.0}]
    assert names(tmp_path) == {"a.wav"}
