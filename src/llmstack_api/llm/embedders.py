"""The embedding models that this server can call, by the names that datasources carry."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from llmstack_api.errors import EmbeddingRefusedError, StartError
from llmstack_api.llm.embeddings import HttpEmbedder
from llmstack_api.outbound import operator_client
from llmstack_api.settings import Settings
from llmstack_api.vectors import embedding, sparse
from llmstack_api.vectors.bundled import BundledEmbedder
from llmstack_api.vectors.embedding import Embedder
from llmstack_api.vectors.index import BUNDLED_WEIGHTS, EQUAL_WEIGHTS, Space
from llmstack_api.vectors.store import Fusion


@dataclass(frozen=True, slots=True)
class _Model:
    embedder: Embedder
    fusion: Fusion
    weights: tuple[float, float]
    profile: str
    """What the vectors depend on besides the model and its dimension."""


class Embedders:
    """The bundled model and, where one is set, the operator's."""

    def __init__(self, *models: _Model) -> None:
        """The last one is the default of new datasources."""
        self._models = {model.embedder.model: model for model in models}
        self.default = models[-1].embedder.model

    @property
    def names(self) -> list[str]:
        """The models that can be called."""
        return list(self._models)

    def collection(self, model: str, dimension: int) -> str | None:
        """Name the collection of a model whose vectors have a dimension; None where it is not configured."""
        found = self._models.get(model)
        return None if found is None else _collection(model, dimension, found.profile)

    async def space(self, model: str) -> Space:
        """Return where the vectors of a model are, and what makes them; asks for its dimension at first.

        Raises:
            EmbeddingRefusedError: the model is not set any more.
            EmbeddingAwayError: its dimension is not known yet and it does not answer.
        """
        found = self._models.get(model)
        if found is None:
            raise EmbeddingRefusedError(
                f"The embedding model {model!r} of this datasource is not configured any more; known are: "
                f"{', '.join(self._models)}. Change the datasource's 'embedding', or set LLMSTACK_EMBEDDING_MODEL."
            )
        dimension = await found.embedder.dimension()
        return Space(
            collection=_collection(model, dimension, found.profile),
            dimension=dimension,
            embedder=found.embedder,
            fusion=found.fusion,
            weights=found.weights,
        )


def _collection(model: str, dimension: int, profile: str) -> str:
    said = f"{model}\n{dimension}\ncosine\n{profile}\n{embedding.VERSION}\n{sparse.VERSION}"
    return f"chunks_{hashlib.sha256(said.encode()).hexdigest()[:16]}"


@asynccontextmanager
async def open_embedders(settings: Settings) -> AsyncGenerator[Embedders]:
    """Open the embedding models that are set; none is loaded or called before it is needed.

    Raises:
        StartError: only one of the endpoint and its model is set.
    """
    bundled = _Model(BundledEmbedder(), Fusion.SCORES, BUNDLED_WEIGHTS, "")
    if settings.embedding_base_url is None:
        if settings.embedding_model is not None:
            raise StartError("LLMSTACK_EMBEDDING_BASE_URL: needed where LLMSTACK_EMBEDDING_MODEL is set")
        yield Embedders(bundled)
        return
    if settings.embedding_model is None:
        raise StartError("LLMSTACK_EMBEDDING_MODEL: needed where LLMSTACK_EMBEDDING_BASE_URL is set")
    key = settings.embedding_api_key.get_secret_value().strip() if settings.embedding_api_key else None
    prefixes = settings.embedding_query_prefix, settings.embedding_passage_prefix
    async with operator_client() as client:
        embedder = HttpEmbedder(
            client,
            base_url=settings.embedding_base_url,
            model=settings.embedding_model,
            api_key=key or None,
            query_prefix=prefixes[0],
            passage_prefix=prefixes[1],
            idle_timeout=settings.model_idle_timeout,
        )
        yield Embedders(bundled, _Model(embedder, Fusion.RANKS, EQUAL_WEIGHTS, "\n".join(prefixes)))
