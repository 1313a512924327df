"""Fixtures for all tests: a real telephone network for those that ask for it.

A test that uses `network` or `asterisk_chroot` is marked `asterisk`. Where no Asterisk can run it is skipped, but
fails with CI=true, so that a green run never hides that nothing real was tested.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.network import keys
from tests.network.chroot import SUITE, NoAsteriskError, ensure_chroot
from tests.network.network import Network

_FIXTURES = {"network", "asterisk_chroot"}
_CHROOT: pytest.StashKey[Path | str] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.asterisk)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the chroot before any test's clock runs: the first time takes half a minute and a fast network."""
    wanted = any(item.get_closest_marker("asterisk") for item in session.items)
    if wanted and not session.config.option.collectonly:
        try:
            session.config.stash[_CHROOT] = ensure_chroot(SUITE)
        except NoAsteriskError as error:
            session.config.stash[_CHROOT] = str(error)


@pytest.fixture(scope="session")
def asterisk_chroot(request: pytest.FixtureRequest) -> Path:
    """The chroot with Asterisk in it, or no test."""
    chroot = request.config.stash[_CHROOT]
    if isinstance(chroot, Path):
        return chroot
    if os.environ.get("CI") == "true":
        pytest.fail(chroot)
    pytest.skip(chroot)


@contextmanager
def _started(network: Network, chroot: Path) -> Iterator[Network]:
    try:
        network.launch(chroot)
        network.wait_ready()
        yield network
    finally:
        network.stop()


@asynccontextmanager
async def _connected(network: Network) -> AsyncIterator[Network]:
    await network.connect()
    try:
        yield network
    finally:
        await network.disconnect()


@pytest.fixture(scope="session")
def _running(asterisk_chroot: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with _started(Network(work=tmp_path_factory.mktemp("network")), asterisk_chroot) as network:
        yield network


@pytest.fixture
async def network(_running: Network) -> AsyncIterator[Network]:
    """The telephone network, idle, with all phones answering; one for the whole run, connected anew for each test."""
    async with _connected(_running) as connected:
        yield connected


@pytest.fixture(scope="session")
def _running_with_keys(asterisk_chroot: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    work = tmp_path_factory.mktemp("keys")
    with _started(Network(work=work, pbx_extra=keys.PBX_EXTRA), asterisk_chroot) as network:
        yield network


@pytest.fixture
async def keys_network(_running_with_keys: Network) -> AsyncIterator[Network]:
    """Such a network whose phones have recbridge's keys (`tests.network.keys`)."""
    async with _connected(_running_with_keys) as connected:
        yield connected
