"""What the hands report when the spool is not as it should be."""

import asyncio
import threading
from pathlib import Path

import structlog

from bridge.asterisk.connection import AmiConnection
from bridge.core.decisions import FileWatched, MixMonitorRefused, StartMixMonitor, WatchFile, Wav
from bridge.core.ids import RecordId, RuleId, SectionKey, Uniqueid
from bridge.daemon import utc_now
from bridge.hands import Hands
from bridge.storage.media import MediaInspector
from bridge.storage.spool import Spool

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
