"""`python -m tests.whole.held_exports run …`: the daemon, whose exports stop at the file that HOLD_AT counts.

It makes the file HELD then, and goes on when that is removed.
"""

import os
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from bridge.cli.main import main
from bridge.storage.zips import ZipWriter


def _hold() -> None:
    held, at, copied = Path(os.environ["HELD"]), int(os.environ["HOLD_AT"]), count(1)
    real = ZipWriter.copy

    def copy(writer: ZipWriter, *given: Any) -> Any:
        done = real(writer, *given)
        if next(copied) == at:
            held.touch()
            while held.exists():
                time.sleep(0.01)
        return done

    ZipWriter.copy = copy  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    _hold()
    sys.exit(main())
