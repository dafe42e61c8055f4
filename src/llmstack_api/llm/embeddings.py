"""Embeddings over `/embeddings`: one adapter for every OpenAI-compatible endpoint."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, Never, cast

import httpx
import orjson

from llmstack_api.egress import parse_url
from llmstack_api.errors import (
    AddressRefusedError,
    EmbeddingAwayError,
    EmbeddingRefusedError,
    ProviderRefusedError,
    RunError,
    StartError,
)
from llmstack_api.llm.call import Reader, call
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.failures import own_words

MAX_TEXTS: Final = 32
"""Texts of one request: some servers take no more unless they are told to."""

MAX_CHARACTERS: Final = 200_000
"""Characters of one request, of several texts; hosted models bound the tokens of a request."""

MAX_NUMBERS: Final = 65_536
"""Numbers of one answer, in which more texts would have to share: reading them holds up the loop some 10 ms."""

MAX_DIMENSION: Final = 65_536
"""More than any vector store takes."""

MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of one answer."""

AT_ONCE: Final = 2
"""Requests for passages in flight; questions do not wait behind them."""

QUESTIONS_AT_ONCE: Final = 16

IDLE: Final = 60.0
"""Seconds without a byte after which a request is given up."""

PATIENCE: Final = 300.0
"""Seconds that a request may take as a whole, retries and pauses included."""

QUESTION_PATIENCE: Final = 30.0
"""The same where somebody waits for the answer, the wait for other questions included."""

_PROBE: Final = "dimension"


class HttpEmbedder:
    """The port `Embedder` over HTTP. The client stays its opener's to close.

    Raises:
        StartError: the address or the key is none.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        base_url: str,
        model: str,
        api_key: str | None = None,
        query_prefix: str = "",
        passage_prefix: str = "",
        idle_timeout: float = IDLE,
    ) -> None:
        self.model = model
        self._client = client
        self._endpoint = _endpoint(base_url, api_key)
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix
        self._idle_timeout = idle_timeout
        self._dimension: int | None = None
        self._probing = asyncio.Lock()
        self._passages = asyncio.Semaphore(AT_ONCE)
        self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def dimension(self) -> int:
        """Return the vectors' dimension; embeds a word where no answer has told it yet."""
        try:
            async with asyncio.timeout(QUESTION_PATIENCE), self._probing:
                if self._dimension is None:
                    await self.embed_query(_PROBE)
        except TimeoutError:
            self._give_up(QUESTION_PATIENCE)
        return cast("int", self._dimension)  # every answer that is taken has set it

    async def embed_passages(
        self, texts: Sequence[str], contexts: Sequence[str] | None = None
    ) -> list[list[float]]:
        """Embed passages, in the order given; a context goes before its text, on lines of its own."""
        await self.dimension()
        whole = [
            f"{context}\n{text}" if context else text
            for text, context in zip(texts, contexts or [""] * len(texts), strict=True)
        ]
        batches = list(self._batches([self._passage_prefix + text for text in whole]))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._embed_batch(batch)) for batch in batches]
        except ExceptionGroup as failures:
            failure = failures.exceptions[0]
        else:
            return [vector for task in tasks for vector in task.result()]
        raise failure

    async def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        try:
            async with asyncio.timeout(QUESTION_PATIENCE), self._questions:
                return (await self._request([self._query_prefix + text]))[0]
        except TimeoutError:
            self._give_up(QUESTION_PATIENCE)

    async def _embed_batch(self, texts: list[str]) -> list[list[float]]:
        async with self._passages:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await self._request(texts)
            except TimeoutError:
                self._give_up(PATIENCE)

    def _give_up(self, seconds: float) -> Never:
        raise EmbeddingAwayError(
            f"{self._endpoint.name} did not answer within {seconds:g} seconds."
        ) from None

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Group texts, so that neither a request nor its answer is too large; each text is in one."""
        most = min(MAX_TEXTS, max(1, MAX_NUMBERS // (self._dimension or 1)))
        batch: list[str] = []
        characters = 0
        for text in texts:
            if batch and (len(batch) == most or characters + len(text) > MAX_CHARACTERS):
                yield batch
                batch, characters = [], 0
            batch.append(text)
            characters += len(text)
        if batch:
            yield batch

    async def _request(self, texts: list[str]) -> list[list[float]]:
        """Embed what one request takes; the vectors are checked, in order and of unit length."""
        endpoint = self._endpoint
        body = b""

        async def consume(reader: Reader) -> None:
            nonlocal body
            body, whole = await reader.read_all(MAX_ANSWER)
            if not whole:
                raise EmbeddingRefusedError(f"{endpoint.name} sent an answer that is too large.")

        request = self._client.build_request(
            "POST",
            endpoint.url("/embeddings"),
            headers=endpoint.headers({"Content-Type": "application/json"}),
            content=orjson.dumps({"model": self.model, "input": texts, "encoding_format": "float"}),
        )
        try:
            await call(
                self._client, request, endpoint=endpoint, idle_timeout=self._idle_timeout, consume=consume
            )
        except ProviderRefusedError as error:
            failure = EmbeddingRefusedError(str(error))
        except RunError as error:
            # Busy, broken, silent or out of reach: it may come back.
            failure = (
                EmbeddingAwayError(str(error))
                if error.retry_after is None
                else EmbeddingAwayError(str(error), retry_after=error.retry_after)
            )
        else:
            return self._take(body, count=len(texts))
        raise failure

    def _take(self, body: bytes, *, count: int) -> list[list[float]]:
        vectors = [_unit(vector, self._endpoint) for vector in _ordered(body, self._endpoint, count=count)]
        lengths = {len(vector) for vector in vectors}
        expected = self._dimension or len(vectors[0])
        if lengths != {expected}:
            raise EmbeddingRefusedError(
                f"{self._endpoint.name} answered with vectors of dimension {min(lengths - {expected})} "
                f"where {expected} was due."
            )
        if expected > MAX_DIMENSION:
            raise EmbeddingRefusedError(
                f"{self._endpoint.name} answered with vectors of dimension {expected}; "
                f"{MAX_DIMENSION} is the largest that can be searched."
            )
        self._dimension = expected
        return vectors


def _endpoint(base_url: str, api_key: str | None) -> Endpoint:
    try:
        url = parse_url(base_url)
    except AddressRefusedError as error:
        raise StartError(f"LLMSTACK_EMBEDDING_BASE_URL: {error}") from None
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise StartError("LLMSTACK_EMBEDDING_API_KEY: holds characters that no key can have")
    return Endpoint(name="The embedding endpoint", base_url=url, key=api_key or None)


# --- what came back --------------------------------------------------------------------------------------


def _ordered(body: bytes, endpoint: Endpoint, *, count: int) -> list[Any]:
    """Read an answer: a vector for each text, in the order of the texts."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise EmbeddingRefusedError(f"{endpoint.name} did not answer in JSON.") from None
    fields = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    data = fields.get("data")
    if not isinstance(data, list):
        words = own_words(fields, secrets=endpoint.secrets) if "error" in fields else ""
        raise EmbeddingRefusedError(f"{endpoint.name} did not answer with embeddings.{words}")
    items = [cast("dict[str, Any]", item) for item in cast("list[Any]", data) if isinstance(item, dict)]
    if len(items) != count:
        raise EmbeddingRefusedError(f"{endpoint.name} answered with {len(items)} vectors for {count} texts.")
    places = [item.get("index") for item in items]
    if any(place is not None for place in places):
        by_place = {place: item for place, item in zip(places, items, strict=True) if isinstance(place, int)}
        if by_place.keys() != set(range(count)):
            raise EmbeddingRefusedError(f"{endpoint.name} did not say which vector is of which text.")
        items = [by_place[place] for place in range(count)]
    return [item.get("embedding") for item in items]


def _unit(vector: object, endpoint: Endpoint) -> list[float]:
    """Scale a vector to unit length."""
    try:
        numbers = cast("list[float]", vector if isinstance(vector, list) else [])
        length = math.hypot(*numbers)
    except (TypeError, OverflowError):
        length = math.nan
        numbers = []
    if not math.isfinite(length) or length == 0:
        raise EmbeddingRefusedError(
            f"{endpoint.name} answered with a vector that is none: empty, zero, or not all numbers."
        )
    return [number / length for number in numbers]
