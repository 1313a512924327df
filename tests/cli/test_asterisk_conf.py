import argparse
import json

import pytest

from bridge.cli import asterisk_conf


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    asterisk_conf.register(parser.add_subparsers(required=True))
    args = parser.parse_args(["asterisk-conf", *arguments])
    code = args.func(args)
    assert isinstance(code, int)
    return code


def test_a_fresh_secret_is_made_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for _ in range(2):
        assert run("--json") == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["secret"] != found[1]["secret"]
    assert len(found[0]["secret"]) >= 32
    assert found[0]["username"] == "bridge"
    assert f"secret = {found[0]['secret']}\n" in found[0]["manager_conf"]


def test_the_text_holds_the_given_name_and_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--username", "rec", "--secret", "abc", "--config", "/nowhere.yml") == 0
    out = capsys.readouterr().out
    assert "[rec]\nsecret = abc\n" in out
    assert "dtmf" not in out


def test_each_file_can_be_had_alone_and_all_of_them_begin_with_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    alone = []
    for name in ("manager.conf", "features.conf", "extensions.conf"):
        assert run("--secret", "abc", "--file", name) == 0
        alone.append(capsys.readouterr().out)
        assert alone[-1].startswith(f"; /etc/asterisk/{name}: ")
    assert run("--secret", "abc") == 0
    assert capsys.readouterr().out == "\n\n".join(alone)
    assert run("--secret", "abc", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [found["manager_conf"], found["features_conf"], found["extensions_conf"]] == alone


def test_keys_may_be_read_only_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--dtmf", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["read"][-1] == "dtmf"
    assert f"read = {','.join(found['read'])}\n" in found["manager_conf"]
    assert run("--json") == 0
    assert "dtmf" not in capsys.readouterr().out


def test_what_manager_conf_cannot_hold_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--secret", "two words") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("recbridge asterisk-conf: the secret")
