"""A vector store of each engine: embedded, over the fake server, and over a real one where there is one."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from llmstack_api.vectors.edge import EdgeStore
from llmstack_api.vectors.qdrant import QdrantStore
from llmstack_api.vectors.store import VectorStore
from tests.fake_qdrant import FakeQdrant, fake_qdrant_server

SERVER = os.environ.get("QDRANT_TEST_URL")
ENGINES = ["edge", "qdrant", *(["server"] if SERVER else [])]


@pytest.fixture
def collection() -> str:
    """A name that no other test has."""
    return f"test_{uuid4().hex}"


@pytest.fixture
async def fake_qdrant(tmp_path: Path) -> AsyncGenerator[FakeQdrant]:
    """A fake Qdrant server."""
    async with fake_qdrant_server(tmp_path / "fake") as server:
        yield server


@pytest.fixture(params=ENGINES)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, collection: str
) -> AsyncGenerator[VectorStore]:
    """An empty vector store, once of each engine."""
    match request.param:
        case "edge":
            opened = EdgeStore(tmp_path / "vectors")
            yield opened
            await opened.close()
        case "qdrant":
            async with fake_qdrant_server(tmp_path / "fake") as server:
                remote = QdrantStore(server.url)
                yield remote
                await remote.close()
        case _:
            remote = QdrantStore(str(SERVER))
            yield remote
            await remote.close()
            async with httpx.AsyncClient(base_url=str(SERVER)) as client:
                await client.delete(f"/collections/{collection}")
