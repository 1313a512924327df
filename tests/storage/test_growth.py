"""Looking at files that grow as Asterisk lets them: a header without sizes, then steps of 32 KiB."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bridge.core.decisions import Growing, Grown, Wav
from bridge.core.errors import MediaError
from bridge.core.ids import RecordId, RuleId, SectionKey
from bridge.storage.growth import Looks, grown

STEP = 32 * 1024
HEADER = b"RIFF\0\0\0\0WAVE".ljust(44, b"\0")
LOUD = np.full(STEP // 2, -7, dtype="<i2").tobytes()
SILENT = bytes(STEP)
KEY = SectionKey(RecordId("1-1_1-2"), RuleId(1), 1)
MONO = Wav("2026/03/02/a_1_001.wav")
STEREO = Wav("2026/03/02/a_1_001.wav", stereo=True, rate_hz=16000)


class Growth:
    """A section's files, and what was seen of them."""

    def __init__(self, root: Path, wav: Wav) -> None:
        self.root, self.wav = root, wav
        self.seen = 0
        self.paths = {name: root / getattr(wav, name) for name in ("mixed", "receive", "transmit")}
        self.paths["mixed"].parent.mkdir(parents=True)
        for name in ("mixed", "receive", "transmit") if wav.stereo else ("mixed",):
            self.paths[name].write_bytes(HEADER)

    def step(self, mixed: bytes, receive: bytes = b"", transmit: bytes = b"") -> None:
        for name, what in (("mixed", mixed), ("receive", receive), ("transmit", transmit)):
            if what:
                with self.paths[name].open("ab") as file:
                    file.write(what)

    def look(self) -> Grown:
        found = grown(Growing(KEY, self.wav, self.seen), lambda relative: self.root / relative)
        self.seen = found.size_bytes or self.seen
        return found


def test_a_file_is_heard_by_what_is_new_in_it_alone(tmp_path: Path) -> None:
    file = Growth(tmp_path, MONO)
    assert file.look() == Grown(44, (False,))
    assert file.look() == Grown(44)
    file.step(LOUD)
    assert file.look() == Grown(44 + STEP, (True,))
    assert file.look() == Grown(44 + STEP)
    file.step(SILENT)
    file.step(SILENT)
    assert file.look() == Grown(44 + 3 * STEP, (False,))


def test_one_sample_that_is_not_silent_is_heard_wherever_it_is(tmp_path: Path) -> None:
    file = Growth(tmp_path, MONO)
    file.look()
    for at in (0, 4095, 4096, STEP - 1):
        file.step(SILENT[:at] + b"\1" + SILENT[at + 1 :])
        assert file.look().heard == (True,)
        file.step(SILENT)
        assert file.look().heard == (False,)


def test_each_side_of_a_stereo_section_is_heard_by_itself(tmp_path: Path) -> None:
    file = Growth(tmp_path, STEREO)
    file.look()
    assert file.wav.receive.endswith("_r.wav16")
    file.step(LOUD, LOUD, SILENT)
    assert file.look() == Grown(44 + STEP, (True, False))
    file.step(LOUD, SILENT, LOUD)
    assert file.look() == Grown(44 + 2 * STEP, (False, True))


def test_a_side_that_is_a_step_behind_is_heard_by_its_own_end(tmp_path: Path) -> None:
    file = Growth(tmp_path, STEREO)
    file.step(LOUD, LOUD, LOUD)
    file.look()
    file.step(LOUD, LOUD)
    assert file.look().heard == (True, True)


@pytest.mark.parametrize("gone", ["mixed", "receive", "transmit"])
def test_a_section_with_a_file_that_is_gone_is_not_there(tmp_path: Path, gone: str) -> None:
    file = Growth(tmp_path, STEREO)
    assert file.look().size_bytes == 44
    file.paths[gone].unlink()
    assert file.look() == Grown(None)


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    file = Growth(tmp_path, MONO)
    file.paths["mixed"].parent.rename(tmp_path / "elsewhere")
    assert file.look() == Grown(None)


def test_a_file_that_was_cut_off_under_its_writer_has_no_beginning(tmp_path: Path) -> None:
    file = Growth(tmp_path, MONO)
    file.step(LOUD)
    file.look()
    with file.paths["mixed"].open("r+b") as writer:  # not to append: it writes on where it was
        writer.seek(0, 2)
        file.paths["mixed"].write_bytes(b"")
        assert file.look() == Grown(0)
        writer.write(LOUD)
    assert file.look() == Grown(44 + 2 * STEP, (True,), beheaded=True)


def test_of_a_long_stretch_only_the_end_is_read(tmp_path: Path) -> None:
    file = Growth(tmp_path, MONO)
    file.look()
    file.step(LOUD)
    for _ in range(8):
        file.step(SILENT)
    assert file.look().heard == (False,)


async def test_all_files_are_looked_at_with_one_call(tmp_path: Path) -> None:
    one, other = Growth(tmp_path / "one", MONO), Growth(tmp_path / "other", MONO)
    one.step(LOUD)
    keys = (KEY, SectionKey(KEY.record_id, RuleId(2), 1))
    roots = iter((one.root, other.root))
    found = await Looks(lambda relative: next(roots) / relative).look([Growing(key, MONO, 44) for key in keys], 30)
    assert found == {keys[0]: Grown(44 + STEP, (True,)), keys[1]: Grown(44)}


async def test_a_disk_that_hangs_is_not_asked_again_before_it_has_answered(tmp_path: Path) -> None:
    let_go, asked = threading.Event(), []

    def hanging(relative: str) -> Path:
        asked.append(relative)
        let_go.wait(60)
        return tmp_path / relative

    looks = Looks(hanging)
    files = [Growing(KEY, MONO, 44)]
    try:
        for _ in range(2):
            with pytest.raises(MediaError) as caught:
                await looks.look(files, 0.05)
            assert caught.value.details["reason"] == "timeout"
        assert asked == [MONO.mixed]
    finally:
        let_go.set()
    async with asyncio.timeout(30):
        while (found := await asked_again(looks, files)) is None:  # noqa: ASYNC110 - a thread has no event
            await asyncio.sleep(0.01)
    assert found == {KEY: Grown(None)}


async def asked_again(looks: Looks, files: list[Growing]) -> Mapping[SectionKey, Grown] | None:
    try:
        return await looks.look(files, 30)
    except MediaError:
        return None
