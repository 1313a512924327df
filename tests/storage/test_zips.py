"""Zips of recordings: whole by other programs' eyes, in flat memory, and nothing left of one that failed."""

import hashlib
import os
import resource
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.core.errors import MediaError
from bridge.core.exports import Copied
from bridge.storage import zips
from bridge.storage.zips import StoppedError, ZipWriter
from tests.storage.mounted import can_mount, tmpfs

AT = datetime(2026, 8, 1, 12, 30, 58, tzinfo=UTC)
DAY = "2026/08/01"


class Place:
    """A spool with files, and where the zip comes."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.exports = folder / "state" / "exports"
        (folder / "state").mkdir()
        (self.spool / DAY).mkdir(parents=True)

    def file(self, name: str, content: bytes) -> str:
        (self.spool / DAY / name).write_bytes(content)
        return f"{DAY}/{name}"

    def writer(self, stopped: Callable[[], bool] = lambda: False) -> ZipWriter:
        return ZipWriter(self.exports / "x.part", stopped)

    @property
    def path(self) -> Path:
        return self.exports / "x.zip"

    def left(self) -> list[str]:
        return sorted(one.name for one in self.exports.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


CONTENTS = {
    "small.wav": b"RIFF" * 25,
    "empty.wav": b"",
    "chunk.wav": os.urandom(256 * 1024),
    "large.wav": os.urandom(700_001),
}


def test_other_programs_read_what_was_copied(place: Place) -> None:
    with place.writer() as writer:
        for name, content in CONTENTS.items():
            copied = writer.copy(place.spool, place.file(name, content), f"7/ü-{name}", AT)
            assert copied == Copied(len(content), sha(content))
        assert writer.finish(place.path) == place.path.stat().st_size
    with zipfile.ZipFile(place.path) as made:
        assert made.testzip() is None
        assert {one.filename: made.read(one) for one in made.infolist()} == {
            f"7/ü-{name}": content for name, content in CONTENTS.items()
        }
        one = made.infolist()[0]
        assert (one.compress_type, one.date_time, one.external_attr >> 16 & 0o777) == (
            0,
            (2026, 8, 1, 12, 30, 58),
            0o600,
        )
    if shutil.which("unzip"):
        assert subprocess.run(["unzip", "-tqq", place.path], check=False).returncode == 0
    assert place.left() == ["x.zip"]


def test_nobody_else_may_read_it(place: Place) -> None:
    old = os.umask(0)
    try:
        with place.writer() as writer:
            assert stat.S_IMODE((place.exports / "x.part").stat().st_mode) == 0o600
            writer.finish(place.path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.exports.stat().st_mode) == 0o700


def test_what_cannot_be_read_is_none_of_it(place: Place, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"of somebody else")
    (place.spool / DAY / "link.wav").symlink_to(secret)
    os.mkfifo(place.spool / DAY / "fifo.wav")
    (place.spool / DAY / "folder.wav").mkdir()
    whole = place.file("a.wav", b"whole")
    with place.writer() as writer:
        for name in ("link", "fifo", "folder", "none"):
            assert writer.copy(place.spool, f"{DAY}/{name}.wav", f"{name}.wav", AT) is None
        assert writer.copy(place.spool, "../secret", "secret", AT) is None
        assert writer.copy(place.spool, whole, "a.wav", AT) is not None
        writer.finish(place.path)
    with zipfile.ZipFile(place.path) as made:
        assert made.namelist() == ["a.wav"]


class Torn:
    """A file whose disk fails after some chunks."""

    def __init__(self, path: Path, chunks: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._chunks = chunks

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int) -> bytes:
        if not self._chunks:
            raise OSError(5, "Input/output error")
        self._chunks -= 1
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_of_a_file_that_breaks_off_nothing_is_in_it(place: Place, chunks: int) -> None:
    large = place.spool / place.file("large.wav", CONTENTS["large.wav"])
    torn = Torn(large, chunks)
    with place.writer() as writer:
        writer.copy(place.spool, place.file("a.wav", b"first"), "a.wav", AT)
        assert writer.add(torn, "torn.wav", AT) is None  # type: ignore[arg-type]  # what is asked of a file here
        writer.copy(place.spool, place.file("b.wav", b"second"), "b.wav", AT)
        writer.finish(place.path)
    torn.close()
    with zipfile.ZipFile(place.path) as made:
        assert {name: made.read(name) for name in made.namelist()} == {"a.wav": b"first", "b.wav": b"second"}
    assert place.path.stat().st_size < 1000


def test_what_is_not_wanted_any_more_ends_at_its_next_chunk(place: Place) -> None:
    asked = iter([False, False, True])
    with place.writer(lambda: next(asked)) as writer, pytest.raises(StoppedError):
        writer.copy(place.spool, place.file("large.wav", CONTENTS["large.wav"]), "large.wav", AT)
    assert place.left() == []


def test_more_files_and_bytes_than_a_plain_zip_can_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 32 bits were a few."""
    monkeypatch.setattr(zips, "_BIG", 1000)
    with place.writer() as writer:
        for number in range(20):
            assert writer.copy(place.spool, place.file("a.wav", bytes([number]) * 90), f"{number}", AT) is not None
        assert writer.finish(place.path)
    content = place.path.read_bytes()
    assert b"PK\6\6" in content
    # Read as if 1000 said what 0xFFFFFFFF says.
    found = subprocess.run(
        [sys.executable, "-c", _READ_SMALL, str(place.path)], check=True, capture_output=True, text=True
    )
    assert found.stdout.split() == [str(number) for number in range(20)]


_READ_SMALL = """
import struct, sys
content = open(sys.argv[1], "rb").read()
end = content.rindex(b"PK\\6\\6")
count, length, begin = struct.unpack("<QQQ", content[end + 32 : end + 56])
at = begin
for number in range(count):
    assert content[at : at + 4] == b"PK\\1\\2"
    size, = struct.unpack("<I", content[at + 24 : at + 28])
    names, extras = struct.unpack("<2H", content[at + 28 : at + 32])
    start, = struct.unpack("<I", content[at + 42 : at + 46])
    if start == 1000:
        kind, length_, start = struct.unpack("<2HQ", content[at + 46 + names : at + 46 + names + extras])
        assert (kind, length_) == (1, 8)
    name = content[at + 46 : at + 46 + names]
    assert content[start : start + 4] == b"PK\\3\\4"
    assert content[start + 30 : start + 30 + len(name)] == name
    assert content[start + 30 + len(name) :][:size] == bytes([number]) * 90
    print(name.decode())
    at += 46 + names + extras
assert at == end
"""


def test_more_files_than_16_bits_count(place: Place) -> None:
    one = place.file("a.wav", b"")
    with place.writer() as writer:
        for number in range(65_536):
            writer.copy(place.spool, one, f"{number}", AT)
        writer.finish(place.path)
    with zipfile.ZipFile(place.path) as made:
        assert len(made.namelist()) == 65_536


def test_a_file_larger_than_a_plain_zip_can_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 32 bits were a few, for us and for the one who reads."""
    monkeypatch.setattr(zips, "_BIG", 1000)
    contents = {"large.wav": CONTENTS["large.wav"], "small.wav": b"RIFF" * 25}
    with place.writer() as writer:
        for name, content in contents.items():
            assert writer.copy(place.spool, place.file(name, content), name, AT) is not None
        writer.finish(place.path)
    for plain in (b"PK\1\2", b"PK\3\4"):
        _say_wide(place.path, plain)
    with zipfile.ZipFile(place.path) as made:
        assert [one.file_size for one in made.infolist()] == [700_001, 100]
        assert {name: made.read(name) for name in made.namelist()} == contents


def _say_wide(path: Path, head: bytes) -> None:
    """Where a head says 1000, let it say what stands for a size of 64 bits."""
    content = path.read_bytes().replace(struct.pack("<2I", 1000, 1000), b"\xff" * 8)
    at = content.find(head)
    while at >= 0:
        offset = slice(at + 42, at + 46)
        if head == b"PK\1\2" and content[offset] == struct.pack("<I", 1000):
            content = content[: at + 42] + b"\xff" * 4 + content[at + 46 :]
        at = content.find(head, at + 1)
    end = content.rindex(b"PK\5\6")
    content = content[: end + 12] + content[end + 12 :].replace(struct.pack("<I", 1000), b"\xff" * 4)
    path.write_bytes(content)


_GROWTH = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from bridge.storage.zips import ZipWriter
spool, out, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
at = datetime(2026, 8, 1, tzinfo=UTC)
with ZipWriter(out / "x.part") as writer:
    for number in range(count):
        assert writer.copy(spool, sys.argv[4], f"{number}/2026-08-01T12_00_00UTC-{number}.wav", at)
    writer.finish(out / "x.zip")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_stays_flat_whatever_the_count(place: Place) -> None:
    name = place.file("a.wav", os.urandom(20_000))

    def peak_kib(count: int) -> int:
        words = [sys.executable, "-c", _GROWTH, str(place.spool), str(place.exports), str(count), name]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    assert peak_kib(20_000) - peak_kib(100) < 2048


def test_a_disk_that_is_full_is_said_and_nothing_is_left(place: Place) -> None:
    if not can_mount():
        pytest.skip("it mounts a small disk")
    place.exports.mkdir()
    with tmpfs(place.exports, 1024 * 1024):
        name = place.file("large.wav", CONTENTS["large.wav"])
        with place.writer() as writer:
            assert writer.copy(place.spool, name, "1", AT) is not None
            with pytest.raises(MediaError) as raised:
                writer.copy(place.spool, name, "2", AT)
        assert raised.value.details["reason"] == "no-space"
        assert place.left() == []


def test_a_folder_that_cannot_be_written_is_said(place: Place) -> None:
    place.exports.parent.rmdir()
    with pytest.raises(MediaError) as raised:
        place.writer()
    assert raised.value.details["reason"] == "disk-error"


def test_a_limit_on_files_is_no_room(place: Place) -> None:
    """In a process of its own: what is written next is refused there, too."""
    name = place.file("large.wav", CONTENTS["large.wav"])
    code = (
        "import resource, signal, sys\nfrom datetime import UTC, datetime\nfrom pathlib import Path\n"
        "from bridge.core.errors import MediaError\nfrom bridge.storage.zips import ZipWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try:\n    with ZipWriter(Path(sys.argv[2]) / 'x.part') as writer:\n"
        "        writer.copy(Path(sys.argv[1]), sys.argv[3], 'a', datetime.now(UTC))\n"
        "except MediaError as error:\n    print(error.details['reason'])\n"
    )
    words = [sys.executable, "-c", code, str(place.spool), str(place.exports), name]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == "no-space\n"
    assert place.left() == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
