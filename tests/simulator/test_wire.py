"""How MixMonitor's arguments are split."""

import pytest

from tests.simulator.wire import option, split_arguments


@pytest.mark.parametrize(
    ("joined", "parts"),
    [
        ("/a.wav,i(X),", ("/a.wav", "i(X)", "")),
        ("/a.wav,i(X,Y)r(/b.wav),touch /x,y", ("/a.wav", "i(X,Y)r(/b.wav)", "touch /x,y")),
        ("/a.wav,b,rm -rf /,i(X),", ("/a.wav", "b", "rm -rf /,i(X),")),
        ("/a.wav", ("/a.wav", "", "")),
    ],
)
def test_arguments_are_split_as_asterisk_does(joined: str, parts: tuple[str, str, str]) -> None:
    assert split_arguments(joined) == parts


def test_options_are_found_outside_other_options_arguments() -> None:
    assert option("r(/i.wav)b", "i") is None
    assert option("bi(VAR)", "i") == "VAR"
    assert option("bi(VAR)", "b") == ""
