"""On which disk a folder lies, and on which it lay when it was last seen. All functions block."""

import contextlib
import json
from pathlib import Path


def mount_point(folder: Path) -> Path:
    """Where the disk of a folder is mounted: its topmost folder on the same device. Raises OSError."""
    at = folder.resolve(strict=True)
    device = at.stat().st_dev
    while at != at.parent and at.parent.stat().st_dev == device:
        at = at.parent
    return at


class Mount:
    """Remembers under which mount point a folder lay, over restarts in the file `state`.

    Device numbers change when a machine starts anew; mount points stay. A disk that is mounted over the folder, or
    nearer to it than the last one, is taken as the new place.
    """

    def __init__(self, folder: Path, state: Path | None = None) -> None:
        self._folder = folder
        self._state = state
        self._known: Path | None = None
        self._loaded = state is None

    def lost(self) -> Path | None:
        """The mount point under which the folder lay and no disk is any more, or None. Raises OSError."""
        if not self._loaded:
            self._known, self._loaded = self._load(), True
        now = mount_point(self._folder)
        if self._known is not None and now != self._known and self._known.is_relative_to(now):
            return self._known
        if now != self._known:
            self._known = now
            self._keep()
        return None

    def _load(self) -> Path | None:
        """What was kept, None where that was of another folder or cannot be read: it is learnt anew then."""
        if self._state is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                kept = json.loads(self._state.read_bytes())
                if kept["folder"] == str(self._folder):
                    return Path(kept["mount"])
        return None

    def _keep(self) -> None:
        if self._state is None:
            return
        new = self._state.with_suffix(".new")
        # Where it cannot be kept the next start learns it anew.
        with contextlib.suppress(OSError):
            new.write_text(json.dumps({"folder": str(self._folder), "mount": str(self._known)}))
            new.replace(self._state)
