"""What all tests share: no test depends on how fast the machine is."""

import gc

import pytest
from hypothesis import settings

from tests import databases

settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_collection_finish() -> None:
    """What the session itself is made of stays to its end: the collector needn't look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take away the databases that were made on a server."""
    databases.drop_all()
