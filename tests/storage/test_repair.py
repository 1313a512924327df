"""WAVs that nobody closed: their headers are finished, their audio stays."""

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.core.decisions import TRY_AGAIN, Wav
from bridge.core.errors import MediaError
from bridge.storage.disk_errors import media_error
from bridge.storage.levels import inspect
from bridge.storage.media import MediaInspector
from bridge.storage.repair import look, repair
from tests.network import tones
from tests.network.network import Network
from tests.storage.crashed import HEADER, names, remount, tiny_disk, unclosed

AUDIO = tones.hum("alice", 1.0).tobytes()


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return tmp_path / "a.wav"


def audio_of(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())


def reason_of(path: Path) -> object:
    with pytest.raises(MediaError) as caught:
        repair(path)
    return caught.value.details["reason"]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([8000, 16000]), st.binary(max_size=200), st.integers(0, 244))
@example(8000, b"", 44)
@example(8000, b"abc", 45)
@example(16000, b"abcd", 43)
def test_wherever_a_file_was_cut_the_audio_that_was_there_is_there(rate: int, audio: bytes, cut: int) -> None:
    left = (HEADER[rate] + audio)[:cut]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(left)
        if len(left) < 44:
            assert reason_of(path) == "empty"
            assert path.read_bytes() == left
            return
        done = repair(path)
        there = left[44 : 44 + (len(left) - 44) // 2 * 2]
        assert audio_of(path) == there
        assert done is not None
        assert (done.audio_bytes, done.audio_s) == (len(there), len(there) / 2 / rate)
        assert inspect(path).duration_s == len(there) / 2 / rate
        assert names(Path(folder)) == {"a.wav"}
        assert repair(path) is None


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0, 0),
        (36 + len(AUDIO), 0),  # killed while it closed the file
        (36 + 2 * len(AUDIO), 2 * len(AUDIO)),  # the disk lost what was written last
        (36, 0),
    ],
)
def test_sizes_that_do_not_fit_the_file_are_set_anew(wav: Path, riff: int, data: int) -> None:
    unclosed(wav, AUDIO)
    raw = bytearray(wav.read_bytes())
    raw[4:8], raw[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    wav.write_bytes(raw)
    assert repair(wav) is not None
    tones.write_wav(wav.with_name("closed.wav"), tones.hum("alice", 1.0))
    assert wav.read_bytes() == wav.with_name("closed.wav").read_bytes()


def test_what_is_closed_or_no_wav_is_not_touched(wav: Path) -> None:
    tones.write_wav(wav, tones.hum("alice", 1.0))
    raw = wav.read_bytes()
    extra = b"LIST\x04\x00\x00\x00INFO"
    for whole in (
        raw,
        raw[:4] + (len(raw) - 8 + len(extra)).to_bytes(4, "little") + raw[8:] + extra,
        b"no audio at all",
        b"RIFF\x10\0\0\0AVI anything",
    ):
        wav.write_bytes(whole)
        before = wav.stat()
        assert repair(wav) is None
        assert wav.read_bytes() == whole
        assert wav.stat().st_ino == before.st_ino


@pytest.mark.parametrize(("name", "rate"), [("a.wav", 8000), ("a.wav16", 16000), ("a_r.wav", 8000)])
@pytest.mark.parametrize("sizes", [True, False])
def test_a_file_whose_header_had_no_room_gets_one(tmp_path: Path, name: str, rate: int, sizes: bool) -> None:
    """The disk was full when Asterisk wrote it, and had room afterwards; closing it, Asterisk wrote the sizes alone."""
    path, header = tmp_path / name, bytearray(44)
    if sizes:
        header[4:8] = (36 + len(AUDIO)).to_bytes(4, "little")
        header[40:44] = len(AUDIO).to_bytes(4, "little")
    path.write_bytes(bytes(header) + AUDIO)
    assert repair(path) is not None
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, 1, 2)
    assert audio_of(path) == AUDIO
    assert repair(path) is None


def test_the_copy_has_the_mode_and_the_owner_of_the_file(wav: Path) -> None:
    unclosed(wav, AUDIO).chmod(0o640)
    if os.geteuid() == 0:
        os.chown(wav, 4242, 4343)
    before = wav.stat()
    repair(wav)
    after = wav.stat()
    assert after.st_ino != before.st_ino
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_a_file_of_asterisks_is_repaired_by_one_in_its_group() -> None:
    asterisk, group, ours = 4242, 4343, 4444
    with TemporaryDirectory() as folder:
        day = Path(folder)
        os.chown(day, asterisk, group)
        day.chmod(0o2770)
        wav = unclosed(day / "a.wav", AUDIO)
        os.chown(wav, asterisk, group)
        wav.chmod(0o644)
        groups = os.getgroups()
        os.setgroups([group])
        os.setegid(ours)
        os.seteuid(ours)
        try:
            with pytest.raises(PermissionError):
                wav.open("r+b")
            assert repair(wav) is not None
            os.seteuid(0)
            day.chmod(0o2750)
            unclosed(wav, AUDIO)
            os.seteuid(ours)
            assert reason_of(wav) == "no-access"
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
        assert (wav.stat().st_uid, wav.stat().st_gid, wav.stat().st_mode & 0o777) == (ours, group, 0o644)
        assert names(day) == {"a.wav"}


_KILLED = """
import os, signal, sys
from pathlib import Path
from bridge.storage.repair import repair
setattr(os, sys.argv[2], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
repair(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("step", ["fchmod", "fsync", "replace"])
def test_killed_in_the_middle_it_leaves_the_file_and_is_done_again(wav: Path, step: str) -> None:
    before = unclosed(wav, AUDIO).read_bytes()
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(wav), step], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert wav.read_bytes() == before
    assert names(wav.parent) == {"a.wav", ".a.wav.repairing"}
    assert repair(wav) is not None
    assert audio_of(wav) == AUDIO
    assert names(wav.parent) == {"a.wav"}


def test_a_file_that_changes_meanwhile_is_left_to_its_writer(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unclosed(wav, AUDIO)
    fchmod = os.fchmod

    def writes_on(descriptor: int, mode: int) -> None:
        with wav.open("ab") as file:
            file.write(AUDIO)
        fchmod(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", writes_on)
    assert reason_of(wav) == "still-written"
    assert wav.read_bytes() == HEADER[8000] + 2 * AUDIO
    assert names(wav.parent) == {"a.wav"}


def test_with_no_room_for_a_copy_the_header_is_written_into_the_file(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", 64) as disk:
        path = unclosed(disk / "a.wav", (4 * AUDIO)[:45_001])
        number = path.stat().st_ino
        assert repair(path) is not None
        assert audio_of(path) == (4 * AUDIO)[:45_000]
        assert path.stat().st_ino == number
        assert names(disk) == {"a.wav"}


def test_with_no_room_and_a_file_that_cannot_be_written_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with tiny_disk(tmp_path / "disk", 64) as disk:
        path = unclosed(disk / "a.wav", 3 * AUDIO)
        monkeypatch.setattr(os, "pwrite", refuses)
        assert reason_of(path) == "disk-full"
        assert path.read_bytes() == HEADER[8000] + 3 * AUDIO
        assert names(disk) == {"a.wav"}


def test_on_a_disk_that_became_read_only_nothing_is_repaired_but_what_is_closed_is_read(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", 256) as disk:
        path = unclosed(disk / "a.wav", AUDIO)
        tones.write_wav(disk / "b.wav", tones.hum("bob", 1.0))
        remount(disk, "ro")
        assert reason_of(path) == "read-only"
        assert look(path).size == 44 + len(AUDIO)
        assert inspect(disk / "b.wav").duration_s == 1.0


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no-access"),
        (errno.EPERM, "no-access"),
        (errno.EIO, "disk-error"),
        (errno.ESTALE, "disk-error"),
        (errno.EMFILE, "disk-error"),
        (errno.ENOTCONN, "disk-error"),
    ],
)
def test_trouble_of_the_disk_is_worth_another_try(wav: Path, number: int, reason: str) -> None:
    error = media_error(wav, "read", OSError(number, os.strerror(number)))
    assert error.details["reason"] == reason
    assert reason in TRY_AGAIN
    assert os.strerror(number) in error.message


def test_a_missing_file_is_final_but_a_missing_disk_is_not(wav: Path) -> None:
    assert reason_of(wav) == "file-missing"
    assert "file-missing" not in TRY_AGAIN
    assert reason_of(wav.parent / "2026" / "a.wav") == "spool-missing"
    assert "spool-missing" in TRY_AGAIN


async def test_what_a_killed_asterisk_leaves_becomes_playable(asterisk_chroot: Path, tmp_path: Path) -> None:
    network = Network(work=tmp_path)
    network.launch(asterisk_chroot)
    try:
        await asyncio.to_thread(network.wait_ready)
        await network.connect()
        day = network.spool / "2026" / "08" / "01"
        wavs = {
            "mono": Wav("2026/08/01/mono.wav"),
            "wide": Wav("2026/08/01/wide.wav", rate_hz=16000),
            "both": Wav("2026/08/01/both.wav", stereo=True, leg_is_left=True),
        }
        call = await network.call("alice", "102")
        await call.answered()
        event = await network.wait_for_event(
            lambda e: e["Event"] == "BridgeEnter" and e["Channel"].startswith("PJSIP/alice")
        )
        for wav in wavs.values():
            parts = {"r": wav.receive, "t": wav.transmit} if wav.stereo else {}
            options = "".join(f"{name}({network.spool}/{path})" for name, path in parts.items())
            await network.pbx.action(
                "MixMonitor", Channel=event["Uniqueid"], File=f"{network.spool}/{wav.mixed}", Options=options
            )
        files = {"mono.wav", "wide.wav16", "both.wav", "both_r.wav", "both_t.wav"}
        async with asyncio.timeout(60):
            while {p.name for p in day.iterdir() if p.stat().st_size > 65_000} != files:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await asyncio.to_thread(network.asterisks[0].kill)
        left = {path.name: path.read_bytes() for path in day.iterdir()}
        await network.phones.close()
        await network.pbx.close()
    finally:
        await asyncio.to_thread(network.stop)
    assert all(raw[:44] in HEADER.values() for raw in left.values())

    inspector = MediaInspector()
    found = {
        name: await inspector.inspect_section(wav, lambda path: network.spool / path, 3600, abandoned=True)
        for name, wav in wavs.items()
    }
    await inspector.close()
    assert names(day) == {"mono.wav", "wide.wav", "both.wav"}
    assert found["mono"].report.duration_s == (len(left["mono.wav"]) - 44) / 16_000
    assert found["wide"].report.duration_s == (len(left["wide.wav16"]) - 44) / 32_000
    longer = max(len(left["both_r.wav"]), len(left["both_t.wav"]))
    assert found["both"].report.duration_s == (longer - 44) / 16_000
    assert audio_of(day / "mono.wav") == left["mono.wav"][44:]
    assert [found[name].repaired for name in ("mono", "wide", "both")] == [
        ("2026/08/01/mono.wav",),
        ("2026/08/01/wide.wav16",),
        ("2026/08/01/both.wav", "2026/08/01/both_r.wav", "2026/08/01/both_t.wav"),
    ]
    assert found["both"].whole
    assert [tones.who(day / f"{name}.wav") for name in ("mono", "wide")] == [{"alice", "bob"}] * 2
    assert [tones.who(day / "both.wav", channel=side) for side in (0, 1)] == [{"alice"}, {"bob"}]
