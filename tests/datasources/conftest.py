"""Fixtures of datasources: pauses that suit tests, a Qdrant server, a web site."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from llmstack_api import worker
from llmstack_api.datasources import ingestion
from llmstack_api.vectors import qdrant_calls
from tests.datasources.qdrants import PickyQdrant, picky_qdrant
from tests.fake_site import FakeSite, fake_site


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses of a worker, so that many of them fit into a test."""
    monkeypatch.setattr(ingestion, "AWAY_PAUSE", 0.2)
    monkeypatch.setattr(ingestion, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(ingestion, "RETRY_PAUSES", (0.1, 0.2))
    monkeypatch.setattr(worker, "RECONCILE_INTERVAL", 0.2)
    monkeypatch.setattr(worker, "OVERDUE", timedelta(seconds=0.1))
    monkeypatch.setattr(qdrant_calls, "BACKOFF", 0.01)


@pytest.fixture
async def qdrant(tmp_path: Path) -> AsyncGenerator[PickyQdrant]:
    async with picky_qdrant(tmp_path / "qdrant") as running:
        yield running


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running
