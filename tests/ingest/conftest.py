"""Fixtures of ingestion: a web site."""

from collections.abc import AsyncGenerator

import pytest

from tests.fake_site import FakeSite, fake_site


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running
