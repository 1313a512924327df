import wave
from pathlib import Path

import numpy as np
import pytest

from tests.network.config import TONES
from tests.network.tones import Samples, heard, hum, samples, seconds, who, write_wav


def mixed(*names: str, length_s: float = 1.0, rate: int = 8000) -> Samples:
    voices: Samples = np.stack([hum(name, length_s, rate, 0.1) for name in names])
    return np.asarray(voices.sum(axis=0), dtype=np.int16)


def mu_law(clean: Samples) -> Samples:
    """Through G.711's curve with 8 bits and back."""
    x = clean.astype(np.float64) / 32768
    steps = np.round(127 * np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)) / 127
    return np.asarray(np.round(32767 * np.sign(steps) * (256 ** np.abs(steps) - 1) / 255), dtype=np.int16)


@pytest.mark.parametrize("name", TONES)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_each_tone_is_that_party_alone(name: str, rate: int) -> None:
    assert heard(hum(name, 1.0, rate), rate) == [{name}] * 10


@pytest.mark.parametrize("name", TONES)
def test_a_clipped_tone_is_still_nobody_else(name: str) -> None:
    loud = np.clip(hum(name, 1.0).astype(np.int32) * 8, -32768, 32767).astype(np.int16)
    assert who(loud) == {name}


@pytest.mark.parametrize("parties", [("alice", "bob"), ("carol", "dave", "outside"), tuple(TONES)[:6]])
def test_parties_who_speak_together_are_all_heard_through_mu_law(parties: tuple[str, ...]) -> None:
    assert heard(mu_law(mixed(*parties))) == [set(parties)] * 10


def test_a_quiet_party_is_heard_beside_a_loud_one() -> None:
    assert who(mu_law((hum("alice", 1.0, amplitude=0.3) + hum("bob", 1.0, amplitude=0.1)).astype(np.int16))) == {
        "alice",
        "bob",
    }


def test_silence_and_noise_are_nobody() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 80_000).astype(np.int16)
    assert heard(np.zeros(8000, np.int16)) == [set()] * 10
    assert who(noise, at_least_s=0.3) == set()


def test_windows_follow_the_time() -> None:
    talk = np.concatenate([hum("alice", 0.5), np.zeros(1600, np.int16), hum("bob", 0.3)])
    assert heard(talk) == [{"alice"}] * 5 + [set()] * 2 + [{"bob"}] * 3
    assert seconds(talk) == {"alice": 0.5, "bob": 0.3}
    assert who(talk, at_least_s=0.4) == {"alice"}


def test_a_channel_of_a_stereo_wav_is_read_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    frames = np.stack([hum("alice", 0.5, 16000), hum("bob", 0.5, 16000)], axis=1)
    with wave.open(str(path), "wb") as wav:
        wav.setparams((2, 2, 16000, 0, "NONE", ""))
        wav.writeframes(frames.astype("<i2").tobytes())
    assert [who(path, channel=channel) for channel in (0, 1)] == [{"alice"}, {"bob"}]


def test_a_wav_reads_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "carol.wav"
    write_wav(path, hum("carol", 0.2))
    frames, rate = samples(path)
    assert rate == 8000
    assert (frames[:, 0] == hum("carol", 0.2)).all()
