"""What features.conf, manager.conf and a version mean for recbridge."""

from pathlib import Path

import pytest

from bridge.asterisk.snippets import features_conf, manager_conf
from bridge.doctor.asterisk_files import read_here
from bridge.doctor.defects import version_finding
from bridge.doctor.features import features_finding
from bridge.doctor.findings import State
from bridge.doctor.manager_user import Categories, read_finding

OURS = ("applicationmap", [("recbridge", "*3,self,UserEvent,RecordToggle")])
ELSEWHERE = ("general", [("atxferthreeway", "*5")])


@pytest.mark.parametrize(
    ("features", "dtmf", "state"),
    [
        ([ELSEWHERE], False, State.OK),
        ([OURS, ELSEWHERE], False, State.OK),
        ([OURS], False, State.WARNING),  # atxferthreeway has *3 if nothing is said
        ([OURS, ELSEWHERE], True, State.WARNING),  # twice
        ([OURS, ELSEWHERE, ("featuremap", [("automixmon", "*3")])], False, State.WARNING),
        ([OURS, ELSEWHERE, ("featuremap", [("automixmon", "*1")])], False, State.WARNING),
        ([OURS, ("applicationmap", [("mine", "*3,self,Playback,beep")]), ELSEWHERE], False, State.WARNING),
        ([("applicationmap", [("recbridge", "*9,self,UserEvent,RecordToggle")])], False, State.OK),
        ([("applicationmap", [("recbridge", "*9,self,UserEvent(RecordToggle)")])], False, State.OK),
        ([ELSEWHERE], True, State.OK),
        ([ELSEWHERE, ("featuremap", [("automixmon", "*3")])], True, State.FAILED),
        ([ELSEWHERE, ("featuremap", [("automixmon", "")])], True, State.OK),
        ("Permission denied", False, State.UNKNOWN),
    ],
)
def test_who_else_acts_on_the_record_key(features: Categories | str, dtmf: bool, state: State) -> None:
    finding = features_finding(features, 18, dtmf=dtmf)
    assert finding.state is state, finding
    assert bool(finding.remedy) is (state is not State.OK)


def test_since_21_an_automon_takes_all_features_with_it() -> None:
    features = [OURS, ELSEWHERE, ("featuremap", [("automon", "*1")])]
    assert features_finding(features, 22, dtmf=False).state is State.FAILED
    assert features_finding(features, 20, dtmf=False).state is State.WARNING


@pytest.mark.parametrize(
    ("version", "state", "words"),
    [
        ("22.10.1+dfsg+~cs6.17.60671434-1", State.OK, "Debian's patch"),
        ("22.10.1", State.OK, "22.10.1"),
        ("22.0.0", State.OK, "cannot filter"),
        ("20.2.1", State.WARNING, "a pause stops the recording"),
        ("20.3.0", State.OK, "cannot filter"),
        ("18.18.0", State.OK, ""),
        ("18.17.0", State.WARNING, "a pause stops the recording"),
        ("19.8.0", State.WARNING, "a pause stops the recording"),
        ("21.1.0", State.OK, ""),
        ("certified/18.9-cert5", State.WARNING, "a pause stops the recording"),
        ("16.28.0~dfsg-0+deb11u4", State.WARNING, "a pause stops the recording"),
        ("16.2.1~dfsg-1+deb10u2", State.WARNING, "no event tells"),
        ("13.38.3", State.FAILED, "never tried"),
        ("GIT-master-0123abc", State.UNKNOWN, "no version"),
        ("", State.UNKNOWN, "not told"),
    ],
)
def test_what_is_known_of_a_version(version: str, state: State, words: str) -> None:
    finding = version_finding(version)
    assert finding.state is state, finding
    assert words in finding.words
    assert bool(finding.remedy) is (state in (State.WARNING, State.FAILED))


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ([("read", "system, call,agent,user,dialplan")], State.OK),
        ([("read", "all")], State.OK),
        ([("read", "all"), ("read", "system")], State.FAILED),  # the last line counts
        ([("secret", "x")], State.FAILED),  # without a line nothing may be read
        ([("read", "system,call,agent,user")], State.WARNING),
    ],
)
def test_what_a_users_section_lets_it_read(lines: list[tuple[str, str]], state: State) -> None:
    assert read_finding([("bridge", lines)], booted=True, dtmf=False).state is state


def test_what_we_print_is_what_we_need(tmp_path: Path) -> None:
    (tmp_path / "manager.conf").write_text(manager_conf("bridge", "s3cret"))
    (tmp_path / "features.conf").write_text("[general]\natxferthreeway = *5\n" + features_conf())
    user, features = read_here("manager.conf", "bridge", tmp_path), read_here("features.conf", "", tmp_path)
    assert read_finding(user, booted=True, dtmf=False).state is State.OK
    assert features_finding(features, 22, dtmf=False).state is State.OK
    assert read_finding(user, booted=True, dtmf=True).values["missing"] == ["dtmf"]


@pytest.mark.parametrize("text", ["#include other.conf\n", "[bridge](template)\nread = all\n"])
def test_a_file_that_is_not_whole_by_itself_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "manager.conf").write_text(text)
    read = read_here("manager.conf", "bridge", tmp_path)
    assert isinstance(read, str)
    assert "not followed" in read
