"""Each fault once, but those that take long (of the disk see tests/whole): nothing of what Asterisk wrote is lost."""

import pytest

from tests.faults.faults import FAULTS
from tests.faults.injected import inject


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("asterisk_chroot")
async def test_nothing_is_lost_whatever_goes_wrong(tmp_path_factory: pytest.TempPathFactory) -> None:
    report = await inject(tmp_path_factory.mktemp("faults"), [one for one in FAULTS if not one.slow], lanes=3)
    assert "\n".join(map(str, report.bad)) == ""
    assert len(report.done) == sum(len(one.scenarios) for one in FAULTS if not one.slow)
