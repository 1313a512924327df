"""Commands beside a daemon: what they may do to its database."""

from pathlib import Path

import pytest

from bridge.cli.main import main
from bridge.lock import alone, lock_of
from tests.storage.databases import NEWEST, apply, asked, backups, schema_of

ADD_TOKEN = ("token", "create", "--identity", "alice", "--role", "user")


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Of a database that code of the schema before has made."""
    await apply(tmp_path / "x.db", schema_of(NEWEST - 1, tmp_path / "schema"))
    file = tmp_path / "recbridge.yml"
    file.write_text(f"asterisk: {{username: u, secret: s}}\ndatabase: {tmp_path}/x.db\n")
    return file


def test_no_command_brings_the_database_up_to_date_under_an_older_daemon_that_runs(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = config.with_name("x.db")
    with alone(database):
        assert main([*ADD_TOKEN, "--config", str(config)]) == 1
    assert "restart it" in capsys.readouterr().err
    assert asked(database, "PRAGMA user_version") == [(NEWEST - 1,)]
    assert backups(database) == []


def test_where_none_runs_it_does_and_leaves_no_lock_of_its_own(config: Path) -> None:
    database = config.with_name("x.db")
    assert main([*ADD_TOKEN, "--config", str(config)]) == 0
    assert asked(database, "PRAGMA user_version") == [(NEWEST,)]
    assert not lock_of(database).exists()


def test_what_is_no_database_is_told_as_such_beside_a_daemon_too(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = config.with_name("x.db")
    for left in database.parent.glob("x.db*"):
        left.unlink()
    database.write_bytes(b"something else" * 999)
    with alone(database):
        assert main([*ADD_TOKEN, "--config", str(config)]) == 1
    assert "no SQLite database" in capsys.readouterr().err


def test_a_daemon_of_this_version_is_no_reason_to_refuse(config: Path) -> None:
    database = config.with_name("x.db")
    assert main([*ADD_TOKEN, "--config", str(config)]) == 0
    with alone(database):
        assert main([*ADD_TOKEN, "--config", str(config)]) == 0
    assert asked(database, "SELECT count(*) FROM tokens") == [(2,)]


@pytest.mark.parametrize(
    "command", [("hold", "list"), ("hold", "add", "--number", "1", "--why", "x"), ("erase", "--expired", "--why", "x")]
)
def test_a_database_that_is_not_there_is_not_made_to_hold_or_erase_something_in_it(
    config: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    file = config.with_name("other.yml")
    file.write_text(config.read_text().replace("x.db", "y.db"))
    assert main([*command, "--config", str(file)]) == 1
    assert "it is not there" in capsys.readouterr().err
    assert list(config.parent.glob("y.db*")) == []
