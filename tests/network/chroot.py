"""The chroot with a real Asterisk: Debian sid has Asterisk 22, bullseye 16.28. Debian 12 itself has none."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUITE = os.environ.get("RECBRIDGE_SUITE", "sid")
"""The suite whose Asterisk is tested."""
DEFAULT_CACHE = Path("/var/cache/recbridge-asterisk")
PACKAGES = ("asterisk", "asterisk-modules", "asterisk-core-sounds-en-gsm")
_NEEDED = ("unshare", "nsenter", "setpriv", "chroot")
# A mount namespace of its own: whatever is mounted while building goes with the last process that builds.
_NAMESPACE = ("unshare", "--mount", "--propagation", "private")
_INSTALL = """
set -e
mount --bind /proc "$1/proc"
mount --rbind /dev "$1/dev"
chroot "$1" apt-get install -y --no-install-recommends "$2"
chroot "$1" apt-get clean
"""


class NoAsteriskError(Exception):
    """There can be no real Asterisk here; the text is one line that says why."""


def usable() -> str | None:
    """Why no real Asterisk can run here, in one line, or None where it can."""
    if os.geteuid() != 0:
        return "a real Asterisk needs root (for a chroot)"
    if not Path("/etc/debian_version").exists():
        return "a real Asterisk needs Debian (for debootstrap)"
    missing = [tool for tool in _NEEDED if shutil.which(tool) is None]
    if missing:
        return f"a real Asterisk needs {', '.join(missing)}"
    if subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode != 0:
        return "a real Asterisk needs the right to mount (no mount namespace here: a container without CAP_SYS_ADMIN?)"
    return None


def ensure_chroot(suite: str = "sid", cache: Path | None = None) -> Path:
    """The folder of a chroot with Asterisk, built when it is missing (half a minute, 600 MB).

    It lies in `cache`, else in the folder that RECBRIDGE_CACHE names, else in /var/cache/recbridge-asterisk, by its
    suite's name. It appears there only when it is complete, and two builders wait for each other.
    NoAsteriskError where it cannot be had.
    """
    reason = usable()
    if reason is not None:
        raise NoAsteriskError(reason)
    cache = cache or Path(os.environ.get("RECBRIDGE_CACHE", DEFAULT_CACHE))
    final = cache / suite
    if _complete(final):
        return final
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / f"{suite}.lock") as lock:
        if not _complete(final):
            _build(suite, cache, final, lock)
    return final


def _complete(chroot: Path) -> bool:
    return (chroot / "usr/sbin/asterisk").exists()


def _build(suite: str, cache: Path, final: Path, lock: int) -> None:
    partial = cache / f"{suite}.partial"
    log = cache / f"{suite}.log"
    for leftover in (partial, final):
        if leftover.exists():
            shutil.rmtree(leftover)
    log.unlink(missing_ok=True)
    if shutil.which("debootstrap") is None:
        _run(["apt-get", "update"], log, lock)
        _run(["apt-get", "install", "-y", "--no-install-recommends", "debootstrap"], log, lock)
    _run([*_NAMESPACE, "debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(partial)], log, lock)
    # Debian asks this script before it starts a service: nothing in the chroot may start by itself.
    policy = partial / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    shutil.copyfile("/etc/resolv.conf", partial / "etc/resolv.conf")
    _run([*_NAMESPACE, "sh", "-c", _INSTALL.replace('"$2"', " ".join(PACKAGES)), "sh", str(partial)], log, lock)
    if not _complete(partial):
        raise NoAsteriskError(f"Debian {suite} installed no /usr/sbin/asterisk (see {log})")
    partial.rename(final)


def _run(command: list[str], log: Path, lock: int) -> None:
    with log.open("ab") as output:
        # The child holds the lock too: were we killed, nobody would build in a folder where it is still at work.
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
            pass_fds=(lock,),
            check=False,
        )
    if done.returncode != 0:
        words = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        tool = next(word for word in command if word not in _NAMESPACE)
        raise NoAsteriskError(f"{tool} failed ({words[-1] if words else 'it said nothing'}; see {log})")


@contextmanager
def _lock(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
