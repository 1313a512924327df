from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from bridge.asterisk import mixmonitor
from bridge.asterisk.manager import Response
from bridge.asterisk.mixmonitor import MixMonitorId, Options
from bridge.asterisk.wire import Fields, RawMessage
from bridge.core.errors import AsteriskRefusedError, InvalidAmiValueError
from bridge.core.ids import RuleId, Uniqueid

LEG = Uniqueid("pbx1-1795235313.3")
PATH = "/var/spool/asterisk/recbridge/2026/11/21/1-2_1-3_1_001.wav"


class Asterisk:
    """Takes actions, and answers each with the same header; refuses MixMonitorMute with `refusal` if there is one."""

    def __init__(
        self, answer: bytes = b"MixMonitorID: 0x7f905c001a10", *, version: str = "22.10.1", refusal: str = ""
    ) -> None:
        self.answer = answer
        self.version = version
        self.refusal = refusal
        self.done: list[tuple[str, Mapping[str, object]]] = []

    async def action(
        self, name: str, fields: Fields, deadline_s: float | None = None, *, must_succeed: bool = True
    ) -> Response:
        assert deadline_s is not None
        at = datetime(2026, 1, 1, tzinfo=UTC)
        if name == "CoreSettings":
            raw = RawMessage(f"Response: Success\r\nAsteriskVersion: {self.version}".encode(), at)
            return Response(success=True, message="", raw=raw)
        self.done.append((name, fields))
        if name in ("MixMonitorMute", "Getvar") and self.refusal:
            if must_succeed:
                raise AsteriskRefusedError(self.refusal)
            return Response(success=False, message=self.refusal, raw=RawMessage(b"Response: Error", at))
        raw = RawMessage(b"Response: Success\r\n" + self.answer, at)
        return Response(success=True, message="", raw=raw)


async def test_starting_names_the_leg_by_its_uniqueid_and_gives_the_id() -> None:
    asterisk = Asterisk()
    assert await mixmonitor.start(asterisk, LEG, PATH, RuleId(7)) == "0x7f905c001a10"
    fields = {"Channel": LEG, "File": PATH, "Options": "i(RECBRIDGE_MIXMONITOR_7)"}
    assert asterisk.done == [("MixMonitor", fields)]


async def test_options_come_from_typed_arguments() -> None:
    asterisk = Asterisk()
    options = Options(receive="/s/r.wav", transmit="/s/t.wav", beep_every_s=15, append=True)
    await mixmonitor.start(asterisk, LEG, PATH, RuleId(0), options=options)
    [(_, fields)] = asterisk.done
    assert fields["Options"] == "i(RECBRIDGE_MIXMONITOR_0)aB(15)Sr(/s/r.wav)t(/s/t.wav)"


@pytest.mark.parametrize(
    "path", ["", "x.wav", "/s/a,b,touch.wav", "/s/a b.wav", "/s/$(x).wav", "/s/ü.wav", "/s/a\n", "/s/../etc/x.wav"]
)
async def test_a_file_name_that_could_reach_a_shell_or_leave_the_spool_is_never_sent(path: str) -> None:
    asterisk = Asterisk()
    for file, options in ((path, Options()), (PATH, Options(receive=path)), (PATH, Options(transmit=path))):
        with pytest.raises(InvalidAmiValueError):
            await mixmonitor.start(asterisk, LEG, file, RuleId(1), options=options)
    assert asterisk.done == []


async def test_a_start_without_an_id_in_the_answer_is_an_error() -> None:
    with pytest.raises(AsteriskRefusedError, match="MixMonitorID"):
        await mixmonitor.start(Asterisk(b"Message: fine"), LEG, PATH, RuleId(1))


async def test_stopping_always_names_the_one_that_is_meant() -> None:
    asterisk = Asterisk()
    await mixmonitor.stop(asterisk, LEG, MixMonitorId("0x1"))
    assert asterisk.done == [("StopMixMonitor", {"Channel": LEG, "MixMonitorID": "0x1"})]
    with pytest.raises(InvalidAmiValueError):
        await mixmonitor.stop(asterisk, LEG, MixMonitorId(""))
    assert len(asterisk.done) == 1


@pytest.mark.parametrize(("muted", "state"), [(True, "1"), (False, "0")])
async def test_muting_names_the_one_that_is_meant_and_both_directions(muted: bool, state: str) -> None:
    asterisk = Asterisk()
    await mixmonitor.mute(asterisk, LEG, MixMonitorId("0x1"), muted=muted)
    fields = {"Channel": LEG, "MixMonitorID": "0x1", "Direction": "both", "State": state}
    assert asterisk.done == [("MixMonitorMute", fields)]


async def test_without_an_id_nothing_is_muted_or_asked_after() -> None:
    asterisk = Asterisk()
    with pytest.raises(InvalidAmiValueError):
        await mixmonitor.mute(asterisk, LEG, MixMonitorId(""), muted=True)
    with pytest.raises(InvalidAmiValueError):
        await mixmonitor.runs(asterisk, LEG, PATH, MixMonitorId(""))
    with pytest.raises(InvalidAmiValueError):
        await mixmonitor.runs(asterisk, LEG, PATH, MixMonitorId("0x1,filename)"))
    assert asterisk.done == []


@pytest.mark.parametrize("version", ["16.28.0~dfsg-0+deb11u4", "18.17.1", "19.8.1", "20.2.0", "GIT-master-1a2b3c", ""])
async def test_an_asterisk_that_takes_no_notice_of_the_id_is_told_nothing(version: str) -> None:
    asterisk = Asterisk(version=version)
    with pytest.raises(AsteriskRefusedError, match="cannot mute one MixMonitor"):
        await mixmonitor.mute(asterisk, LEG, MixMonitorId("0x1"), muted=True)
    assert asterisk.done == []


@pytest.mark.parametrize("version", ["18.18.0", "18.26.4", "certified/20.7-cert3", "20.3.0", "21.0.0", "22.10.1+dfsg"])
async def test_an_asterisk_that_mutes_by_id_is_trusted(version: str) -> None:
    asterisk = Asterisk(version=version)
    await mixmonitor.mute(asterisk, LEG, MixMonitorId("0x1"), muted=True)
    assert len(asterisk.done) == 1


@pytest.mark.parametrize("refusal", ["No such channel", "Cannot set mute flag"])
async def test_one_that_is_gone_cannot_be_muted(refusal: str) -> None:
    asterisk = Asterisk(refusal=refusal)
    with pytest.raises(AsteriskRefusedError, match=refusal):
        await mixmonitor.mute(asterisk, LEG, MixMonitorId("0x1"), muted=True)


async def test_a_probe_that_asterisk_does_not_allow_is_no_answer() -> None:
    with pytest.raises(AsteriskRefusedError, match="Permission denied"):
        await mixmonitor.runs(Asterisk(refusal="Permission denied"), LEG, PATH, MixMonitorId("0x1"))


async def test_what_runs_is_told_by_its_file() -> None:
    asterisk = Asterisk(f"Value: {PATH}".encode())
    assert await mixmonitor.runs(asterisk, LEG, PATH, MixMonitorId("0x1"))
    assert not await mixmonitor.runs(asterisk, LEG, "/s/another.wav", MixMonitorId("0x1"))
    fields = {"Channel": LEG, "Variable": "MIXMONITOR(0x1,filename)"}
    assert asterisk.done == [("Getvar", fields)] * 2
