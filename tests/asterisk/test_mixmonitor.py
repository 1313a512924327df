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
    """Takes actions, and answers each with the same header."""

    def __init__(self, answer: bytes = b"MixMonitorID: 0x7f905c001a10") -> None:
        self.answer = answer
        self.done: list[tuple[str, Mapping[str, object]]] = []

    async def action(
        self, name: str, fields: Fields, deadline_s: float | None = None, *, must_succeed: bool = True
    ) -> Response:
        assert deadline_s is not None
        assert must_succeed
        self.done.append((name, fields))
        raw = RawMessage(b"Response: Success\r\n" + self.answer, datetime(2026, 1, 1, tzinfo=UTC))
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
    assert fields["Options"] == "i(RECBRIDGE_MIXMONITOR_0)aB(15)r(/s/r.wav)t(/s/t.wav)"


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
