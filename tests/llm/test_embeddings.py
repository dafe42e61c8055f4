"""Embeddings over HTTP: in order, checked, bounded, and honest about who failed."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine
from time import monotonic
from typing import Any

import httpx
import pytest

from llmstack_api.errors import EmbeddingAwayError, EmbeddingRefusedError, StartError
from llmstack_api.llm import embeddings
from llmstack_api.llm.embeddings import MAX_CHARACTERS, MAX_NUMBERS, MAX_TEXTS, HttpEmbedder
from llmstack_api.outbound import operator_client
from tests.fake_model import FakeModel
from tests.fake_model.embeddings import DIMENSION, vector_of

KEY = "sk-embed-0123456789abcdefghijklmnop"
Make = Callable[..., HttpEmbedder]


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with operator_client() as opened:
        yield opened


@pytest.fixture
def make(client: httpx.AsyncClient, model: FakeModel) -> Make:
    """Make an embedder that asks for the model of a name."""

    def make_embedder(name: str, **options: Any) -> HttpEmbedder:
        given: dict[str, Any] = {"base_url": model.base_url, "api_key": KEY, "idle_timeout": 0.4}
        return HttpEmbedder(client, model=name, **(given | options))

    return make_embedder


def unit(text: str, dimension: int = DIMENSION) -> list[float]:
    vector = vector_of(text, dimension)
    return [number / math.hypot(*vector) for number in vector]


def inputs(model: FakeModel) -> list[list[str]]:
    return [received.body["input"] for received in model.requests]


async def test_passages_come_back_in_order_and_of_unit_length(model: FakeModel, make: Make) -> None:
    embedder = make("m")
    assert embedder.model == "m"
    texts = [f"text {'z' * number}" for number in range(MAX_TEXTS * 3 + 5)]
    assert await embedder.embed_passages(texts) == [unit(text) for text in texts]
    assert await embedder.embed_passages([]) == []
    assert await embedder.dimension() == DIMENSION
    # One probe, then as few requests as there can be.
    assert [len(sent) for sent in inputs(model)] == [1, MAX_TEXTS, MAX_TEXTS, MAX_TEXTS, 5]
    sent = model.last
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.body["model"] == "m"
    assert sent.body["encoding_format"] == "float"


async def test_questions_and_passages_have_their_own_prefixes(model: FakeModel, make: Make) -> None:
    embedder = make("m", query_prefix="query: ", passage_prefix="passage: ")
    assert await embedder.embed_query("a") == unit("query: a")
    assert await embedder.embed_passages(["a"]) == [unit("passage: a")]
    assert inputs(model) == [["query: a"], ["passage: a"]]


async def test_a_context_goes_before_its_text_after_the_prefix(model: FakeModel, make: Make) -> None:
    embedder = make("m", passage_prefix="passage: ")
    await embedder.embed_passages(["a", "b"], ["Lathe > Upkeep\nManual", ""])
    assert inputs(model)[-1] == ["passage: Lathe > Upkeep\nManual\na", "passage: b"]


async def test_without_a_key_none_is_sent(model: FakeModel, make: Make) -> None:
    await make("m", api_key=None).embed_query("a")
    assert "authorization" not in model.last.headers


@pytest.mark.parametrize("name", ["unordered", "no-index"])
async def test_vectors_find_their_texts_again(make: Make, name: str) -> None:
    texts = ["a", "bb", "ccc"]
    assert await make(name).embed_passages(texts) == [unit(text) for text in texts]


async def test_requests_and_answers_are_bounded(model: FakeModel, make: Make) -> None:
    await make("m").embed_passages(["x" * (MAX_CHARACTERS // 3)] * 7 + ["y" * (MAX_CHARACTERS + 1), "z"])
    assert [len(sent) for sent in inputs(model)[1:]] == [3, 3, 1, 1, 1]
    model.requests.clear()
    await make("dim:5000").embed_passages(["x"] * 30)
    assert {len(sent) for sent in inputs(model)[1:]} <= {MAX_NUMBERS // 5000, 30 % (MAX_NUMBERS // 5000)}


async def test_at_most_two_requests_for_passages_are_in_flight_and_questions_pass_them(
    model: FakeModel, make: Make
) -> None:
    embedder = make("m")
    await embedder.dimension()
    model.script("hang", "hang")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        calls = [group.create_task(embedder.embed_passages([f"{number}"] * 70)) for number in range(3)]
        await model.until(lambda: model.open_calls == 2)
        assert await embedder.embed_query("a") == unit("a")
        assert model.open_calls == 2
        for task in calls:
            task.cancel()
    await model.until(lambda: model.open_calls == 0)
    assert len(model.requests) == 4


async def test_the_dimension_is_asked_for_once(model: FakeModel, make: Make) -> None:
    embedder = make("dim:12")
    found = await asyncio.gather(*(embedder.dimension() for _ in range(5)))
    assert found == [12] * 5
    assert len(model.requests) == 1


async def test_another_dimension_than_before_is_refused(model: FakeModel, make: Make) -> None:
    embedder = make("m")
    await embedder.dimension()
    model.script("dim:9")
    with pytest.raises(EmbeddingRefusedError, match="dimension 9 where 8 was due"):
        await embedder.embed_query("a")
    assert await embedder.embed_query("a") == unit("a")


async def _ask_both(embedder: HttpEmbedder) -> None:
    await embedder.embed_passages(["some", "texts"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("few", "1 vectors for 2 texts"),
        ("many", "3 vectors for 2 texts"),
        ("same-index", "which vector is of which text"),
        ("ragged", "dimension 7 where 8 was due"),
        ("nan", "not all numbers"),
        ("text", "not all numbers"),
        ("huge", "not all numbers"),
        ("zeros", "zero"),
        ("empty", "empty"),
        ("null", "empty"),
        ("html", "did not answer in JSON"),
        ("nothing", "did not answer in JSON"),
        ("error", 'did not answer with embeddings. It said: "The model ran out of memory."'),
        ("big-json:10", "did not answer with embeddings"),
        ("big-json:17000000", "too large"),
        ("max:1", "HTTP 422"),
        ("status:400", "HTTP 400"),
        ("status:401", "HTTP 401"),
        ("status:403", "HTTP 403"),
        ("status:404", "HTTP 404"),
        ("cut-error", "HTTP 404"),
        ("key:another", "Incorrect API key provided"),
    ],
)
async def test_a_refusal_or_an_answer_that_cannot_be_used_is_refused(
    model: FakeModel, make: Make, name: str, said: str
) -> None:
    embedder = make("m")
    await embedder.dimension()
    model.script(name)
    with pytest.raises(EmbeddingRefusedError) as caught:
        await _ask_both(embedder)
    assert said in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(model.requests) == 2


@pytest.mark.parametrize("name", ["status:500", "status:502", "status:503", "drop-before"])
async def test_a_failure_that_passes_is_not_noticed(model: FakeModel, make: Make, name: str) -> None:
    embedder = make("m")
    await embedder.dimension()
    model.script(name, name)
    assert await embedder.embed_query("a") == unit("a")
    assert len(model.requests) == 4


@pytest.mark.parametrize(
    ("name", "said", "calls"),
    [
        ("status:500", "HTTP 500", 3),
        ("status:429", "HTTP 429", 3),
        ("status:504", "HTTP 504", 1),
        ("drop-before", "broke the connection off", 3),
        ("redirect", "redirect", 1),
        ("not-http", "HTTP", 1),
        ("gzip", "encoding", 1),
        ("hang", "sent nothing for 0.4 seconds", 1),
        ("hang-headers", "sent nothing for 0.4 seconds", 1),
    ],
)
async def test_an_endpoint_that_stays_away_is_given_up_after_two_retries(
    model: FakeModel, make: Make, name: str, said: str, calls: int
) -> None:
    with pytest.raises(EmbeddingAwayError) as caught:
        await make(name).embed_passages(["a"])
    assert said in str(caught.value)
    assert caught.value.retry_after == 5.0
    assert len(model.requests) == calls


async def test_retry_after_is_honoured(model: FakeModel, make: Make) -> None:
    embedder = make("status:429:retry-after=0.3:times=1")
    began = monotonic()
    assert await embedder.embed_query("a") == unit("a")
    assert monotonic() - began >= 0.3
    assert len(model.requests) == 2


async def test_a_retry_after_that_is_too_long_is_passed_on(model: FakeModel, make: Make) -> None:
    with pytest.raises(EmbeddingAwayError) as caught:
        await make("status:429:retry-after=120").embed_query("a")
    assert caught.value.retry_after == 120
    assert len(model.requests) == 1


async def test_an_endpoint_that_cannot_be_reached_is_away(make: Make) -> None:
    with pytest.raises(EmbeddingAwayError, match="cannot be reached"):
        await make("m", base_url="http://127.0.0.1:9/v1").embed_query("a")


async def test_every_wait_ends(monkeypatch: pytest.MonkeyPatch, model: FakeModel, make: Make) -> None:
    monkeypatch.setattr(embeddings, "PATIENCE", 0.2)
    monkeypatch.setattr(embeddings, "QUESTION_PATIENCE", 0.2)
    embedder = make("m", idle_timeout=30)
    await embedder.dimension()
    asks: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: embedder.embed_passages(["a"]),
        lambda: embedder.embed_query("a"),
    ]
    for ask in asks:
        model.script("hang")
        with pytest.raises(EmbeddingAwayError, match=r"within 0\.2 seconds"):
            await ask()
    await model.until(lambda: model.open_calls == 0)


async def test_one_failed_request_ends_the_others_of_its_call(model: FakeModel, make: Make) -> None:
    embedder = make("m", idle_timeout=30)
    await embedder.dimension()
    model.script("hang", "status:401")
    async with asyncio.timeout(5):
        with pytest.raises(EmbeddingRefusedError, match="HTTP 401"):
            await embedder.embed_passages(["a"] * 100)
    await model.until(lambda: model.open_calls == 0)


def test_an_address_or_a_key_that_is_none_names_its_setting(make: Make) -> None:
    with pytest.raises(StartError, match="LLMSTACK_EMBEDDING_BASE_URL: "):
        make("m", base_url="http://")
    with pytest.raises(StartError, match="LLMSTACK_EMBEDDING_API_KEY: "):
        make("m", api_key="sk-ключ")
