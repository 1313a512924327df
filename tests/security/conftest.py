"""A house with its door open, as for the API's own tests."""

from tests.api.conftest import client, house

__all__ = ["client", "house"]
