"""One Asterisk process in a chroot, with its files in a work folder that both sides see at the same path."""

import subprocess
import time
from pathlib import Path

# The mounts live in a private namespace, so they go with the process, however it ends. The tmpfs keeps /tmp (and the
# mount point of a work folder in it) out of the chroot.
_SCRIPT = """
set -e
mount --bind /proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
for folder in "$2" "$3"; do
    mkdir -p "$1$folder"
    mount --bind "$folder" "$1$folder"
done
exec chroot "$1" /usr/sbin/asterisk -f -n -C "$2/etc/asterisk.conf"
"""


class AsteriskError(Exception):
    """Asterisk did not start or did not answer; the text ends with its last words."""


class Asterisk:
    """`folder` is the work folder with `etc/` already in it; run, spool, log and db are made beside. `shared` is one
    more folder that Asterisk sees at its own path.

    Start it from a thread that lives as long as it shall: the kernel kills Asterisk when that thread ends (so nothing
    is left running even when Python is killed).
    """

    def __init__(self, name: str, chroot: Path, folder: Path, *, shared: Path | None = None) -> None:
        # A control socket's path is limited to 107 bytes, and Asterisk cuts a longer one silently.
        if len(f"{folder}/run/asterisk.ctl") > 100:
            raise AsteriskError(f"the work folder's path is too long for a control socket: {folder}")
        self.name = name
        self.folder = folder
        self._chroot = chroot
        self._shared = shared or folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def launch(self) -> None:
        """Start the process, without waiting; AsteriskError where it already runs."""
        if self.pid is not None:
            raise AsteriskError(f"{self.name} already runs")
        for part in ("run", "spool", "log", "db"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "run" / "asterisk.ctl").unlink(missing_ok=True)
        namespace = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
        with (self.folder / "log" / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                [*namespace, "sh", "-c", _SCRIPT, "sh", *map(str, (self._chroot, self.folder, self._shared))],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for Python, which then stops it in order
            )

    def wait_ready(self, deadline_s: float = 60) -> None:
        """Return when Asterisk is fully booted; AsteriskError when it died or the deadline passed."""
        until = time.monotonic() + deadline_s
        while time.monotonic() < until:
            if self.pid is None:
                break
            if (self.folder / "run" / "asterisk.ctl").exists():
                try:
                    if "fully booted" in self.cli("core waitfullybooted", deadline_s=until - time.monotonic()):
                        return
                except AsteriskError:
                    pass  # the socket is there before anyone listens on it
            time.sleep(0.02)
        raise AsteriskError(f"{self.name} did not boot: {self.last_words()}")

    def cli(self, command: str, *, deadline_s: float = 20) -> str:
        """Run a console command and return what it prints; AsteriskError when it fails."""
        if self.pid is None:
            raise AsteriskError(f"{self.name} is not running: {self.last_words()}")
        # Into its mount namespace, where the chroot's mounts are; asterisk -r finds its socket by the configuration.
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--root", "--wd=/"]
        console = ["/usr/sbin/asterisk", "-C", f"{self.folder}/etc/asterisk.conf", "-rx", command]
        try:
            done = subprocess.run(
                [*enter, *console], capture_output=True, text=True, timeout=max(deadline_s, 0.1), check=False
            )
        except subprocess.TimeoutExpired:
            raise AsteriskError(f"{self.name}: no answer to {command!r} in {deadline_s:.0f} s") from None
        if done.returncode != 0:
            raise AsteriskError(f"{self.name}: {command!r} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def stop(self, deadline_s: float = 10) -> None:
        """End it in order, or by force after the deadline. Harmless when it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash would end it; `launch` starts it again on the same files."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def last_words(self) -> str:
        """The last lines of its console and log, for error messages."""
        lines: list[str] = []
        for name in ("console.log", "full.log"):
            path = self.folder / "log" / name
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-6:]
        return "\n".join(lines) or "it said nothing"
