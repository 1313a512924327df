"""`recbridge verify`: has anything been changed since it was written?"""

import argparse
import json
import sys
import time
from typing import Any

from bridge.cli.options import add_config_option, add_json_option, config_path, why
from bridge.cli.spool import there
from bridge.config import load_config
from bridge.core.chain import Head
from bridge.core.errors import RecbridgeError
from bridge.storage.findings import Findings, Misfit
from bridge.storage.verify import verify

_PROGRESS_EVERY_S = 0.2


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "verify",
        help="look whether facts or recordings were changed",
        description="Walks the chain of facts, and holds sections and their files against it. Names the first thing "
        "that does not fit, and how many more. Where everything fits, the last line is the chain's head. Keep it "
        "elsewhere, and give it to --expect later: a chain that was rewritten, or whose end was cut off, does not "
        "have it.",
        epilog="Exit code: 0 everything fits, 1 something does not, 2 it could not look.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.add_argument(
        "--from", dest="since", type=_head, metavar="NUMBER:HASH", help="begin after this head, kept earlier"
    )
    parser.add_argument(
        "--expect",
        type=_head,
        action="append",
        default=[],
        metavar="NUMBER:HASH",
        help="a head kept earlier, that the chain has to have (several times: several heads)",
    )
    parser.add_argument("--no-files", action="store_true", help="look at no recordings")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Look, and say what was found: 0 where everything fits, 1 where something does not, 2 where it could not look."""
    progress = _Progress(sys.stderr.isatty())
    try:
        config = load_config(config_path(args))
        spool = None if args.no_files else there(config, ", or look without files (--no-files)")
        found = verify(config.database, spool, args.since, args.expect, progress)
    except (RecbridgeError, OSError) as error:
        progress.clear()
        print(why(error), file=sys.stderr)
        return 2
    progress.clear()
    if args.json:
        print(json.dumps(_as_json(found)))
    else:
        print("\n".join(_lines(found, args.no_files)))
    return 1 if found.misfits else 0


def _head(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _lines(found: Findings, no_files: bool) -> list[str]:
    files = "no files looked at" if no_files else f"{found.files:,} files, {found.bytes / 1e6:,.1f} MB"
    lines = [
        f"{found.facts:,} facts, {found.personal:,} personal values in them, {found.erased:,} of these erased",
        f"{found.sections:,} sections stored, {found.deleted:,} deleted; {files}",
    ]
    if found.first is None:
        return [*lines, "everything fits; the head, to be kept elsewhere:", str(found.head)]
    more = f"and {found.misfits - 1:,} more" if found.misfits > 1 else "nothing more"
    # Who has changed something chose the words: nothing of them may steer the terminal.
    first = "".join(char if char.isprintable() else "?" for char in found.first.message)
    return [*lines, f"does not fit: {first}", more]


def _as_json(found: Findings) -> dict[str, Any]:
    return {
        "ok": found.first is None,
        "facts": found.facts,
        "personal": found.personal,
        "erased": found.erased,
        "sections": found.sections,
        "deleted": found.deleted,
        "files": found.files,
        "bytes": found.bytes,
        "misfits": found.misfits,
        "first": None if found.first is None else _misfit_as_json(found.first),
        "head": str(found.head) if found.first is None else None,
    }


def _misfit_as_json(misfit: Misfit) -> dict[str, Any]:
    section = misfit.section
    return {
        "what": misfit.what,
        "message": misfit.message,
        "fact": misfit.fact,
        "recordId": None if section is None else section.record_id,
        "ruleId": None if section is None else section.rule_id,
        "file": None if section is None else section.file,
        "path": misfit.path,
    }


class _Progress:
    """One line that is written anew, on a terminal alone."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._next = 0.0

    def __call__(self, found: Findings) -> None:
        if self._on and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PROGRESS_EVERY_S
            words = f"{found.facts:,} facts, {found.files:,} files, {found.bytes / 1e6:,.1f} MB"
            print(f"\r{words}\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave an empty line."""
        if self._on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
