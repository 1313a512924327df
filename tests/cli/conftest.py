"""Commands set the log up for their process; here that is the tests', too."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Else later tests would write where a command's standard error was."""
    yield
    structlog.reset_defaults()
