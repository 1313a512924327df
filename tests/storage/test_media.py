"""Looking into WAVs that the standard library wrote."""

import asyncio
import hashlib
import math
import threading
import wave
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.decisions import TRY_AGAIN, Wav
from bridge.core.errors import MediaError
from bridge.storage import levels, media, repair, workers
from bridge.storage.levels import inspect
from bridge.storage.media import Inspection, MediaInspector
from bridge.storage.repair import Look
from tests.network import tones
from tests.storage.crashed import HEADER, names, remount, tiny_disk, unclosed

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
    assert np.array_equal(drawn(report.peaks, 1), np.tile(np.array([-64, 64], np.int8), (800, 1, 1)))


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
    assert stretches.shape == (800, 2, 2)
    assert np.array_equal(stretches[:400, 1], np.zeros((400, 2)))
    assert np.array_equal(stretches[400:, 1], np.full((400, 2), -16))
    assert np.array_equal(stretches[:, 0], np.tile([-32, 32], (800, 1)))


@pytest.mark.parametrize(
    ("seconds", "stretches"), [(1, 100), (7.99, 799), (10, 800), (80, 800), (81, 810), (450, 4000)]
)
def test_a_short_file_is_drawn_finer_and_a_long_one_in_4000_stretches(
    wav: Path, seconds: float, stretches: int
) -> None:
    assert len(inspect(write(wav, tone(seconds, 100))).peaks) == 2 * stretches


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767)), min_size=1, max_size=120),
    st.sampled_from([100, 8000]),
)
def test_block_borders_show_nowhere(pairs: list[tuple[int, int]], rate: int) -> None:
    samples = np.array(pairs, np.int16).T
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "_BLOCK_SAMPLES", 14)
        report = inspect(write(Path(folder) / "a.wav", *samples, rate=rate))
    wide = samples.astype(np.float64)
    assert report.duration_s == len(pairs) / rate
    assert report.peak == tuple(np.abs(wide).max(axis=1) / 32768)
    assert report.rms == pytest.approx(tuple(np.sqrt((wide**2).mean(axis=1)) / 32768))
    stretches = drawn(report.peaks, 2)
    count = min(math.ceil(len(pairs) * 100 / rate), len(pairs))
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
    assert reason_of(unfinish(write(wav, tone(1, 1000)), riff=riff)) == "still-written"


def test_an_open_file_without_samples_is_unfinished(wav: Path) -> None:
    assert reason_of(unfinish(write(wav, np.zeros(0, np.int16)))) == "still-written"
    wav.write_bytes(b"")
    assert reason_of(wav) == "empty"


def test_what_is_no_wav_is_unreadable(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_bytes(b"no audio at all" * 100)
    assert reason_of(text) == "unreadable"
    assert reason_of(tmp_path) == "unreadable"
    no_data = tmp_path / "no-data.wav"
    no_data.write_bytes(b"RIFF\x10\x00\x00\x00WAVEfmt \x00\x00\x00\x00")
    assert reason_of(no_data) == "empty"
    no_format = tmp_path / "no-format.wav"
    no_format.write_bytes(b"RIFF\x0c\x00\x00\x00WAVEdata\x00\x00\x00\x00")
    assert reason_of(no_format) == "unreadable"
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


MONO = Wav("a.wav")
WIDE = Wav("a.wav", rate_hz=16000)
STEREO = Wav("a.wav", stereo=True, leg_is_left=True)


@pytest.fixture
async def hasty() -> AsyncIterator[MediaInspector]:
    """One that takes a file for left by its writer soon."""
    one = MediaInspector(still_s=0.1)
    yield one
    await one.close()


async def inspected(
    inspector: MediaInspector, folder: Path, wav: Wav = MONO, deadline_s: float = 60, *, abandoned: bool = False
) -> Inspection:
    return await inspector.inspect_section(wav, lambda name: folder / name, deadline_s, abandoned=abandoned)


async def why(coroutine: Coroutine[object, object, object]) -> object:
    """The reason with which it fails."""
    with pytest.raises(MediaError) as caught:
        await coroutine
    return caught.value.details["reason"]


async def test_a_growing_file_is_inspected_once_it_is_closed(wav: Path, inspector: MediaInspector) -> None:
    finished = write(wav, tone(3, 1000)).read_bytes()
    unfinish(write(wav, np.zeros(0, np.int16)))
    waiting = asyncio.create_task(inspected(inspector, wav.parent))
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
    inspection = await waiting
    assert inspection.report.duration_s == 3.0
    assert inspection.report.sha256 == hashlib.sha256(finished).hexdigest()
    assert inspection.repaired == ()


@pytest.mark.parametrize("wav", [MONO, WIDE])
async def test_a_file_that_nobody_closes_is_repaired(tmp_path: Path, hasty: MediaInspector, wav: Wav) -> None:
    unclosed(tmp_path / wav.mixed, tone(1, 1000, wav.rate_hz).tobytes(), wav.rate_hz)
    with structlog.testing.capture_logs() as logs:
        inspection = await inspected(hasty, tmp_path, wav, 0.05)
    assert (inspection.report.duration_s, inspection.report.sample_rate_hz) == (1.0, wav.rate_hz)
    assert (inspection.repaired, inspection.whole) == ((wav.mixed,), True)
    assert names(tmp_path) == {"a.wav"}
    assert [(one["event"], one["file"], one["bytes"], one["seconds"]) for one in logs] == [
        ("header-repaired", wav.mixed, 2 * wav.rate_hz, 1.0)
    ]


async def test_an_abandoned_file_is_repaired_at_once(wav: Path) -> None:
    unclosed(wav, tone(1, 1000).tobytes())
    inspector = MediaInspector(still_s=3600)
    assert (await inspected(inspector, wav.parent, deadline_s=3600, abandoned=True)).repaired == ("a.wav",)
    missing = inspected(inspector, wav.parent, Wav("b.wav"), 3600, abandoned=True)
    assert await why(missing) == "file-missing"
    await inspector.close()


async def test_a_file_that_is_written_though_it_seemed_abandoned_is_waited_for(
    wav: Path, hasty: MediaInspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    unclosed(wav, tone(1, 1000).tobytes())
    real = repair.repair

    def grows_once(path: Path) -> repair.Repaired | None:
        monkeypatch.setattr(repair, "repair", real)
        with path.open("ab") as file:
            file.write(tone(1, 1000).tobytes())
        raise MediaError("it changes", reason="still-written")

    monkeypatch.setattr(repair, "repair", grows_once)
    assert (await inspected(hasty, wav.parent, abandoned=True)).report.duration_s == 2.0


async def test_a_file_that_never_stops_growing_is_given_up(wav: Path) -> None:
    unclosed(wav, b"")
    inspector = MediaInspector(still_s=60, growing_s=0.2)

    async def write_on() -> None:
        with wav.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(2))
                await asyncio.sleep(0.01)

    writer = asyncio.create_task(write_on())
    assert await why(inspected(inspector, wav.parent, deadline_s=0.05)) == "still-written"
    writer.cancel()
    await inspector.close()
    assert not repair.look(wav).final


async def test_stereo_that_nobody_closed_is_joined_as_far_as_each_side_goes(
    tmp_path: Path, hasty: MediaInspector
) -> None:
    unclosed(tmp_path / "a.wav", tones.hum("alice", 1.0).tobytes())
    unclosed(tmp_path / "a_r.wav", tones.hum("alice", 3.0).tobytes())
    unclosed(tmp_path / "a_t.wav", tones.hum("bob", 2.0).tobytes())
    inspection = await inspected(hasty, tmp_path, STEREO, 0.05)
    assert inspection.repaired == ("a.wav", "a_r.wav", "a_t.wav")
    assert (inspection.whole, inspection.report.duration_s, inspection.report.channels) == (True, 3.0, 2)
    path = tmp_path / "a.wav"
    assert [tones.seconds(path, channel=side) for side in (0, 1)] == [{"alice": 3.0}, {"bob": 2.0}]
    assert names(tmp_path) == {"a.wav"}


@pytest.mark.parametrize(
    ("mixed_s", "channels", "left"), [(2.0, 1, {"a.wav", "a_r.wav", "a_t.wav"}), (0.5, 2, {"a.wav"})]
)
async def test_where_a_side_has_no_audio_what_tells_more_is_kept(
    tmp_path: Path, inspector: MediaInspector, mixed_s: float, channels: int, left: set[str]
) -> None:
    unclosed(tmp_path / "a.wav", tones.hum("alice", mixed_s).tobytes())
    unclosed(tmp_path / "a_r.wav", tones.hum("alice", 2.0).tobytes())
    (tmp_path / "a_t.wav").write_bytes(HEADER[8000][:20])
    inspection = await inspected(inspector, tmp_path, STEREO, abandoned=True)
    assert (inspection.whole, inspection.report.channels) == (False, channels)
    assert tones.seconds(tmp_path / "a.wav", channel=0) == {"alice": 2.0}
    assert names(tmp_path) == left


@pytest.mark.parametrize("wav", [MONO, WIDE, STEREO])
async def test_files_that_end_before_their_audio_are_empty(tmp_path: Path, inspector: MediaInspector, wav: Wav) -> None:
    (tmp_path / wav.mixed).write_bytes(HEADER[8000][:43])
    if wav.stereo:
        (tmp_path / wav.receive).write_bytes(b"")
    assert await why(inspected(inspector, tmp_path, wav, abandoned=True)) == "empty"


async def test_with_no_room_stereo_keeps_its_parts_and_is_joined_when_there_is(
    tmp_path: Path, inspector: MediaInspector
) -> None:
    with tiny_disk(tmp_path / "disk", 160) as disk:
        for name, who in (("a.wav", "alice"), ("a_r.wav", "alice"), ("a_t.wav", "bob")):
            unclosed(disk / name, tones.hum(who, 3.0).tobytes())
        assert await why(inspected(inspector, disk, STEREO, abandoned=True)) == "disk-full"
        assert names(disk) == {"a.wav", "a_r.wav", "a_t.wav"}
        assert [tones.who(disk / name) for name in ("a_r.wav", "a_t.wav")] == [{"alice"}, {"bob"}]
        remount(disk, "size=1024k")
        inspection = await inspected(inspector, disk, STEREO, abandoned=True)
        assert inspection.repaired == ("a.wav", "a_r.wav", "a_t.wav")
        assert inspection.report.channels == 2
        assert (await inspected(inspector, disk, STEREO)).repaired == ()


async def test_what_a_killed_try_left_beside_the_files_goes(tmp_path: Path, inspector: MediaInspector) -> None:
    tones.write_wav(tmp_path / "a.wav", tones.hum("alice", 1.0))
    for name in (".a.wav.repairing", ".a.wav.joining", ".a_t.wav.repairing", ".b.wav.joining"):
        (tmp_path / name).write_bytes(b"half")
    await inspected(inspector, tmp_path, STEREO)
    assert names(tmp_path) == {"a.wav", ".b.wav.joining"}


async def test_a_file_that_never_comes_is_given_up(wav: Path, inspector: MediaInspector) -> None:
    assert await why(inspected(inspector, wav.parent, deadline_s=0.05)) == "file-missing"
    assert await why(inspected(inspector, wav.parent / "2026", deadline_s=0.05)) == "spool-missing"
    assert not await inspector.wait_for_file(wav, 0)


async def test_a_file_that_comes_late_is_seen(wav: Path, inspector: MediaInspector) -> None:
    waiting = asyncio.create_task(inspector.wait_for_file(wav, 60))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    write(wav, tone(1, 1000))
    assert await waiting


async def test_what_cannot_become_a_recording_is_not_waited_for(tmp_path: Path, inspector: MediaInspector) -> None:
    assert await why(inspector.wait_for_file(tmp_path, 3600)) == "unreadable"


async def test_a_disk_that_hangs_on_one_file_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, real = threading.Event(), repair.look

    def hangs(path: Path) -> Look:
        if path.name != "a.wav":
            answers.wait(60)
        return real(path)

    for name in "abc":
        tones.write_wav(tmp_path / f"{name}.wav", tones.hum("alice", 1.0))
    monkeypatch.setattr(repair, "look", hangs)
    monkeypatch.setattr(media, "_LOOK_WITHIN_S", 0.1)
    inspector = MediaInspector()
    hung = [inspected(inspector, tmp_path, Wav(name)) for name in ("b.wav", "c.wav")]
    assert await asyncio.gather(*map(why, hung)) == ["timeout", "timeout"]
    assert "timeout" in TRY_AGAIN
    monkeypatch.setattr(media, "_LOOK_WITHIN_S", 60)
    assert (await inspected(inspector, tmp_path)).report.duration_s == 1.0
    assert await why(inspected(inspector, tmp_path, Wav("b.wav"))) == "timeout"  # at once: the first still hangs
    answers.set()
    await inspector.close()
    assert (await inspected(inspector, tmp_path, Wav("b.wav"))).report.duration_s == 1.0
    await inspector.close()


async def test_a_repair_that_ends_after_its_time_is_told_by_the_next_try(
    wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unclosed(wav, tone(1, 1000).tobytes())
    answers, real = threading.Event(), repair.repair

    def late(path: Path) -> repair.Repaired | None:
        answers.wait(60)
        return real(path)

    monkeypatch.setattr(repair, "repair", late)
    inspector = MediaInspector(step_s=0.05)
    assert await why(inspected(inspector, wav.parent, abandoned=True)) == "timeout"
    answers.set()
    await inspector.close()
    inspector._step_s = 60
    inspection = await inspected(inspector, wav.parent, abandoned=True)
    assert (inspection.repaired, inspection.report.duration_s) == (("a.wav",), 1.0)
    await inspector.close()


async def test_a_dead_disk_costs_a_few_threads_and_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def hangs(_: Path) -> Look:
        answers.wait(60)
        raise OSError

    monkeypatch.setattr(repair, "look", hangs)
    monkeypatch.setattr(media, "_LOOK_WITHIN_S", 0.01)
    monkeypatch.setattr(workers, "_CLOSE_WITHIN_S", 0.01)
    inspector = MediaInspector()
    reasons = [await why(inspected(inspector, tmp_path, Wav(f"{number}.wav"))) for number in range(30)]
    assert set(reasons) == {"timeout"}
    assert sum(thread.name == "media" for thread in threading.enumerate()) == 16
    with structlog.testing.capture_logs() as logs:
        await inspector.close()
    assert [one["event"] for one in logs] == ["disk-hangs"]
    answers.set()
    monkeypatch.setattr(workers, "_CLOSE_WITHIN_S", 60)
    await inspector.close()


async def test_many_at_once_take_turns(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(wav, tone(60, 1000))
    inspector, real, now = MediaInspector(workers=2), repair.look, threading.Semaphore(2)
    crowded = []

    def counts(path: Path) -> Look:
        crowded.append(not now.acquire(blocking=False))
        try:
            return real(path)
        finally:
            now.release()

    monkeypatch.setattr(repair, "look", counts)
    found = await asyncio.gather(*(inspected(inspector, wav.parent) for _ in range(20)))
    assert len({inspection.report.sha256 for inspection in found}) == 1
    assert len(crowded) >= 20
    assert not any(crowded)
    await inspector.close()
