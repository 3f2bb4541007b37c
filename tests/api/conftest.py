"""Fixtures of the API's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api import houses


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[houses.House]:
    """A CSMS with its API, default settings."""
    async with houses.house(tmp_path) as made:
        yield made
