"""The port `Retriever` over real datasources: what it finds, and what it says where it cannot search."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from llmstack_api import auth
from llmstack_api.datasources.retriever import MAX_QUERY, DatasourceRetriever
from llmstack_api.db import open_database
from llmstack_api.errors import (
    ProcessorInputError,
    ProviderRefusedError,
    RetrievalAwayError,
)
from llmstack_api.settings import Settings
from tests.datasources.calls import add_text, make_datasource
from tests.datasources.endpoints import with_endpoint
from tests.datasources.points import BUNDLED
from tests.datasources.qdrants import PickyQdrant
from tests.fake_model import FakeModel, fake_model_server
from tests.fake_qdrant import Fault
from tests.postgres import free_port
from tests.server import RunningServer, running_server

FERRY = "The ferry to the island leaves every morning at eight."
BAKERY = "Bread is baked in the village before sunrise."
MUSEUM = "Paintings of sailing ships hang in the small museum."
QUERY = "when does the ferry leave"


async def retriever_of(server: RunningServer, account: str = "default") -> DatasourceRetriever:
    return DatasourceRetriever(
        server.resources, await server.resources.db.write(auth.ensure_account, account)
    )


@pytest.fixture
async def server(sqlite_settings: Settings, fake_model: FakeModel) -> AsyncGenerator[RunningServer]:
    """A server with the bundled embedding model and one over HTTP."""
    async with running_server(with_endpoint(sqlite_settings, fake_model)) as running:
        yield running


@pytest.fixture
async def datasource(server: RunningServer) -> str:
    """A datasource of the bundled model with three entries."""
    async with server.client() as client:
        made = await make_datasource(client, embedding={"model": BUNDLED})
        for year, (name, text) in enumerate(
            {"ferry": FERRY, "bakery": BAKERY, "museum": MUSEUM}.items(), start=2020
        ):
            await add_text(client, made, text, name=name, topic=name, year=year)
    return made


async def search(
    server: RunningServer, *datasources: str, query: str = QUERY, limit: int = 5, **more: Any
) -> list[str]:
    """Search; return what was found."""
    retriever = await retriever_of(server)
    found = await retriever.search(query, datasources=datasources, limit=limit, **more)
    return [passage.content for passage in found]


async def test_a_passage_has_its_text_its_source_its_metadata_and_where_it_is(
    server: RunningServer, datasource: str
) -> None:
    first, *rest = await (await retriever_of(server)).search(QUERY, datasources=[datasource], limit=2)
    assert (first.content, first.source, first.datasource) == (FERRY, "ferry", datasource)
    assert first.metadata["md_topic"] == "ferry"
    assert first.entry
    assert [passage.score for passage in (first, *rest)] == sorted((first.score, rest[0].score), reverse=True)
    assert len(rest) == 1


async def test_a_query_may_be_blank_or_very_long_and_a_datasource_empty_or_not_there(
    server: RunningServer, datasource: str
) -> None:
    assert await search(server, datasource, query=" \n") == []
    assert (await search(server, datasource, query=f"{QUERY} {'ferry ' * MAX_QUERY}"))[0] == FERRY
    assert await search(server) == []
    async with server.client() as client:
        assert await search(server, await make_datasource(client)) == []


async def test_the_weight_of_meaning_goes_from_words_alone_to_meaning_alone(
    server: RunningServer, datasource: str
) -> None:
    retriever = await retriever_of(server)
    scores: dict[float | None, list[float]] = {}
    for weight in (0, 0.01, 0.5, 0.99, 1, None):
        found = await retriever.search("bread", datasources=[datasource], limit=5, vector_weight=weight)
        assert found[0].content == BAKERY, weight
        scores[weight] = [passage.score for passage in found]
    assert len(scores[0]) == 1  # no other has the word
    assert len(scores[1]) == 3
    assert max(scores[1]) <= 1  # cosines
    assert len(scores[0.5]) == len(scores[0.01]) == len(scores[0.99]) == 3


async def test_a_filter_is_a_line_of_text_or_a_tree_and_fails_closed(
    server: RunningServer, datasource: str
) -> None:
    selecting: list[tuple[Any, list[str]]] = [
        ('topic == "bakery"', [BAKERY]),
        ({"type": "eq", "key": "md_topic", "value": "bakery"}, [BAKERY]),
        ("year >= 2022 && year < 2030", [MUSEUM]),
        ('topic == "nobody"', []),
    ]
    for filters, expected in selecting:
        assert await search(server, datasource, filters=filters) == expected, filters
    malformed: list[Any] = ['topic = "bakery"', "", {"type": "equals"}, {}]
    for filters in malformed:
        for where in ([datasource], []):
            with pytest.raises(ProcessorInputError, match=r"config\.search_filters"):
                await search(server, *where, filters=filters)


async def test_a_datasource_that_the_account_has_not_is_told(server: RunningServer, datasource: str) -> None:
    async with server.client() as client, server.client("other") as other:
        foreign = await make_datasource(other)
        deleted = await make_datasource(client)
        assert (await client.delete(f"/api/datasources/{deleted}")).status_code == 204
    for wrong in (foreign, deleted, str(uuid4()), "handbook", "x" * 1000):
        with pytest.raises(ProcessorInputError) as refused:
            await search(server, datasource, wrong)
        assert "this account has no such datasource" in str(refused.value)
        assert wrong[:60] in str(refused.value)
        assert datasource not in str(refused.value)


async def test_datasources_of_several_embedding_models_are_searched_as_one(
    server: RunningServer, datasource: str
) -> None:
    async with server.client() as client:
        second = await make_datasource(client)
        await add_text(client, second, "The last ferry comes back at dusk.", name="dusk")
        await add_text(client, second, "Cheese is made on the hill.", name="cheese")
    found = await (await retriever_of(server)).search(QUERY, datasources=[datasource, second], limit=4)
    assert {passage.source for passage in found[:2]} == {"ferry", "dusk"}
    assert {passage.datasource for passage in found} == {datasource, second}
    scores = [passage.score for passage in found]
    assert scores == sorted(scores, reverse=True)
    assert len(await search(server, datasource, second, limit=1)) == 1
    only = await search(server, datasource, second, filters='name == "dusk"')
    assert only == ["The last ferry comes back at dusk."]


async def test_datasources_of_one_model_are_one_search(server: RunningServer, datasource: str) -> None:
    async with server.client() as client:
        second = await make_datasource(client, embedding={"model": BUNDLED})
        await add_text(client, second, "The last ferry comes back at dusk.", name="dusk")
    assert set((await search(server, datasource, second, datasource))[:2]) == {
        FERRY,
        "The last ferry comes back at dusk.",
    }


async def test_a_vector_store_that_is_away_is_told_with_when_to_ask_again(
    sqlite_settings: Settings, qdrant: PickyQdrant
) -> None:
    async with running_server(sqlite_settings.model_copy(update={"qdrant_url": qdrant.url})) as server:
        async with server.client() as client:
            made = await make_datasource(client)
            await add_text(client, made, FERRY)
        qdrant.always = Fault(status=503)
        with pytest.raises(RetrievalAwayError) as away:
            await search(server, made)
        assert away.value.retry_after
        qdrant.always = None


async def test_an_embedding_model_that_is_away_is_told_and_words_alone_do_without(
    sqlite_settings: Settings,
) -> None:
    async with AsyncExitStack() as up:
        model = await up.enter_async_context(fake_model_server())
        async with running_server(with_endpoint(sqlite_settings, model)) as server:
            async with server.client() as client:
                made = await make_datasource(client)
                await add_text(client, made, FERRY)
            await up.aclose()
            with pytest.raises(RetrievalAwayError):
                await search(server, made)
            assert await search(server, made, vector_weight=0) == [FERRY]


async def test_an_embedding_model_that_is_not_set_any_more_refuses(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with (
        running_server(with_endpoint(sqlite_settings, fake_model)) as server,
        server.client() as client,
    ):
        made = await make_datasource(client)
        await add_text(client, made, FERRY)
    async with running_server(sqlite_settings) as server:
        with pytest.raises(ProviderRefusedError, match="not configured any more"):
            await search(server, made)


async def test_a_database_that_is_away_is_told(server: RunningServer) -> None:
    database = open_database(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none")
    retriever = DatasourceRetriever(replace(server.resources, db=database), uuid4())
    with pytest.raises(RetrievalAwayError, match="database") as told:
        await retriever.search(QUERY, datasources=[str(uuid4())], limit=1)
    assert told.value.retry_after
    await database.close()
