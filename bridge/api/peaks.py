"""What a section looks like: its loudness over time, drawn without its audio."""

import base64

from aiohttp import web
from typing_extensions import TypedDict

from bridge.api.answers import NotStoredYetError, json_response
from bridge.api.auth import Access
from bridge.api.operations import Operation
from bridge.api.records import SECTION_PATH, section_key, stored_section
from bridge.api.validation import Nothing, query_of
from bridge.core.access import Scope
from bridge.core.records import AudioReport


class Peaks(TypedDict):
    """How loud a section is, over its length.

    `peaks` has for each channel, left first, base64 of signed bytes: the lowest and the highest sample of each of so
    many equal stretches, by turns, -128 to 127 for full scale. There are as many as the audio is long for: 10 to 100 in
    a second, 4,000 at most.
    """

    durationS: float
    channels: int
    peaks: list[str]


async def peaks(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/records/{recordId}/{ruleId}/{file}/peaks`. Nobody has listened who has seen this: it is no fact."""
    query_of(request, Nothing)
    access.needs(Scope.PLAY)
    section = await stored_section(request, section_key(request.match_info), access.reader)
    if section.report is None:
        raise NotStoredYetError("nobody has looked into this section's audio", state=str(section.state))
    headers = {"ETag": f'"{section.report.sha256}"', "Cache-Control": "private, no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
    if headers["ETag"] in known or "*" in known:
        return web.Response(status=304, headers=headers)
    return json_response(_peaks(section.report), headers=headers)


def _peaks(report: AudioReport) -> Peaks:
    step = 2 * report.channels
    drawn = []
    for channel in range(report.channels):
        both = bytearray(len(report.peaks) // step * 2)
        both[0::2] = report.peaks[2 * channel :: step]
        both[1::2] = report.peaks[2 * channel + 1 :: step]
        drawn.append(base64.b64encode(both).decode())
    return {"durationS": round(report.duration_s, 3), "channels": report.channels, "peaks": drawn}


OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/records/{record_id}/{rule_id}/{file}/peaks",
        peaks,
        "How loud a section is, over its length",
        {200: Peaks, 304: None},
        errors=(403, 409, 410),
        path_schemas=SECTION_PATH,
    ),
)
