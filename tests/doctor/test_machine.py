"""The machine's clock, libraries and service."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.doctor import machine, service
from bridge.doctor.database import sqlite_version
from bridge.doctor.findings import State
from tests.doctor.ground import ground, states

WELL = {
    "LoadState": "loaded", "ActiveState": "active", "Result": "success", "NRestarts": "0", "NeedDaemonReload": "no",
    "User": "recbridge", "LimitNOFILE": "65536", "MemoryCurrent": "100000000", "MemoryHigh": "1073741824",
    "DropInPaths": "", "FragmentPath": "/etc/systemd/system/recbridge.service",
}  # fmt: skip


def test_the_kernels_clock_is_read_where_it_lies() -> None:
    status = machine.clock_status()
    if status is None:
        pytest.skip("adjtimex is forbidden here")
    # Python's own struct, by the header of this machine: modes, then four longs, then status.
    program = "import ctypes; b = (ctypes.c_long * 64)(); ctypes.CDLL(None).adjtimex(b); print(b[5] & 0xffffffff)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(told) == status


@pytest.mark.parametrize(
    ("status", "state"), [(0x2001, State.OK), (0x40, State.WARNING), (0x2041, State.WARNING), (None, State.UNKNOWN)]
)
def test_a_clock_that_nothing_keeps_right_is_told(status: int | None, state: State) -> None:
    assert machine.clock(status).state is state


def test_the_libraries_are_those_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = machine.python()
    assert found.state is State.OK, found
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.5" if name == "panoramisk" else "99")
    (found,) = machine.python()
    assert found.state is State.FAILED
    assert "panoramisk 1.5 instead of ==1.4" in found.words


@pytest.mark.parametrize(
    ("version", "wanted", "fit"),
    [
        ("0.23", ">=0.20,<0.23", False),
        ("0.22.9", ">=0.20,<0.23", True),
        ("3", ">=3.0,<6", True),
        ("1.4.0", "==1.4", True),
        ("1.4.1", "==1.4", False),
        ("24.1.0", ">=24", True),
        ("23", '>=24; python_version < "3.12"', False),
    ],
)
def test_versions_are_compared_number_by_number(version: str, wanted: str, fit: bool) -> None:
    assert machine.fits(version, wanted) is fit


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 37, 2), State.FAILED), ((3, 40, 1), State.OK), ((3, 52, 0), State.WARNING), ((3, 53, 1), State.OK)],
)
def test_versions_of_sqlite(version: tuple[int, ...], state: State) -> None:
    assert sqlite_version(version).state is state


@pytest.mark.parametrize(("version", "fixed"), [((3, 40, 1), False), ((3, 44, 6), True), ((3, 45, 0), False),
    ((3, 50, 7), True), ((3, 51, 2), False), ((3, 51, 3), True)])  # fmt: skip
def test_the_wal_reset_defect_is_noted(version: tuple[int, ...], fixed: bool) -> None:
    assert sqlite_version(version).values["walResetFixed"] is fixed


@pytest.mark.parametrize(
    ("changed", "code", "state"),
    [
        ({}, "service", State.OK),
        ({"LoadState": "not-found"}, "service", State.UNKNOWN),
        ({"ActiveState": "failed", "Result": "exit-code"}, "service", State.FAILED),
        ({"NeedDaemonReload": "yes"}, "service", State.WARNING),
        ({"NRestarts": "7"}, "service", State.WARNING),
        ({"ProtectSystem": "no"}, "service-hardening", State.WARNING),
        ({"User": ""}, "service-hardening", State.WARNING),
        ({"LimitNOFILE": "1024"}, "service-limits", State.WARNING),
        ({"LimitNOFILE": "infinity", "MemoryCurrent": "[not set]"}, "service-limits", State.OK),
        ({"MemoryCurrent": "1070000000"}, "service-limits", State.WARNING),
    ],
)
def test_what_systemd_tells_of_the_unit(changed: dict[str, str], code: str, state: State) -> None:
    found = states(service.findings(WELL | changed))
    assert found.pop(code) is state
    if state is not State.UNKNOWN:
        assert set(found.values()) == {State.OK}


def test_the_shipped_unit_is_hardened_as_it_is_held_to() -> None:
    unit = (Path(__file__).resolve().parents[2] / "systemd" / "recbridge.service").read_text()
    for name, wanted in service.HARDENING.items():
        assert re.search(rf"^{name}={re.escape(wanted)}$", unit, re.MULTILINE), name


def test_exports_that_others_may_look_into_are_told(tmp_path: Path) -> None:
    place = ground(tmp_path)
    assert machine.exports(place, 0).state is State.OK
    (tmp_path / "exports").mkdir(mode=0o700)
    (tmp_path / "exports" / "a.zip").write_bytes(bytes(100))
    assert machine.exports(place, 1).values["bytes"] == 100
    (tmp_path / "exports").chmod(0o755)
    assert machine.exports(place, 1).state is State.WARNING
