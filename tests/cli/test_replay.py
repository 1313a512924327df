import io
import json
from pathlib import Path

import pytest

from bridge.cli.main import main
from tests.captures.folder import FIXTURES

TRANSFER = FIXTURES / "22-blind-transfer"


def asked(folder: Path, *more: str, capture: str | None = None) -> list[str]:
    files = ["--rules", str(folder / "rules.yml"), "--users", str(folder / "users.yml")]
    return ["replay", capture or str(folder / "events.ami"), *files, *more]


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0
    return capsys.readouterr().out


def test_shows_each_section_and_why_a_rule_did_not_match(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, *asked(TRANSFER))
    lines = out.splitlines()
    assert lines[0].split() == ["CALL", "WHO", "RULE", "SECTION", "FROM", "TO", "SECONDS", "LEG"]
    sections = [line for line in lines if line.endswith(tuple("0123456789abcdef")) and "  PJSIP/alice-" in line]
    assert [line.split("bob  ")[1].split("  ")[0] for line in sections] == [
        "1 All of the call", "2 While Bob is in it", "1 All of the call", "3 With Carol",
    ]  # fmt: skip
    assert "    rule 3 With Carol: user is alice and bob, not carol" in lines
    assert "    rule 1 All of the call: records, as it follows (here user is alice and carol, not bob)" in lines
    assert "    rule 2 While Bob is in it: user is alice and carol, not bob" in lines


def test_the_same_question_has_the_same_answer_from_a_file_and_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shown(capsys, *asked(TRANSFER))
    assert shown(capsys, *asked(TRANSFER)) == first
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((TRANSFER / "events.ami").read_bytes())))
    assert shown(capsys, *asked(TRANSFER, capture="-")) == first


def test_json_agrees_with_what_must_come_of_the_capture(capsys: pytest.CaptureFixture[str]) -> None:
    [call] = json.loads(shown(capsys, *asked(TRANSFER, "--json")))["calls"]
    expected = json.loads((TRANSFER / "expected.json").read_text())
    assert [(one["recordId"], one["ruleId"], one["file"]) for one in call["sections"]] == [
        (one["record_id"], one["rule_id"], one["file"]) for one in expected["sections"]
    ]
    assert [talk["recording"] for talk in call["talks"]] == [[1, 2], [1, 3]]
    assert call["who"] == "alice -> bob"
    assert call["talks"][0]["rules"][2]["reason"] == "user is alice and bob, not carol"


def test_a_never_and_a_call_without_talk_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, *asked(FIXTURES / "22-two-at-once"))
    assert "    not recorded: never by rule 2\n    rule 1 Everything: matches, but never by rule 2\n" in out
    assert "alice -> bob: no talk\n" in shown(capsys, *asked(FIXTURES / "22-busy"))


def test_trunks_say_who_is_outside(capsys: pytest.CaptureFixture[str]) -> None:
    folder = FIXTURES / "22-inside"
    inside = json.loads(shown(capsys, *asked(folder, "--json")))
    outside = json.loads(shown(capsys, *asked(folder, "--json", "--trunks", "PJSIP/carrier*", "PJSIP/bob*")))
    assert [calls["calls"][0]["direction"] for calls in (inside, outside)] == ["internal", "outbound"]


def test_a_caller_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in shown(capsys, *asked(FIXTURES / "22-names-hostile"))
    assert "\x1b" not in shown(capsys, *asked(FIXTURES / "22-numbers-hostile"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no capture: it holds no event of Asterisk's manager interface"),
        (b"rules:\n  - id: 1\n", "is no capture: it holds no event of Asterisk's manager interface"),
        (b"\x00\xff" * 100, "is no capture: it holds no event of Asterisk's manager interface"),
        (b"Event: Newchannel\r\nUniqueid: 1.1\r\nChannel: PJSIP/a-1\r\n\r\n", "has no Timestamps: set timestampevents"),
    ],
)
def test_a_file_that_is_no_capture_is_refused(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.ami"
    path.write_bytes(content)
    assert main(asked(TRANSFER, capture=str(path))) == 1
    assert f"{path}:1:1: {words}" in capsys.readouterr().err


def test_every_mistake_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = [str(tmp_path / name) for name in ("events.ami", "rules", "users.yml")]
    assert main(["replay", missing[0], "--rules", missing[1], "--users", missing[2]]) == 1
    err = capsys.readouterr().err
    assert [line for line in missing if f"{line}:1:1: cannot be read" in err] == missing


def test_what_a_session_saw_beside_the_events_does_not_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = (TRANSFER / "events.ami").read_bytes()
    banner = b"Asterisk Call Manager/11.0.0\r\nResponse: Success\r\nMessage: Authentication accepted\r\n\r\n"
    path = tmp_path / "session.ami"
    path.write_bytes(banner + raw + b"Event: Newchannel\r\nUniq")
    assert shown(capsys, *asked(TRANSFER, capture=str(path))) == shown(capsys, *asked(TRANSFER))
    path.write_bytes(raw.replace(b"\r\n", b"\n"))
    assert shown(capsys, *asked(TRANSFER, capture=str(path))) == shown(capsys, *asked(TRANSFER))


def test_a_capture_that_ends_in_a_call_shows_what_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = (TRANSFER / "events.ami").read_bytes()
    path = tmp_path / "half.ami"
    path.write_bytes(raw[: raw.index(b"Event: BridgeLeave")])
    assert "goes on" in shown(capsys, *asked(TRANSFER, capture=str(path)))


def test_recordings_made_while_the_capture_was_taken_count_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = (TRANSFER / "events.ami").read_bytes()
    at = raw.index(b"Event: BridgeEnter")
    alice = raw[raw.index(b"\r\nUniqueid: ") + 12 :].split(b"\r\n")[0]
    started = b"Event: MixMonitorStart\r\nTimestamp: 1.0\r\nChannel: PJSIP/alice\r\nUniqueid: " + alice + b"\r\n\r\n"
    path = tmp_path / "recorded.ami"
    path.write_bytes(raw[:at] + started + raw[at:])
    assert shown(capsys, *asked(TRANSFER, capture=str(path))) == shown(capsys, *asked(TRANSFER))
