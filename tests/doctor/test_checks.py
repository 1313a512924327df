"""How the checks are made: side by side, each with a deadline, in one order."""

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bridge.doctor import checks
from bridge.doctor.checks import CODES, examine, worst
from bridge.doctor.findings import Finding, Ground, State, failed, ok, unknown, warning
from bridge.storage.database import SqliteStore
from tests.doctor.ground import ground, states


async def test_every_code_is_told_once_and_in_order_whatever_is_broken(tmp_path: Path) -> None:
    path = ground(tmp_path, port=1).path
    for text in (path.read_text(), "asterisk: [", "nonsense: true\n"):
        path.write_text(text)
        assert [one.code for one in await examine(path)] == list(CODES)
    path.unlink()
    found = await examine(path)
    assert [one.code for one in found] == list(CODES)
    assert states(found)["configuration"] is State.FAILED
    assert states(found)["python"] is State.OK, "what needs no configuration is looked at all the same"


async def test_one_code_alone_is_looked_at_without_the_others(tmp_path: Path) -> None:
    place = ground(tmp_path)
    assert [one.code for one in await examine(place.path, ["inodes"])] == ["inodes"]
    assert [one.code for one in await examine(place.path, ["holds", "rules"])] == ["rules", "holds"]


async def test_what_the_database_could_not_say_is_unknown_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    place = ground(tmp_path)
    codes = ["holds", "tokens", "webhooks", "mails", "retention", "disk", "exports"]
    assert set(states(await examine(place.path, codes)).values()) == {State.UNKNOWN, State.OK}
    store = await SqliteStore.open(tmp_path / "recbridge.db", "pbx1")
    await store.close()
    assert set(states(await examine(place.path, codes)).values()) == {State.OK}


async def test_a_look_that_hangs_is_unknown_after_its_deadline_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hangs(_: Ground) -> Sequence[Finding]:
        released.wait(60)
        return []

    place = ground(tmp_path)
    monkeypatch.setattr(checks, "_CHECKS", (checks._Check(("spool",), checks._blocking(hangs)), *checks._CHECKS))
    began = time.monotonic()
    try:
        found = await examine(place.path, ["spool", "inodes"], deadline_s=0.2)
    finally:
        released.set()
    assert time.monotonic() - began < 50, "it was not waited for"
    assert [one.state for one in found if one.code == "spool"].count(State.UNKNOWN) == 1
    assert "--deadline" in next(one.remedy for one in found if one.state is State.UNKNOWN)
    assert states(found)["inodes"] is State.OK


async def test_a_check_that_breaks_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object) -> Sequence[Finding]:
        await asyncio.sleep(0)
        raise KeyError("x")

    monkeypatch.setattr(checks, "_CHECKS", (checks._Check(("spool",), breaks),))
    (found,) = await examine(ground(tmp_path).path, ["spool"])
    assert (found.state, "KeyError" in found.words) == (State.UNKNOWN, True)


def test_the_worst_is_what_failed_then_what_warns_then_what_is_unknown() -> None:
    well, warns, bad, dark = ok("a", ""), warning("b", "", ""), failed("c", "", ""), unknown("d", "")
    assert worst([well, dark, warns, bad]) is State.FAILED
    assert worst([dark, warns]) is State.WARNING
    assert worst([well, dark]) is State.UNKNOWN
    assert worst([well]) is State.OK
