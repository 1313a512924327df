"""Looking into WAVs that the standard library wrote."""

import asyncio
import hashlib
import math
import threading
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.errors import MediaError
from bridge.storage import media
from bridge.storage.media import MediaInspector, inspect

Samples = npt.NDArray[np.int16]


def write(path: Path, *channels: Samples, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.stack(channels, axis=-1).astype("<i2").tobytes())
    return path


def unfinish(path: Path, *, riff: bool = True) -> Path:
    """The header as Asterisk has it before it closes the file; without `riff` as it is for a moment while it closes."""
    raw = bytearray(path.read_bytes())
    if riff:
        raw[4:8] = bytes(4)
    raw[40:44] = bytes(4)
    path.write_bytes(raw)
    return path


def tone(seconds: float, amplitude: float, rate: int = 8000) -> Samples:
    at = np.arange(int(seconds * rate)) / rate
    return np.round(np.sin(2 * np.pi * 400 * at) * amplitude).astype(np.int16)


def drawn(report_peaks: bytes, channels: int) -> npt.NDArray[np.int8]:
    """(stretch, channel, min and max)."""
    return np.frombuffer(report_peaks, dtype=np.int8).reshape(-1, channels, 2)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return tmp_path / "a.wav"


@pytest.fixture
async def inspector() -> AsyncIterator[MediaInspector]:
    one = MediaInspector()
    yield one
    await one.close()


def reason_of(path: Path) -> object:
    with pytest.raises(MediaError) as caught:
        inspect(path)
    assert str(path) in caught.value.message
    return caught.value.details["reason"]


def test_a_tone_has_the_levels_that_mathematics_says(wav: Path) -> None:
    report = inspect(write(wav, tone(20, 16384)))
    assert report.duration_s == 20.0
    assert (report.sample_rate_hz, report.channels) == (8000, 1)
    assert report.size_bytes == wav.stat().st_size == 44 + 2 * 160_000
    assert report.peak == (0.5,)
    assert report.rms[0] == pytest.approx(0.5 / math.sqrt(2), rel=1e-3)
    assert report.sha256 == hashlib.sha256(wav.read_bytes()).hexdigest()
    assert np.array_equal(drawn(report.peaks, 1), np.tile(np.array([-64, 64], np.int8), (200, 1, 1)))


def test_full_scale_and_silence_are_1_and_0(wav: Path) -> None:
    loud = inspect(write(wav, np.full(8000, -32768, np.int16)))
    assert loud.peak == (1.0,)
    assert loud.rms == pytest.approx((1.0,))
    assert set(drawn(loud.peaks, 1).flat) == {-128}
    highest = inspect(write(wav, np.full(8000, 32767, np.int16)))
    assert set(drawn(highest.peaks, 1).flat) == {127}
    silent = inspect(write(wav, np.zeros(8000, np.int16)))
    assert (silent.peak, silent.rms, set(silent.peaks)) == ((0.0,), (0.0,), {0})


def test_each_side_of_a_stereo_file_has_its_own_levels(wav: Path) -> None:
    left, right = tone(10, 8192, 16000), np.zeros(160_000, np.int16)
    right[80_000:] = -4096
    report = inspect(write(wav, left, right, rate=16000))
    assert (report.duration_s, report.sample_rate_hz, report.channels) == (10.0, 16000, 2)
    assert report.peak == (0.25, 0.125)
    assert report.rms == pytest.approx((0.25 / math.sqrt(2), 0.125 / math.sqrt(2)), rel=1e-3)
    stretches = drawn(report.peaks, 2)
    assert stretches.shape == (100, 2, 2)
    assert np.array_equal(stretches[:50, 1], np.zeros((50, 2)))
    assert np.array_equal(stretches[50:, 1], np.full((50, 2), -16))
    assert np.array_equal(stretches[:, 0], np.tile([-32, 32], (100, 1)))


def test_a_long_file_is_drawn_in_4000_stretches(wav: Path) -> None:
    assert len(inspect(write(wav, tone(450, 100))).peaks) == 2 * 4000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767)), min_size=1, max_size=120),
    st.sampled_from([100, 8000]),
)
def test_block_borders_show_nowhere(pairs: list[tuple[int, int]], rate: int) -> None:
    samples = np.array(pairs, np.int16).T
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(media, "_BLOCK_SAMPLES", 14)
        report = inspect(write(Path(folder) / "a.wav", *samples, rate=rate))
    wide = samples.astype(np.float64)
    assert report.duration_s == len(pairs) / rate
    assert report.peak == tuple(np.abs(wide).max(axis=1) / 32768)
    assert report.rms == pytest.approx(tuple(np.sqrt((wide**2).mean(axis=1)) / 32768))
    stretches = drawn(report.peaks, 2)
    count = min(math.ceil(len(pairs) * 10 / rate), len(pairs))
    assert len(stretches) == count
    for at, stretch in enumerate(stretches):
        part = wide[:, at * len(pairs) // count : (at + 1) * len(pairs) // count]
        expected = np.stack((part.min(axis=1), part.max(axis=1)), axis=-1)
        assert np.array_equal(stretch, np.minimum(np.floor(expected / 256 + 0.5), 127))


def test_a_closed_file_without_samples_is_no_error(wav: Path) -> None:
    report = inspect(write(wav, np.zeros(0, np.int16)))
    assert (report.duration_s, report.peak, report.rms, report.peaks) == (0.0, (0.0,), (0.0,), b"")
    assert report.size_bytes == 44


@pytest.mark.parametrize("riff", [True, False])
def test_a_header_without_sizes_is_unfinished(wav: Path, riff: bool) -> None:
    assert reason_of(unfinish(write(wav, tone(1, 1000)), riff=riff)) == "header-unfinished"


def test_an_open_file_without_samples_is_unfinished(wav: Path) -> None:
    assert reason_of(unfinish(write(wav, np.zeros(0, np.int16)))) == "header-unfinished"
    wav.write_bytes(b"")
    assert reason_of(wav) == "header-unfinished"


def test_what_is_no_wav_is_unreadable(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_bytes(b"no audio at all" * 100)
    assert reason_of(text) == "unreadable"
    assert reason_of(tmp_path) == "unreadable"
    no_data = tmp_path / "no-data.wav"
    no_data.write_bytes(b"RIFF\x10\x00\x00\x00WAVEfmt \x00\x00\x00\x00")
    assert reason_of(no_data) == "unreadable"
    assert reason_of(text / "below-a-file.wav") == "unreadable"


def test_a_missing_file_names_what_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="same folder") as caught:
        inspect(tmp_path / "none.wav")
    assert caught.value.details == {"reason": "file-missing"}


def test_chunks_before_the_data_do_not_matter(wav: Path) -> None:
    raw = write(wav, tone(1, 1000)).read_bytes()
    extra = b"LIST" + (7).to_bytes(4, "little") + b"INFOabc" + b"\0"
    wav.write_bytes(raw[:4] + (len(raw) - 8 + len(extra)).to_bytes(4, "little") + raw[8:12] + extra + raw[12:])
    assert inspect(wav).duration_s == 1.0


async def test_a_growing_file_is_inspected_once_it_is_closed(wav: Path, inspector: MediaInspector) -> None:
    finished = write(wav, tone(3, 1000)).read_bytes()
    unfinish(write(wav, np.zeros(0, np.int16)))
    waiting = asyncio.create_task(inspector.inspect_when_final(wav, 60))
    with wav.open("r+b") as file:
        for end in (1000, 20_000, len(finished)):
            file.seek(0, 2)
            file.write(finished[file.tell() : end])
            file.flush()
            await asyncio.sleep(0.05)
            assert not waiting.done()
        # In Asterisk's order, with a moment between the two.
        for at in (4, 40):
            file.seek(at)
            file.write(finished[at : at + 4])
            file.flush()
            await asyncio.sleep(0.05)
    report = await waiting
    assert report.duration_s == 3.0
    assert report.sha256 == hashlib.sha256(finished).hexdigest()


async def test_a_file_that_stays_open_is_given_up(wav: Path, inspector: MediaInspector) -> None:
    unfinish(write(wav, tone(1, 1000)))
    with pytest.raises(MediaError) as caught:
        await inspector.inspect_when_final(wav, 0.05)
    assert caught.value.details["reason"] == "header-unfinished"


async def test_a_file_that_never_comes_is_given_up(wav: Path, inspector: MediaInspector) -> None:
    with pytest.raises(MediaError) as caught:
        await inspector.inspect_when_final(wav, 0.05)
    assert caught.value.details["reason"] == "file-missing"
    assert not await inspector.wait_for_file(wav, 0)


async def test_a_file_that_comes_late_is_seen(wav: Path, inspector: MediaInspector) -> None:
    waiting = asyncio.create_task(inspector.wait_for_file(wav, 60))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    write(wav, tone(1, 1000))
    assert await waiting


async def test_what_cannot_become_a_recording_is_not_waited_for(tmp_path: Path, inspector: MediaInspector) -> None:
    with pytest.raises(MediaError) as caught:
        await inspector.wait_for_file(tmp_path, 3600)
    assert caught.value.details["reason"] == "unreadable"


async def test_many_at_once_share_few_threads_and_the_loop_stays_free(wav: Path) -> None:
    write(wav, tone(60, 1000))
    inspector = MediaInspector(workers=2)
    reports = await asyncio.gather(*(inspector.inspect_when_final(wav, 60) for _ in range(20)))
    assert len({report.sha256 for report in reports}) == 1
    assert sum(thread.name.startswith("media") for thread in threading.enumerate()) <= 2
    await inspector.close()
    assert not any(thread.name.startswith("media") for thread in threading.enumerate())
