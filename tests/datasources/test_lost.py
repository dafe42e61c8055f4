"""A Qdrant server that lost what it held."""

from pathlib import Path

import pytest

from llmstack_api import worker
from tests.conftest import make_settings
from tests.datasources.calls import add_text, make_datasource
from tests.datasources.points import points_of, until_points
from tests.datasources.qdrants import picky_qdrant
from tests.datasources.watching import chunks_found
from tests.server import running_server


async def test_a_collection_that_is_gone_at_the_start_is_filled_anew(tmp_path: Path) -> None:
    async with picky_qdrant(tmp_path / "before") as qdrant:
        settings = make_settings(tmp_path, None, qdrant_url=qdrant.url)
        async with running_server(settings) as server, server.client() as client:
            datasources = [await make_datasource(client, "text") for _ in range(2)]
            for datasource in datasources:
                await add_text(client, datasource, "the herring swims")
    async with picky_qdrant(tmp_path / "after") as qdrant:
        settings = settings.model_copy(update={"qdrant_url": qdrant.url})
        async with running_server(settings) as server, server.client() as client:
            for datasource in datasources:
                await until_points(server, datasource, 1)
                assert await chunks_found(client, datasource, "herring") == [0]


async def test_what_is_gone_while_the_server_runs_is_filled_anew_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHECK_INTERVAL", 0.1)
    async with picky_qdrant(tmp_path / "qdrant") as qdrant:
        settings = make_settings(tmp_path, None, qdrant_url=qdrant.url)
        async with running_server(settings) as server, server.client() as client:
            losing, other = [await make_datasource(client, "text") for _ in range(2)]
            for n in range(3):
                await add_text(client, losing, f"herring {n}")
            await add_text(client, other, "the herring swims")
            before = (await client.get(f"/api/datasources/{other}")).json()
            space = await server.resources.embedders.space("builtin/wordllama-256")
            of_it = {"must": [{"key": "datasource_id", "match": {"any": [losing]}}]}
            await server.resources.index.store.delete(space.collection, of_it)
            await until_points(server, losing, 3)
            assert await points_of(server, other) == 1
            assert (await client.get(f"/api/datasources/{other}")).json() == before
