"""The unit, sysusers and tmpfiles files, by systemd's own tools; and the audio path under the unit's restrictions."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mail_server import MailServer
from tests.systemd.conftest import missing
from tests.systemd.sandbox import command, may_mount
from tests.systemd.unit import UNIT, service, system_calls

FOLDER = UNIT.parent
ROOT = UNIT.parents[1]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0"}
    return subprocess.run(
        [str(each) for each in words], capture_output=True, text=True, timeout=100, cwd=ROOT, env=environ, check=False
    )


# -- the files


def test_the_unit_is_hardened_to_an_exposure_of_at_most_two() -> None:
    done = run("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", UNIT)
    assert done.returncode == 0, done.stdout


def test_a_laxer_unit_would_not_pass(tmp_path: Path) -> None:
    laxer = tmp_path / UNIT.name
    hardening = ("SystemCall", "Capability", "Restrict")
    lines = UNIT.read_text().splitlines(keepends=True)
    laxer.write_text("".join(line for line in lines if not line.startswith(hardening)))
    assert run("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", laxer).returncode == 1


def test_systemd_has_no_complaint_about_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    # The virtual environment is the admin's: any program stands for it here.
    unit.write_text(UNIT.read_text().replace("/opt/recbridge/bin/recbridge", "/bin/true"))
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_is_supervised_and_never_given_up() -> None:
    settings = service(UNIT)
    assert settings["Type"] == ["notify"]
    assert settings["NotifyAccess"] == ["main"]
    assert settings["Restart"] == ["always"]
    assert "WatchdogSec" in settings
    assert "\nStartLimitIntervalSec=0\n" in UNIT.read_text()


def test_only_the_spool_and_the_state_are_writable_and_a_missing_spool_is_no_obstacle() -> None:
    settings = service(UNIT)
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["ReadWritePaths"] == ["-/var/spool/asterisk/recbridge"]
    assert settings["StateDirectory"] == ["recbridge"]


def test_a_reload_checks_the_configuration_first() -> None:
    check, kill = service(UNIT)["ExecReload"]
    assert " check " in check
    assert kill == "/bin/kill -HUP $MAINPID"


def _sysusers(root: Path) -> None:
    (root / "etc").mkdir()
    done = run("systemd-sysusers", f"--root={root}", FOLDER / "recbridge.sysusers.conf")
    assert done.returncode == 0, done.stderr


def test_sysusers_makes_a_user_of_its_own_in_asterisks_group(tmp_path: Path) -> None:
    _sysusers(tmp_path)
    passwd, group = ((tmp_path / "etc" / name).read_text() for name in ("passwd", "group"))
    assert "recbridge:x:" in passwd
    assert passwd.rstrip().endswith("/usr/sbin/nologin")
    assert any(line.startswith("asterisk:") and line.endswith(":recbridge") for line in group.splitlines())


def test_tmpfiles_makes_a_spool_for_both_and_keeps_the_secret_from_others(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("tmpfiles gives folders away: that needs root")
    tmp_path.chmod(0o755)
    _sysusers(tmp_path)
    done = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", FOLDER / "recbridge.tmpfiles.conf")
    assert (done.returncode, done.stderr) == (0, "")

    def number(file: str, name: str) -> int:
        lines = (tmp_path / "etc" / file).read_text().splitlines()
        return next(int(line.split(":")[2]) for line in lines if line.startswith(f"{name}:"))

    def found(path: str) -> tuple[int, int, int]:
        status = (tmp_path / path).stat()
        return status.st_mode & 0o7777, status.st_uid, status.st_gid

    user, own, asterisk = number("passwd", "recbridge"), number("group", "recbridge"), number("group", "asterisk")
    assert found("var/spool/asterisk/recbridge") == (0o2770, user, asterisk)
    assert found("var/lib/recbridge") == (0o700, user, own)
    assert found("etc/recbridge") == (0o750, 0, own)


# -- the restrictions

BY = ["seccomp", "prctl"]


def confined(folder: Path, module: str, *arguments: str, by: str = "seccomp", unit: Path = UNIT) -> str:
    """Run a module under the unit's restrictions; gives what it prints, or the end of what it complains about."""
    done = run(*command(folder, unit, by, module, *arguments))
    if "PR_SET_MDWE" in done.stderr:
        pytest.skip("this Linux has no PR_SET_MDWE (6.3 has)")
    return done.stdout if done.returncode == 0 else f"exit {done.returncode}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("by", BY)
def test_the_audio_path_works_under_the_units_restrictions(folder: Path, by: str) -> None:
    seen = json.loads(confined(folder, "tests.systemd.audio_path", str(folder), by=by))
    assert seen.pop("modules") > 20
    assert len(seen.pop("sha256")) == 64
    assert seen == {"problem": None, "duration_s": 3.0, "served": 100, "facts": 1, "day_mode": "0o2770"}


async def test_an_export_is_made_and_mailed_under_the_units_restrictions(folder: Path) -> None:
    async with MailServer() as server:
        words = ("tests.systemd.export_path", str(folder), str(server.port))
        said = await asyncio.to_thread(confined, folder, *words)
        assert "exit" not in said, said
        assert (await server.next_mail())["To"] == "eve@example.org"
    (made,) = (folder / "state" / "exports").iterdir()
    assert made.suffix == ".zip"


@pytest.mark.parametrize(
    "line",
    ["SystemCallFilter=~mmap", "SystemCallFilter=~fsync fdatasync", "RestrictAddressFamilies=AF_UNIX", "UMask=0777"],
)
def test_one_restriction_too_many_would_be_noticed(folder: Path, tmp_path: Path, line: str) -> None:
    stricter = tmp_path / UNIT.name
    stricter.write_text(UNIT.read_text().replace("[Install]", f"{line}\n[Install]"))
    # Where the sandbox makes everything else read-only it can still be read.
    assert confined(folder, "tests.systemd.audio_path", str(folder), unit=stricter).startswith("exit 1: ")


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("soundfile-on-a-file-object", "MemoryError"),
        ("writable-code", "PermissionError"),
        ("netlink", "OSError [Errno 97]"),
        ("setgid", "PermissionError"),
        ("priority", "PermissionError"),
    ],
)
def test_what_the_unit_forbids_fails_in_the_sandbox(folder: Path, what: str, error: str, by: str) -> None:
    assert confined(folder, "tests.systemd.forbidden", what, str(folder), by=by).startswith(error)
    assert run(sys.executable, "-m", "tests.systemd.forbidden", what, str(folder)).stdout == "done\n"


def test_nothing_but_the_given_folder_can_be_written(folder: Path) -> None:
    if not may_mount():
        missing("a read-only file system of its own needs root")
    assert confined(folder, "tests.systemd.forbidden", "write-elsewhere", str(folder)).startswith("OSError [Errno 30]")


def test_the_filter_follows_the_units_lines() -> None:
    allowed = system_calls(service(UNIT)["SystemCallFilter"])
    assert {"mmap", "openat", "fdatasync", "socket", "chown"} <= allowed
    assert allowed.isdisjoint({"mount", "ptrace", "setuid", "bpf", "setpriority", "keyctl", "mlockall", "reboot"})
