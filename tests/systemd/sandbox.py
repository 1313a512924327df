"""Runs a Python module under a unit's restrictions where systemd is not PID 1 and cannot do it itself:

    python -m tests.systemd.sandbox UNIT seccomp|prctl MODULE ARGUMENT…

What is equivalent: the seccomp filters, built with libseccomp from the unit's own lines as systemd 252 builds them
(`prctl` sets MemoryDenyWriteExecute the way systemd 253 does on Linux 6.3 and later), no_new_privs, umask and limits.
The mount namespace and the loss of all capabilities need root and come from `WRAP`, a shell script around it.
"""

import ctypes
import errno
import os
import resource
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.systemd.unit import is_on, service, system_calls

# $1 is the one folder that can be written; the rest is the command. The last mount hides what ProcSubset and
# ProtectProc hide; /var/tmp stands for PrivateTmp.
WRAP = """
set -e
mount --bind "$1" "$1"
for at in $(findmnt --raw --noheadings --output TARGET); do
    case $at in "$1"|"$1"/*|/dev/*) ;; *) mount -o remount,bind,ro "$at" 2>/dev/null || true ;; esac
done
mount -t tmpfs none /var/tmp
mount -t proc -o subset=pid,hidepid=invisible proc /proc
shift
export TMPDIR=/var/tmp HOME=/nonexistent
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""

_ALLOW = 0x7FFF0000
_EQ, _GT, _MASKED_EQ = 4, 6, 7
_PROT_WRITE, _PROT_EXEC, _SHM_EXEC, _S_ISUID, _S_ISGID = 2, 4, 0o100000, 0o4000, 0o2000
_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 38, 65, 1
_AF_MAX = 46


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class Filter:
    """One seccomp filter. It binds this process and its children from `load` on, beside all that are loaded."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, call: str, *compare: tuple[int, int, int, int]) -> None:
        """For this system call (one that this machine lacks is left out) with such arguments."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            rules = (_Compare * len(compare))(*(_Compare(*each) for each in compare))
            self._check(
                self._library.seccomp_rule_add_array(
                    self._context, ctypes.c_uint32(action), ctypes.c_int(number), ctypes.c_uint(len(compare)), rules
                )
            )

    def load(self) -> None:
        """Put it in force."""
        self._check(self._library.seccomp_load(self._context))
        self._library.seccomp_release(self._context)

    @staticmethod
    def _check(result: int) -> None:
        if result < 0:
            raise OSError(-result, f"libseccomp: {os.strerror(-result)}")


def _refuse(number: int) -> int:
    return 0x00050000 | number


def _memory_deny_write_execute() -> None:
    denied = Filter(_ALLOW)
    both = _PROT_WRITE | _PROT_EXEC
    denied.add(_refuse(errno.EPERM), "mmap", (2, _MASKED_EQ, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        denied.add(_refuse(errno.EPERM), call, (2, _MASKED_EQ, _PROT_EXEC, _PROT_EXEC))
    denied.add(_refuse(errno.EPERM), "shmat", (2, _MASKED_EQ, _SHM_EXEC, _SHM_EXEC))
    denied.load()


def _restrict_address_families(names: Iterable[str]) -> None:
    allowed = {int(getattr(socket, name)) for name in names}
    denied = Filter(_ALLOW)
    for family in range(_AF_MAX):
        if family not in allowed:
            denied.add(_refuse(errno.EAFNOSUPPORT), "socket", (0, _EQ, family, 0))
    denied.add(_refuse(errno.EAFNOSUPPORT), "socket", (0, _GT, _AF_MAX - 1, 0))
    denied.load()


def _restrict_suid_sgid() -> None:
    denied = Filter(_ALLOW)
    modes = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2}
    for bit in (_S_ISUID, _S_ISGID):
        for call, argument in modes.items():
            denied.add(_refuse(errno.EPERM), call, (argument, _MASKED_EQ, bit, bit))
    denied.load()


def restrict(unit: Path, mdwe: str) -> None:
    """Put the unit's restrictions on this process."""
    settings = service(unit)
    os.umask(int(settings["UMask"][-1], 8))
    for limit, number in (("LimitNOFILE", resource.RLIMIT_NOFILE), ("LimitCORE", resource.RLIMIT_CORE)):
        value = min(int(settings[limit][-1]), resource.getrlimit(number)[1] % 2**63)
        resource.setrlimit(number, (value, value))
    system_call_numbers = system_calls(settings["SystemCallFilter"])  # asks systemd-analyze: before anything is denied
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if is_on(settings, "NoNewPrivileges") and prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    # libseccomp and ctypes themselves need writable code no more than the daemon does.
    if is_on(settings, "MemoryDenyWriteExecute"):
        if mdwe == "seccomp":
            _memory_deny_write_execute()
        elif prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "PR_SET_MDWE")
    if is_on(settings, "RestrictSUIDSGID"):
        _restrict_suid_sgid()
    _restrict_address_families(settings["RestrictAddressFamilies"][-1].split())
    number = getattr(errno, settings["SystemCallErrorNumber"][-1])
    allowed = Filter(_refuse(number))
    for call in sorted(system_call_numbers):
        allowed.add(_ALLOW, call)
    allowed.load()


def may_mount() -> bool:
    """Whether a mount namespace can be had here."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


def command(folder: Path, unit: Path, mdwe: str, module: str, *arguments: str) -> list[str]:
    """The words that run a module in the sandbox; without root everything that file modes allow can be written."""
    words = [sys.executable, "-B", "-m", "tests.systemd.sandbox", str(unit), mdwe, module, *arguments]
    wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c", WRAP, "sh", str(folder)]
    return [*wrap, *words] if may_mount() else words


if __name__ == "__main__":
    _, unit_name, mdwe_by, module, *arguments = sys.argv
    restrict(Path(unit_name), mdwe_by)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
