"""A daemon that is killed at any step of a section's life, and started again, has what it would have had."""

import pytest

from tests.faults.kills import kill
from tests.faults.scenarios import SCENARIOS

KILLS = 20


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("asterisk_chroot")
async def test_a_kill_at_any_step_loses_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    # The long call alone takes as long as three others; `make test-faults` has it.
    report = await kill(
        tmp_path_factory.mktemp("kills"), KILLS, [one for one in SCENARIOS if one.name != "long"], lanes=2
    )
    assert "\n".join(map(str, report.bad)) == ""
    assert report.kills >= KILLS * 0.9
