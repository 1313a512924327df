"""Whatever comes in, it is the client's mistake: never a 500, and every error has the one body."""

import asyncio
import json
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.access import Role
from bridge.core.ids import Identity
from tests.api.house import ALICE, CAROL, ROOT, House, journal_entry, url
from tests.storage.kept import RECORD

_RECORD_PATH = f"/api/v1/records/{RECORD}"
_PATHS = [
    "/",
    "/health",
    "/ready",
    "/api/v1/journal",
    "/api/v1/calls",
    "/api/v1/tickets",
    "/api/v1/monitor/start",
    "/api/v1/monitor/stop",
    "/api/v1/stream",
    "/api/v1/ws",
]
_PATHS += [_RECORD_PATH, f"{_RECORD_PATH}/1/1", "/api/v1/records/..%2f..%2fetc/1/1", "//", "/%00", "/%ff"]
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"]
_FIELDS = ["limit", "identity", "after", "since", "format", "download", "ticket"]
_VALUES = ["1", "-1", "*", "9" * 30, "wav", "mp3", "bob", "true", "1e3", "%ED%A0%80", "%00"]
_HEADERS = ["Range", "If-Range", "If-None-Match", "If-Modified-Since", "Last-Event-ID", "Origin", "Content-Type"]
_HEADERS += ["Content-Encoding", "Cookie", "Accept", "Expect", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]
_HEADERS += ["Authorization", "X-Auth-Token"]
_HEADER_VALUES = [
    "bytes=0-",
    "bytes=-0",
    "bytes=5-2",
    "bytes=99999-",
    "100-continue",
    "gzip",
    "deflate",
    "websocket",
    "13",
]
_BODIES = [
    b"",
    b"{}",
    b'{"path": "' + _RECORD_PATH.encode() + b'/1/1"}',
    b'{"channel": "PJSIP/bob-00000001"}',
    b'{"channel": "\\u2028\\ud800"}',
    b"[" * 60_000,
    b'{"path": "\\ud800"}',
    b"\xff",
]

_quoted = st.binary(max_size=12).map(quote)
_segments = st.lists(_quoted | st.sampled_from(["api", "v1", "records", "1", "..", RECORD]), max_size=6)
_paths = st.sampled_from(_PATHS) | _segments.map(lambda parts: "/" + "/".join(parts))
_fields = st.tuples(st.sampled_from(_FIELDS) | _quoted, st.sampled_from(_VALUES) | _quoted).map("=".join)
# More digits than Python turns into a number.
_queries = st.lists(_fields, max_size=4).map("&".join) | st.sampled_from(_FIELDS).map(
    lambda name: f"{name}={'9' * 4400}"
)
# Bytes above 127 are allowed in a header's value, and are no UTF-8.
_header_values = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
_headers = st.dictionaries(
    st.sampled_from(_HEADERS), st.sampled_from(_HEADER_VALUES) | _header_values.filter(str.strip), max_size=4
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "channel", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)
_bodies = st.sampled_from(_BODIES) | st.binary(max_size=60) | _json.map(lambda value: json.dumps(value).encode())
_requests = st.tuples(st.sampled_from(_METHODS), _paths, _queries, _headers, _bodies)


async def _answer(port: int, request: bytes) -> tuple[int, bytes, bytes]:
    """One request over a connection of its own: status, headers, body. A stream is left at its head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            writer.write(request)
            head = b""
            while not head or head.startswith(b"HTTP/1.1 100"):
                head = await reader.readuntil(b"\r\n\r\n")
            goes_on = b"text/event-stream" in head or head.startswith(b"HTTP/1.1 101")
            body = b"" if goes_on else await reader.read()
    finally:
        writer.close()
    return int(head.split()[1]), head, body


# A server and a database for each example: on a busy machine 300 of them take minutes.
@pytest.mark.timeout(900)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from([ALICE, CAROL, ROOT]), _requests), min_size=1, max_size=4))
def test_no_request_is_answered_with_500_and_every_error_has_the_body(
    asked: list[tuple[Identity, tuple[str, str, str, dict[str, str], bytes]]],
) -> None:
    async def ask() -> None:
        with tempfile.TemporaryDirectory() as folder:
            house = House(Path(folder))
            async with house.opened() as client:
                key = await house.section()
                assert url(key) == f"{_RECORD_PATH}/1/1"
                await house.happen(journal_entry())
                signed = {
                    ALICE: await house.token(ALICE),
                    CAROL: await house.token(CAROL, Role.SUPERVISOR),
                    ROOT: await house.token(ROOT, Role.ADMIN),
                }
                for who, (method, path, query, headers, body) in asked:
                    sent = {"Host": "x", "Connection": "close", **signed[who], **headers}
                    lines = [f"{method} {path}?{query} HTTP/1.1", f"Content-Length: {len(body)}"]
                    lines += [f"{name}: {value}" for name, value in sent.items()]
                    raw = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
                    status, head, answer = await _answer(client.port or 0, raw)
                    assert status < 500, answer
                    if head.startswith(b"HTTP/1.0 400"):
                        continue  # aiohttp's parser answers what is no HTTP by itself
                    assert b"nosniff" in head
                    if status >= 400 and method != "HEAD":
                        said = json.loads(answer)
                        assert said.keys() == {"error_id", "message", "details", "timestamp"}
                        assert re.fullmatch("[a-z-]+", said["error_id"])

    asyncio.run(ask())
