"""Every folder of `fixtures/`: its capture through parser and recorder, against what must come of it."""

import json
from pathlib import Path

import pytest

from bridge.replay import read_messages
from tests.captures.folder import FIXTURES, Folder, as_text
from tests.captures.scenarios import SCENARIOS

FOLDERS = sorted(path for path in FIXTURES.iterdir() if path.is_dir())
KNOWN_WRONG = {path: Folder(path).known_wrong for path in FOLDERS}
LOOK = "look at the difference; if it is right: python -m tests.captures --expected"


@pytest.fixture(params=[path for path in FOLDERS if KNOWN_WRONG[path] is None], ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> Folder:
    return Folder(request.param)


def test_what_comes_of_a_capture_is_what_must_come_of_it(folder: Folder) -> None:
    assert json.loads(as_text(folder.replayed())) == json.loads(folder.expected.read_text("utf-8")), LOOK


@pytest.mark.parametrize(
    "path", [path for path in FOLDERS if KNOWN_WRONG[path] is not None], ids=lambda path: path.name
)
def test_what_is_known_to_be_wrong_still_is(path: Path) -> None:
    folder = Folder(path)
    right = json.loads(as_text(folder.replayed())) == json.loads(folder.expected.read_text("utf-8"))
    assert not right, "it is right now: remove known-wrong.txt"


def test_a_capture_replayed_twice_gives_the_same_bytes(folder: Folder) -> None:
    first, second = (as_text(folder.replayed()).encode() for _ in range(2))
    assert first == second == folder.expected.read_bytes(), LOOK


def test_every_call_of_a_capture_comes_to_its_end(folder: Folder) -> None:
    messages = read_messages(folder.events.read_bytes(), str(folder.events))
    names = [message.header("Event") for message in messages]
    assert names.count("Newchannel") == names.count("Hangup") > 0
    replayed = folder.replayed()
    assert {section.state for section in replayed.sections.values()} <= {"stored"}
    began = [fact.call_id for fact in replayed.facts if fact.kind == "call.began"]
    ended = [fact.call_id for fact in replayed.facts if fact.kind == "call.ended"]
    joined = [fact.data["joined"] for fact in replayed.facts if fact.kind == "call.joined"]
    assert {*ended, *joined} == set(began)
    assert len(ended) + len(joined) == len(began)


def test_every_scenario_has_its_folder() -> None:
    assert {scenario.name for scenario in SCENARIOS} <= {folder.name for folder in FOLDERS}
    assert len(FOLDERS) >= 25


def test_captures_stay_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*")) < 8_000_000
