"""`recbridge calls` with a filter: finished calls, as a table, JSON or CSV."""

import argparse
import asyncio
import json
import sys
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from bridge.cli.asking import Asking
from bridge.cli.call_filters import filter_of
from bridge.cli.options import config_path
from bridge.cli.tables import table
from bridge.config import load_config

_PATH = "/api/v1/cdrs"
_PART = 500
_HEADS = ("NUMBER", "BEGAN", "DIRECTION", "FROM", "TO", "QUEUE", "TALKED", "RECORDED", "TAGS")


def run(args: argparse.Namespace) -> int:
    """Show them. Raises RecbridgeError with one line where that cannot be."""
    query = filter_of(args)
    if args.recorded is not None:
        query["recorded"] = "true" if args.recorded else "false"
    return asyncio.run(_csv(args, query) if args.csv else _list(args, query))


async def _list(args: argparse.Namespace, query: dict[str, Any]) -> int:
    items, filtered, more = await _found(args, query)
    if args.json:
        print(json.dumps({"items": items, "filtered": filtered, "more": more}, ensure_ascii=False, indent=2))
    elif items:
        print("\n".join(table(_HEADS, [_row(item) for item in items])))
    if more:
        print(f"the newest {len(items)}: there are more (--limit)", file=sys.stderr)
    elif not items and not args.json:
        print("no calls", file=sys.stderr)
    return 0


async def _found(args: argparse.Namespace, query: dict[str, Any]) -> tuple[list[dict[str, Any]], int, bool]:
    """Up to `--limit` calls, how many are found (at least), and whether there are more."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    async with Asking(load_config(config_path(args)), args.token) as asking:
        while True:
            part = {**query, "limit": min(_PART, args.limit - len(items))} | ({"cursor": cursor} if cursor else {})
            answer = await asking.ask("GET", f"{_PATH}?{urlencode(part)}")
            items += answer["items"]
            cursor = answer["next"]
            if cursor is None or len(items) >= args.limit:
                return items, answer["filtered"], cursor is not None


async def _csv(args: argparse.Namespace, query: dict[str, Any]) -> int:
    """All that is found, whatever the limit: as it comes, however much it is."""
    path = f"{_PATH}?{urlencode({**query, 'format': 'csv'})}"
    async with (
        Asking(load_config(config_path(args)), args.token) as asking,
        asking.response("GET", path) as response,
    ):
        async for block in response.content.iter_any():
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
    return 0


def _row(item: dict[str, Any]) -> list[str]:
    began = datetime.fromtimestamp(item["startedAt"] / 1000).astimezone()
    recorded = _length(item["recordedS"]) if item["recorded"] else "-"
    return [
        str(item["id"]),
        f"{began:%Y-%m-%d %H:%M:%S}",
        item["direction"],
        _side(item["source"]),
        _side(item["destination"]) or item["dialed"],
        item["queue"],
        _length(item["talkedS"]) if item["talkedS"] else "-",
        recorded,
        ", ".join(item["tags"]),
    ]


def _side(side: dict[str, str]) -> str:
    """Who it is, with the number.

    >>> _side({"number": "822", "name": "Bob", "identity": "bob"})
    'bob (822)'
    """
    who, number = side["identity"] or side["name"], side["number"]
    return f"{who} ({number})" if who and number else who or number


def _length(seconds: float) -> str:
    """
    >>> _length(65.5)
    '0:01:05'
    """
    return str(timedelta(seconds=int(seconds)))
