"""One WAV out of what MixMonitor wrote."""

import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.core.errors import MediaError
from bridge.storage.finishing import finish
from tests.network import tones


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
