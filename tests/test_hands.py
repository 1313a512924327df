"""What the hands report when the spool or Asterisk is not as it should be."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.manager import Response
from bridge.core.decisions import (
    TRY_AGAIN,
    FileInspected,
    FilesMeasured,
    FilesNotMeasured,
    FileUnreadable,
    FileWatched,
    FindMixMonitor,
    Growing,
    Grown,
    InspectFile,
    MeasureFiles,
    MixMonitorFound,
    MixMonitorNotSought,
    MixMonitorProbed,
    MixMonitorRefused,
    MuteAnswered,
    MuteMixMonitor,
    MuteUnanswered,
    ProbeMixMonitor,
    StartMixMonitor,
    StopAnswered,
    StopMixMonitor,
    StopUnanswered,
    WatchFile,
    Wav,
)
from bridge.core.ids import RecordId, RuleId, SectionKey, Uniqueid
from bridge.daemon import utc_now
from bridge.hands import Hands
from bridge.storage.media import MediaInspector
from bridge.storage.spool import Spool
from tests.asterisk.fake_server import Action, FakeAsterisk, fake_asterisk
from tests.asterisk.harness import connected, running
from tests.network import tones
from tests.storage.crashed import unclosed

LEG = Uniqueid("1.1")
KEY = SectionKey(RecordId("1-1_1-2"), RuleId(1), 1)


async def test_a_wav_in_a_folder_that_we_may_not_look_into_is_reported_as_not_seen(tmp_path: Path) -> None:
    inspector = MediaInspector()
    try:
        connection = AmiConnection("127.0.0.1", 1, "bridge", "x")
        hands = Hands(connection, Spool(tmp_path, str(tmp_path)), inspector, utc_now)
        # Root may look into every folder; a name that no folder can hold fails for root, too.
        (tmp_path / "2026/03/02").mkdir(parents=True)
        wav = Wav("2026/03/02/" + "x" * 300 + ".wav", stereo=False)
        with structlog.testing.capture_logs() as logs:
            report = await hands.perform(WatchFile(KEY, wav))
    finally:
        await inspector.close()
    assert isinstance(report, FileWatched)
    assert not report.seen
    assert hands.file_unseen == KEY
    assert [(one["event"], "too long" in one["problem"]) for one in logs] == [("file-not-seen", True)]


async def test_a_disk_that_hangs_does_not_keep_mixmonitor_from_being_asked_for(tmp_path: Path) -> None:
    let_go = threading.Event()

    class Hanging(Spool):
        def prepare_day(self, path: str) -> Path:
            let_go.wait(60)
            return super().prepare_day(path)

    inspector = MediaInspector()
    try:
        connection = AmiConnection("127.0.0.1", 1, "bridge", "x")
        hands = Hands(connection, Hanging(tmp_path, str(tmp_path)), inspector, utc_now)
        wav = Wav("2026/03/02/1.wav")
        async with asyncio.timeout(30):
            report = await hands.perform(StartMixMonitor(KEY, Uniqueid("1.1"), wav))
    finally:
        let_go.set()
        await inspector.close()
    assert isinstance(report, MixMonitorRefused)  # by the connection that is not there
    assert report.code == "asterisk-unreachable"


@asynccontextmanager
async def hands_on(tmp_path: Path, **refusals: str) -> AsyncIterator[tuple[Hands, FakeAsterisk]]:
    """Hands on an Asterisk that refuses these actions with these words."""

    def refusing(words: str) -> Callable[[FakeAsterisk, Action], bytes]:
        return lambda fake, action: fake.no(action, words)

    inspector = MediaInspector()
    try:
        async with fake_asterisk() as fake, running(fake) as connection:
            await connected(connection)
            fake.answers = {name: refusing(words) for name, words in refusals.items()}
            yield Hands(connection, Spool(tmp_path, str(tmp_path)), inspector, utc_now), fake
    finally:
        await inspector.close()


@pytest.mark.parametrize("words", ["No such channel", "Could not stop monitoring channel"])
async def test_a_mixmonitor_that_is_gone_counts_as_stopped(tmp_path: Path, words: str) -> None:
    async with hands_on(tmp_path, StopMixMonitor=words) as (hands, _):
        report = await hands.perform(StopMixMonitor(KEY, LEG, "0x1"))
    assert isinstance(report, StopAnswered)
    assert not report.ran


async def test_a_stop_that_asterisk_does_not_allow_is_not_taken_for_one(tmp_path: Path) -> None:
    async with hands_on(tmp_path, StopMixMonitor="Permission denied") as (hands, _):
        report = await hands.perform(StopMixMonitor(KEY, LEG, "0x1"))
    assert isinstance(report, StopUnanswered)
    assert report.code == "asterisk-refused"


@pytest.mark.parametrize("muted", [True, False])
async def test_a_mute_is_reported_once_asterisk_has_confirmed_it(tmp_path: Path, muted: bool) -> None:
    async with hands_on(tmp_path) as (hands, fake):
        report = await hands.perform(MuteMixMonitor(KEY, LEG, "0x1", muted))
    assert isinstance(report, MuteAnswered)
    assert (report.key, report.muted) == (KEY, muted)
    assert fake.names()[-1] == "MixMonitorMute"


@pytest.mark.parametrize("words", ["No such channel", "Cannot set mute flag", "Permission denied"])
async def test_a_mute_that_is_refused_is_never_reported_as_done(tmp_path: Path, words: str) -> None:
    async with hands_on(tmp_path, MixMonitorMute=words) as (hands, _):
        report = await hands.perform(MuteMixMonitor(KEY, LEG, "0x1", muted=True))
    assert isinstance(report, MuteUnanswered)
    assert (report.key, report.muted, report.code) == (KEY, True, "asterisk-refused")


OURS = "/2026/03/02/1.wav"


@asynccontextmanager
async def hands_on_variables(tmp_path: Path, values: dict[str, str]) -> AsyncIterator[Hands]:
    """Hands on an Asterisk whose Getvar knows these values; the file of ours ends in OURS."""

    def getvar(fake: FakeAsterisk, action: Action) -> bytes:
        value = values.get(action.get("Variable"), "")
        words = {"gone": "No such channel", "denied": "Permission denied"}.get(value)
        if words is not None:
            return fake.no(action, words)
        return fake.yes(action, f"Value: {value.replace('OURS', f'{tmp_path}{OURS}')}")

    async with hands_on(tmp_path) as (hands, fake):
        fake.answers["Getvar"] = getvar
        yield hands


@pytest.mark.parametrize(
    ("file", "runs"), [("OURS", True), ("", False), ("gone", False), ("/another/file.wav", False), ("denied", True)]
)
async def test_a_probe_says_gone_only_where_asterisk_says_so(tmp_path: Path, file: str, runs: bool) -> None:
    async with hands_on_variables(tmp_path, {"MIXMONITOR(0x1,filename)": file}) as hands:
        report = await hands.perform(ProbeMixMonitor(KEY, LEG, Wav(OURS[1:]), "0x1"))
    assert isinstance(report, MixMonitorProbed)
    assert (report.key, report.runs) == (KEY, runs)


@pytest.mark.parametrize(
    ("known", "values", "found"),
    [
        (None, {"RECBRIDGE_MIXMONITOR_1": "0x7f", "MIXMONITOR(0x7f,filename)": "OURS"}, "0x7f"),
        (None, {"RECBRIDGE_MIXMONITOR_1": "0x7f", "MIXMONITOR(0x7f,filename)": "/before/it.wav"}, None),
        (None, {"RECBRIDGE_MIXMONITOR_1": "0x7f"}, None),
        (None, {"RECBRIDGE_MIXMONITOR_1": "what,a caller set)"}, None),
        (None, {}, None),
        (None, {"RECBRIDGE_MIXMONITOR_1": "gone"}, None),
        ("0x5", {"MIXMONITOR(0x5,filename)": "OURS", "RECBRIDGE_MIXMONITOR_1": "0x7f"}, "0x5"),
        ("0x5", {"RECBRIDGE_MIXMONITOR_1": "0x7f", "MIXMONITOR(0x7f,filename)": "OURS"}, None),
    ],
)
async def test_a_mixmonitor_is_found_by_the_file_that_it_writes(
    tmp_path: Path, known: str | None, values: dict[str, str], found: str | None
) -> None:
    async with hands_on_variables(tmp_path, values) as hands:
        report = await hands.perform(FindMixMonitor(KEY, LEG, Wav(OURS[1:]), known))
    assert isinstance(report, MixMonitorFound)
    assert (report.key, report.mixmonitor_id) == (KEY, found)


async def test_what_asterisk_will_not_say_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    async with hands_on_variables(tmp_path, {"RECBRIDGE_MIXMONITOR_1": "denied"}) as hands:
        report = await hands.perform(FindMixMonitor(KEY, LEG, Wav(OURS[1:]), None))
    assert isinstance(report, MixMonitorNotSought)
    assert (report.key, report.code) == (KEY, "asterisk-refused")


async def test_without_asterisk_a_mute_is_unanswered_and_what_ran_counts_as_running(tmp_path: Path) -> None:
    inspector = MediaInspector()
    try:
        hands = Hands(AmiConnection("127.0.0.1", 1, "bridge", "x"), Spool(tmp_path, "/spool"), inspector, utc_now)
        muted = await hands.perform(MuteMixMonitor(KEY, LEG, "0x1", muted=True))
        probed = await hands.perform(ProbeMixMonitor(KEY, LEG, Wav(OURS[1:]), "0x1"))
    finally:
        await inspector.close()
    assert isinstance(muted, MuteUnanswered)
    assert muted.code == "asterisk-unreachable"
    assert isinstance(probed, MixMonitorProbed)
    assert probed.runs


async def test_our_own_mistake_is_reported_as_the_worse_case(tmp_path: Path) -> None:
    class Mistaken(AmiConnection):
        async def action(self, *_arguments: object, **_named: object) -> Response:
            raise RuntimeError

    inspector = MediaInspector()
    try:
        hands = Hands(Mistaken("127.0.0.1", 1, "bridge", "x"), Spool(tmp_path, "/spool"), inspector, utc_now)
        muted = await hands.perform(MuteMixMonitor(KEY, LEG, "0x1", muted=False))
        probed = await hands.perform(ProbeMixMonitor(KEY, LEG, Wav(OURS[1:]), "0x1"))
    finally:
        await inspector.close()
    assert isinstance(muted, MuteUnanswered)
    assert (muted.muted, muted.code) == (False, "internal-error")
    assert isinstance(probed, MixMonitorProbed)
    assert probed.runs


@asynccontextmanager
async def hands_on_spool(spool: Path) -> AsyncIterator[Hands]:
    """Hands on a spool, without Asterisk."""
    inspector = MediaInspector()
    try:
        yield Hands(AmiConnection("127.0.0.1", 1, "bridge", "x"), Spool(spool, "/spool"), inspector, utc_now)
    finally:
        await inspector.close()


async def test_an_inspection_tells_what_it_found_and_repaired(tmp_path: Path) -> None:
    wav = Wav(OURS[1:], stereo=True, leg_is_left=True)
    (tmp_path / wav.path).parent.mkdir(parents=True)
    for name, length_s in ((wav.mixed, 2.0), (wav.receive, 1.0)):
        unclosed(tmp_path / name, tones.hum("alice", length_s).tobytes())
    async with hands_on_spool(tmp_path) as hands:
        with structlog.testing.capture_logs() as logs:
            report = await hands.perform(InspectFile(KEY, wav, abandoned=True))
    assert isinstance(report, FileInspected)
    assert (report.key, report.report.duration_s, report.repaired) == (KEY, 2.0, (wav.mixed, wav.receive))
    assert [one["event"] for one in logs] == ["header-repaired", "header-repaired", "side-missing"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("2.wav", b"", "file-missing"), ("1.wav", b"", "empty"), ("1.wav", b"no audio", "unreadable")],
)
async def test_an_inspection_that_fails_says_why(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / OURS[1:]
    path.parent.mkdir(parents=True)
    path.with_name(name).write_bytes(content)
    async with hands_on_spool(tmp_path) as hands:
        report = await hands.perform(InspectFile(KEY, Wav(OURS[1:]), abandoned=True))
    assert isinstance(report, FileUnreadable)
    assert (report.key, report.reason) == (KEY, reason)
    assert str(path) in report.message


async def test_a_spool_that_is_not_mounted_is_no_missing_file(tmp_path: Path) -> None:
    async with hands_on_spool(tmp_path / "gone") as hands:
        report = await hands.perform(InspectFile(KEY, Wav(OURS[1:]), abandoned=True))
    assert isinstance(report, FileUnreadable)
    assert report.reason == "spool-missing"
    assert report.reason in TRY_AGAIN


async def test_files_that_are_written_are_measured_and_whether_asterisk_is_there_is_told(tmp_path: Path) -> None:
    wav = Wav("2026/03/02/1.wav")
    path = tmp_path / wav.mixed
    path.parent.mkdir(parents=True)
    path.write_bytes(b"RIFF" + bytes(40) + b"\1\0")
    look = MeasureFiles((Growing(KEY, wav, 44),))
    async with hands_on(tmp_path) as (hands, _):
        report = await hands.perform(look)
    assert isinstance(report, FilesMeasured)
    assert (report.grown, report.connected) == ({KEY: Grown(46, (True,))}, True)
    path.unlink()
    report = await hands.perform(look)
    assert isinstance(report, FilesMeasured)
    assert (report.grown, report.connected) == ({KEY: Grown(None)}, False)


async def test_files_that_a_hanging_disk_does_not_tell_of_are_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.hands._MEASURED_WITHIN_S", 0.05)
    let_go = threading.Event()

    class Hanging(Spool):
        def local_path(self, relative: str) -> Path:
            let_go.wait(60)
            return super().local_path(relative)

    inspector = MediaInspector()
    try:
        hands = Hands(AmiConnection("127.0.0.1", 1, "bridge", "x"), Hanging(tmp_path, "/spool"), inspector, utc_now)
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                report = await hands.perform(MeasureFiles((Growing(KEY, Wav("2026/03/02/1.wav"), 44),)))
                assert isinstance(report, FilesNotMeasured)
    finally:
        let_go.set()
        await inspector.close()
    assert [one["event"] for one in logs] == ["files-not-measured"]
