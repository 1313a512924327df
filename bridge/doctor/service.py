"""The systemd unit: is it installed, as it ships, and what does it let the daemon do."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from bridge.doctor.findings import Finding, Value, failed, ok, unknown, warning

CODES = ("service", "service-hardening", "service-limits")
_UNIT = "recbridge.service"
_RUNS = Path("/run/systemd/system")
_WITHIN_S = 5.0
HARDENING: Mapping[str, str] = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictSUIDSGID": "yes",
    "CapabilityBoundingSet": "",
}
"""The most of what the shipped unit says."""
_SHOWN = (
    *HARDENING,
    "LoadState", "ActiveState", "Result", "NRestarts", "NeedDaemonReload", "FragmentPath", "DropInPaths", "User",
    "LimitNOFILE", "MemoryMax", "MemoryHigh", "MemoryCurrent", "WatchdogUSec",
)  # fmt: skip
_FILES = 4096


async def look() -> Sequence[Finding]:
    """All of `CODES`."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or not await asyncio.to_thread(_RUNS.is_dir):
        return [unknown(code, "no systemd runs here") for code in CODES]
    try:
        shown = await _shown(systemctl, "show", _UNIT, "--no-pager", f"--property={','.join(_SHOWN)}")
    except (OSError, TimeoutError) as error:
        return [unknown(code, f"systemctl does not answer: {error or 'too slow'}") for code in CODES]
    return findings(dict(line.split("=", 1) for line in shown.splitlines() if "=" in line))


def findings(unit: Mapping[str, str]) -> Sequence[Finding]:
    """What `systemctl show` tells of it."""
    if unit.get("LoadState") != "loaded":
        return [unknown(code, f"there is no {_UNIT}: it is run in another way", "systemd/README.md") for code in CODES]
    return [_service(unit), _hardening(unit), _limits(unit)]


def _service(unit: Mapping[str, str]) -> Finding:
    state, restarts = unit.get("ActiveState", ""), int(unit.get("NRestarts") or 0)
    values: dict[str, Value] = {"state": state, "restarts": restarts, "dropIns": unit.get("DropInPaths", "").split()}
    if state not in ("active", "reloading"):
        words = f"{_UNIT} is {state} ({unit.get('Result') or 'no result'})"
        return failed("service", words, "`systemctl status recbridge`; `systemctl start recbridge`", **values)
    if unit.get("NeedDaemonReload") == "yes":
        remedy = "`systemctl daemon-reload && systemctl restart recbridge`"
        return warning("service", "the unit's file was changed since systemd read it", remedy, **values)
    if restarts:
        remedy = "`journalctl -u recbridge -p err` says why; it counts from the last `systemctl start`"
        return warning("service", f"systemd has started it again {restarts} times", remedy, **values)
    return ok("service", f"{_UNIT} is active, from {unit.get('FragmentPath')}", **values)


def _hardening(unit: Mapping[str, str]) -> Finding:
    code = "service-hardening"
    loose = [name for name, wanted in HARDENING.items() if unit.get(name, wanted).strip() != wanted]
    user = unit.get("User", "")
    dropped = f", with {len(unit['DropInPaths'].split())} drop-ins" if unit.get("DropInPaths") else ""
    remedy = f"`systemctl cat recbridge` shows who changed it; `systemd-analyze security {_UNIT}`"
    if user in ("", "root"):
        return warning(code, "it runs as root", f"install systemd/{_UNIT} as it ships; {remedy}", loose=loose)
    if loose:
        words = f"it is not as it ships{dropped}: {', '.join(loose)}"
        return warning(code, words, remedy, loose=loose)
    return ok(code, f"it runs as {user}, hardened as it ships{dropped}", loose=loose)


def _limits(unit: Mapping[str, str]) -> Finding:
    code = "service-limits"
    files = _number(unit.get("LimitNOFILE"))
    memory, high = _number(unit.get("MemoryCurrent")), _number(unit.get("MemoryHigh"))
    values: dict[str, Value] = {"files": files, "memoryBytes": memory, "memoryHighBytes": high}
    if files is not None and files < _FILES:
        remedy = "`systemctl edit recbridge`: [Service] LimitNOFILE=65536; then restart it"
        return warning(code, f"it may open {files} files only", remedy, **values)
    if memory is not None and high is not None and memory > 0.9 * high:
        words = f"it uses {memory // 2**20} MiB of {high // 2**20}, beyond which it is slowed down"
        return warning(code, words, "`systemctl restart recbridge`; if it comes again: more MemoryHigh", **values)
    return ok(code, f"files {'unlimited' if files is None else files}, memory within its bounds", **values)


def _number(text: str | None) -> int | None:
    """None for `infinity`, `[not set]`, and what is not told; systemd says 2^64-1 for some of these."""
    return int(text) if text is not None and text.isdecimal() and int(text) < 2**63 else None


async def _shown(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_WITHIN_S):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return out.decode(errors="replace")
