"""An office with its door open."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from tests.api.wazo.office import FakeExports, FakeRecordings, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    root = tmp_path / "spool"
    root.mkdir()
    office = Office(root)
    office.recordings = FakeRecordings(office.store)
    office.exports = FakeExports(office.store, tmp_path)
    return office


@pytest.fixture
async def wazo(office: Office) -> AsyncIterator[TestClient[Request, Application]]:
    async with office.opened() as client:
        yield client
