"""Fixtures of the CSMS's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.csms import worlds


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[worlds.World]:
    """A CSMS with default settings."""
    async with worlds.world(tmp_path) as made:
        yield made
