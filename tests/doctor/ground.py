"""What the checks stand on in tests."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.config import load_config
from bridge.doctor.findings import Finding, Ground, State


def now() -> datetime:
    return datetime.now(UTC)


def ground(folder: Path, *lines: str, clock: Callable[[], datetime] = now, **asterisk: Any) -> Ground:
    """A configuration in a folder, whose spool and rules are there."""
    for name in ("spool", "rules"):
        (folder / name).mkdir(exist_ok=True)
    where = {"username": "bridge", "secret": "bridge-secret", **asterisk}
    given = [line.partition(":")[0] for line in lines]
    texts = {
        "asterisk": f"asterisk: {{{', '.join(f'{key}: {value}' for key, value in where.items())}}}",
        "spool": f"spool: {{asterisk: {folder}/spool, local: {folder}/spool, low_space: 0%}}",
        "rules": f"rules: {folder}/rules",
        "database": f"database: {folder}/recbridge.db",
    }
    path = folder / "recbridge.yml"
    path.write_text("\n".join([*(text for name, text in texts.items() if name not in given), *lines]) + "\n")
    path.chmod(0o600)
    return Ground(path, load_config(path, {}), clock)


def states(found: Sequence[Finding]) -> dict[str, State]:
    return {one.code: one.state for one in found}


def one(found: Sequence[Finding], code: str) -> Finding:
    (finding,) = (one for one in found if one.code == code)
    return finding
