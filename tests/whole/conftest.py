"""The browser of tests/console, for the tests of the whole that are seen in it."""

from tests.console.conftest import browser, pytest_collection_modifyitems

__all__ = ["browser", "pytest_collection_modifyitems"]
