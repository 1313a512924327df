"""A finished call of three, recorded in two sections by one rule and in one by another, with real WAVs."""

import copy
import wave
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.async_api import Page, Route

from bridge.core.ids import FactNumber, Identity, RecordId, RuleId, SectionKey
from bridge.core.records import Fact, FactKind
from bridge.core.views import epoch_ms
from bridge.storage.levels import inspect
from tests.api.house import ALICE, BOB, House
from tests.storage import kept

RATE: Final = 8000
LEFT_HZ, RIGHT_HZ = 400.0, 1000.0
NUMBER: Final = 42
STARTED: Final = epoch_ms(kept.NOON)
ANNA, BOBS, CAROLS = "1795223079.178", "1795223079.187", "1795223110.9"


def speech(seconds: float, hertz: float, loud: float = 0.4) -> Any:
    """Something that sounds from second to second and is silent between, so that a drawing of it has a shape."""
    at = np.arange(round(seconds * RATE)) / RATE
    swells = 0.15 + 0.85 * np.abs(np.sin(at * 2.1)) * (np.sin(at * 0.9 + hertz) > -0.6)
    return np.round(np.sin(2 * np.pi * hertz * at) * swells * loud * 32767).astype("<i2")


def write_wav(path: Path, *channels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.stack(channels, axis=-1).tobytes())


def _ms(at_s: float) -> int:
    return STARTED + round(at_s * 1000)


def _lane(*stretches: tuple[str, float, float]) -> list[dict[str, Any]]:
    return [{"state": state, "startedAt": _ms(begin), "endedAt": _ms(end)} for state, begin, end in stretches]


def _party(uniqueid: str, name: str, number: str, identity: str, lane: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "uniqueid": uniqueid, "channel": f"PJSIP/{identity or 'trunk'}-{uniqueid[-3:]}",
        "identity": identity, "name": name, "number": number,
        "outside": not identity, "dialed": bool(identity), "startedAt": lane[0]["startedAt"], "answeredAt": None,
        "endedAt": lane[-1]["endedAt"], "status": "", "talkedS": 10.0, "lane": lane,
    }  # fmt: skip


def _event(at_s: float, kind: str, **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "identity": "bob", "party": None, "how": "", "transferred": None, "target": None, "number": "", "ruleIds": [],
        "verb": "", "code": "",
    }  # fmt: skip
    return {"at": _ms(at_s), "kind": kind, **plain, **more}


@dataclass
class HeardCall:
    """The call as `GET /api/v1/cdrs/42` tells it; what pages send there is in `sent`, and changes it."""

    house: House
    item: dict[str, Any]
    keys: list[SectionKey] = field(default_factory=list)
    sent: list[tuple[str, str, Any]] = field(default_factory=list)

    async def answer(self, route: Route) -> None:
        """What stands between a page and the daemon for this call's own path."""
        request = route.request
        path = request.url.split("/api/v1/")[1]
        if request.method != "GET":
            self.sent.append((request.method, path, request.post_data_json if request.post_data else None))
            self._change(request.method, path, self.sent[-1][2])
        await route.fulfill(json=self.item)

    def _change(self, method: str, path: str, body: Any) -> None:
        item = self.item
        match method, path.removeprefix(f"cdrs/{NUMBER}/").split("/"):
            case "POST", ["tags"]:
                item["tagged"].append({"tag": body["tag"], "source": "user", "by": "root", "at": STARTED})
            case "DELETE", ["tags", tag]:
                item["tagged"] = [one for one in item["tagged"] if one["tag"] != tag]
            case "POST", ["notes"]:
                note = {"id": "n1", "text": body["text"], "by": "root", "at": STARTED, "mayDelete": True}
                item["notes"].append(note)
            case "DELETE", ["notes", _]:
                item["notes"] = []
            case "POST", ["holds"]:
                item["holds"].append(hold(body["why"]))
            case "POST", ["holds", _, "release"]:
                item["holds"][0] |= {"releasedAt": STARTED, "releasedBy": "root", "releasedWhy": body["why"]}
            case _:
                raise AssertionError(path)

    async def listened(self) -> list[Fact]:
        """The facts of who was handed audio."""
        facts = [one.fact for one in await self.house.store.facts_after(FactNumber(0), 1000)]
        return [one for one in facts if one.kind in {FactKind.RECORDING_PLAYED, FactKind.RECORDING_DOWNLOADED}]

    async def shown(self, page: Page, query: str = "") -> Page:
        """The page with this call in it."""
        await page.context.route(f"**/api/v1/cdrs/{NUMBER}**", self.answer)
        await page.context.route("**/api/v1/holds**", self.answer)
        await page.goto(f"/calls/{NUMBER}{query}")
        await page.locator(".timeline svg").wait_for()
        return page


def hold(why: str) -> dict[str, Any]:
    return {
        "id": "h1", "callId": kept.CALL, "recordId": None, "number": None, "identity": None, "from": None,
        "until": None, "who": "root", "why": why, "setAt": STARTED, "releasedAt": None, "releasedBy": "",
        "releasedWhy": "",
    }  # fmt: skip


async def heard_call(house: House) -> HeardCall:
    """Rule 3 records Anna with Bob (3 s to 11 s), and with Carol (31 s to 37 s), in stereo; rule 5 the first talk."""
    call = HeardCall(house, {})
    first = await _section(call, (3, 1, "Support, always"), 3.0, (speech(8, LEFT_HZ), speech(8, RIGHT_HZ, 0.2)))
    second = await _section(call, (3, 2, "Support, always"), 31.0, (speech(6, LEFT_HZ), speech(6, RIGHT_HZ)))
    mono = await _section(call, (5, 1, "Quality"), 3.5, (speech(7, LEFT_HZ),))
    first |= {"left": [ANNA], "right": [BOBS]}
    second |= {"left": [ANNA], "right": [CAROLS]}
    call.item = {
        "id": NUMBER, "callId": kept.CALL, "recordIds": [kept.RECORD], "startedAt": STARTED, "answeredAt": _ms(3),
        "endedAt": _ms(43), "durationS": 43.0, "talkedS": 33.0, "direction": "inbound", "status": "answered",
        "source": {"number": "+4973112345", "name": "Anna", "identity": ""},
        "destination": {"number": "102", "name": "Bob", "identity": "bob"}, "dialed": "300", "queue": "support",
        "participants": ["bob", "carol"], "recorded": True, "sections": 3, "recordedS": 21.0,
        "tags": ["angry", "support"],
        "tagged": [
            {"tag": "support", "source": "rule", "by": "", "at": _ms(3)},
            {"tag": "angry", "source": "user", "by": "bob", "at": _ms(90)},
        ],
        "notes": [], "holds": [], "listened": [
            {"at": _ms(600), "kind": "played", "identity": "alice", "recordId": kept.RECORD, "ruleId": 3, "file": 1},
        ],
        "timeline": {
            "startedAt": STARTED, "endedAt": _ms(43),
            "parties": [
                _party(ANNA, "Anna", "+4973112345", "", _lane(
                    ("waiting", 0, 3), ("talking", 3, 21), ("held", 21, 31), ("talking", 31, 43))),
                _party(BOBS, "Bob", "102", "bob", _lane(
                    ("ringing", 1, 3), ("talking", 3, 21), ("holding", 21, 24), ("talking", 24, 31))),
                _party(CAROLS, "Carol", "103", "carol", _lane(
                    ("ringing", 22, 24), ("talking", 24, 43))),
            ],
            "talks": [
                _talk("t1", 3, 21, ANNA, BOBS), _talk("t2", 24, 31, BOBS, CAROLS), _talk("t3", 31, 43, ANNA, CAROLS),
            ],
            "sections": [first, second, mono],
            "events": [
                _event(6, "paused", how="api", ruleIds=[3]), _event(9, "resumed", how="phone", ruleIds=[3]),
                _event(12, "refused", how="api", verb="start", code="recording-automatic"),
                _event(21, "held", party=BOBS),
                _event(31, "transferred", party=BOBS, how="attended", transferred=ANNA, target=CAROLS, number="103"),
            ],
            "pauses": [{"ruleId": 3, "startedAt": _ms(6), "endedAt": _ms(9), "identity": "bob"}],
            "gaps": [
                _gap(3, "t1", 11, 21, "failed", fault=True), _gap(3, "t2", 24, 31, "consultation"),
                _gap(3, "t3", 37, 43, "paused"), _gap(5, "t2", 24, 31, "not-matched"),
            ],
        },
    }  # fmt: skip
    return call


def without_recordings(call: HeardCall) -> HeardCall:
    """The same, where nothing was recorded."""
    item = copy.deepcopy(call.item)
    item |= {"recorded": False, "sections": 0, "recordedS": 0.0}
    item["timeline"] |= {"sections": [], "events": [], "pauses": [], "gaps": [_gap(None, "t1", 3, 21, "no-rule")]}
    return HeardCall(call.house, item)


def _talk(talk_id: str, begin: float, end: float, *parties: str) -> dict[str, Any]:
    present = [{"party": one, "startedAt": _ms(begin), "endedAt": _ms(end)} for one in parties]
    return {"id": talk_id, "startedAt": _ms(begin), "endedAt": _ms(end), "parties": present}


def _gap(rule: int | None, talk: str, begin: float, end: float, reason: str, *, fault: bool = False) -> dict[str, Any]:
    return {
        "ruleId": rule, "talk": talk, "startedAt": _ms(begin), "endedAt": _ms(end), "reason": reason, "fault": fault,
    }  # fmt: skip


async def _section(
    call: HeardCall, which: tuple[int, int, str], at_s: float, channels: tuple[Any, ...]
) -> dict[str, Any]:
    rule, file, name = which
    house = call.house
    path = f"2026/08/01/{kept.RECORD}_{rule}_{file:03}.wav"
    write_wav(house.root / path, *channels)
    report = inspect(house.root / path)
    began = kept.NOON + timedelta(seconds=at_s)
    ended = began + timedelta(seconds=report.duration_s)
    key = await house.section(
        file, None, rule_id=RuleId(rule), path=path, report=report, started_at=began, ended_at=ended,
        participants=(ALICE, BOB, Identity("carol")), stereo=len(channels) == 2,
    )  # fmt: skip
    call.keys.append(key)
    return {
        "recordId": RecordId(kept.RECORD), "ruleId": rule, "ruleName": name, "file": file, "talk": "t1",
        "state": "stored", "type": "auto", "identity": "", "startedAt": epoch_ms(began), "endedAt": epoch_ms(ended),
        "offsetS": at_s, "durationS": report.duration_s, "stereo": len(channels) == 2, "left": [], "right": [],
        "leg": ANNA, "channels": report.channels, "sampleRate": RATE, "sizeBytes": report.size_bytes,
        "sha256": report.sha256, "playable": True, "deleted": False, "deletedAt": None, "reason": None, "tags": [],
    }  # fmt: skip
