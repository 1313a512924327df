import configparser

import pytest

from bridge.asterisk.snippets import manager_conf
from bridge.core.errors import InvalidAmiValueError


def test_the_user_may_do_what_is_needed_from_this_machine_only() -> None:
    parsed = configparser.ConfigParser(comment_prefixes=(";",), interpolation=None)
    parsed.read_string(manager_conf("bridge", "s3cr%t"))
    assert parsed["general"]["timestampevents"] == "yes"
    assert dict(parsed["bridge"]) == {
        "secret": "s3cr%t",
        "deny": "0.0.0.0/0.0.0.0",
        "permit": "127.0.0.1/255.255.255.255",
        "read": "system,call,agent,user,dialplan",
        "write": "system,call",
        "writetimeout": "5000",
    }


def test_keys_are_readable_only_if_wanted() -> None:
    parsed = configparser.ConfigParser(comment_prefixes=(";",), interpolation=None)
    parsed.read_string(manager_conf("bridge", "secret", dtmf=True))
    assert parsed["bridge"]["read"] == "system,call,agent,user,dialplan,dtmf"


@pytest.mark.parametrize("username", ["", "general", "a]b", "a\nb", "a b", "a;b"])
def test_a_name_that_would_break_the_file_is_refused(username: str) -> None:
    with pytest.raises(InvalidAmiValueError):
        manager_conf(username, "secret")


@pytest.mark.parametrize("secret", ["", "a b", "a;b", "a\nwrite = all", ">x", "ü"])
def test_a_secret_that_manager_conf_cannot_hold_is_refused(secret: str) -> None:
    with pytest.raises(InvalidAmiValueError):
        manager_conf("bridge", secret)
