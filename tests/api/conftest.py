"""A house with its door open."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from tests.api.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    root = tmp_path / "spool"
    root.mkdir()
    return House(root)


@pytest.fixture
async def client(house: House) -> AsyncIterator[TestClient[Request, Application]]:
    async with house.opened() as client:
        yield client
