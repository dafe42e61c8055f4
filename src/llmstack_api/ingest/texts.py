"""Text of files and addresses for processors (the port `TextExtractor`)."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from llmstack_api.engine.ports import ExtractedText, File
from llmstack_api.errors import (
    AddressRefusedError,
    FetchError,
    FileUnreadableError,
    IngestError,
    UnavailableError,
)
from llmstack_api.ingest.chunk import MAX_SIZE, MIN_SIZE, chunk
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.extract import Extractor, open_extractor
from llmstack_api.ingest.fetch import Fetcher, open_fetcher
from llmstack_api.outbound import Egress
from llmstack_api.settings import Settings
from llmstack_api.vectors.bundled import BundledEmbedder
from llmstack_api.vectors.embedding import Embedder
from llmstack_api.vectors.fusion import fuse
from llmstack_api.vectors.index import BUNDLED_WEIGHTS
from llmstack_api.vectors.sparse import encode_passage, encode_query
from llmstack_api.vectors.store import SparseVector

MAX_COMPARED: Final = 2000
"""Pieces that are compared by meaning; of more, those that fit best by their words."""

PROCESSES: Final = 2
"""Files that are read at once, so that one that takes long holds up no other."""

_SLICE: Final = 64
"""Pieces whose words are counted at a stretch."""

_WEB_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})


class Texts:
    """The port `TextExtractor` over what fetches, reads, cuts and compares."""

    def __init__(self, fetcher: Fetcher, extractor: Extractor, embedder: Embedder) -> None:
        self._fetcher = fetcher
        self._extractor = extractor
        self._embedder = embedder

    async def read(self, file: File) -> ExtractedText:
        """Read a file; see `engine.ports.TextExtractor.read`."""
        try:
            document = await self._extractor.extract(
                file.data, file_name=file.name, media_type=file.media_type
            )
        except (IngestError, UnavailableError) as error:
            raise FileUnreadableError(f"The file {file.name or ''} cannot be read: {error}") from None
        return _extracted(document)

    async def fetch(self, url: str) -> ExtractedText:
        """Fetch and read what stands at an address; see `engine.ports.TextExtractor.fetch`."""
        try:
            async with self._fetcher.fetching(url) as fetched:
                document = await self._extractor.extract(
                    fetched.data,
                    file_name=fetched.file_name,
                    media_type=fetched.content_type,
                    url=fetched.url,
                    main_text=fetched.media_type in _WEB_PAGES,
                )
        except FetchError as error:
            if error.code == "address-refused":
                raise AddressRefusedError(str(error)) from None
            raise FileUnreadableError(str(error)) from None
        except (IngestError, UnavailableError) as error:
            raise FileUnreadableError(f"What stands at the address cannot be read: {error}") from None
        return _extracted(document)

    async def split(self, text: str, *, size: int, overlap: int = 0) -> list[str]:
        """Cut a text; see `engine.ports.TextExtractor.split`."""
        size = max(MIN_SIZE, min(size, MAX_SIZE))
        overlap = max(0, min(overlap, (size - 1) // 2))
        try:
            return await asyncio.to_thread(_cut, text, size=size, overlap=overlap)
        except IngestError as error:
            raise FileUnreadableError(str(error)) from None

    async def select(self, pieces: Sequence[str], *, query: str, limit: int) -> list[str]:
        """Choose the pieces that fit a question; see `engine.ports.TextExtractor.select`."""
        if len(pieces) <= limit:
            return list(pieces)
        by_words = await self._by_words(pieces, query)
        compared: Sequence[int] = range(len(pieces))
        if len(pieces) > MAX_COMPARED:
            compared = sorted(_ranked(by_words)[:MAX_COMPARED])
        by_meaning = await self._by_meaning([pieces[index] for index in compared], query)
        cosines = dict(zip(compared, by_meaning, strict=True))
        words = {index: by_words[index] for index in compared if by_words[index] > 0}
        best = fuse(cosines, words, weights=BUNDLED_WEIGHTS, limit=limit)
        return [pieces[index] for index in sorted(index for index, _ in best)]

    async def _by_words(self, pieces: Sequence[str], query: str) -> list[float]:
        """Score pieces by BM25, with how rare a word is among them."""
        wanted = await asyncio.to_thread(encode_query, query)
        terms = dict(zip(wanted.indices, wanted.values, strict=True))
        met: list[dict[int, float]] = []
        for start in range(0, len(pieces), _SLICE):
            met += await asyncio.to_thread(_met, pieces[start : start + _SLICE], frozenset(terms))
        having = Counter(term for piece in met for term in piece)
        rarity = {
            term: times * math.log1p((len(pieces) - having[term] + 0.5) / (having[term] + 0.5))
            for term, times in terms.items()
        }
        return [sum(rarity[term] * weight for term, weight in piece.items()) for piece in met]

    async def _by_meaning(self, pieces: Sequence[str], query: str) -> list[float]:
        """Score pieces by the cosine of their vectors and the question's."""
        asked = await self._embedder.embed_query(query)
        vectors = await self._embedder.embed_passages(pieces)
        return await asyncio.to_thread(_products, vectors, asked)


@asynccontextmanager
async def open_texts(settings: Settings, egress: Egress) -> AsyncGenerator[Texts]:
    """Open the port `TextExtractor`; nothing is loaded, started or connected to before it is needed."""
    async with (
        open_fetcher(egress, timeout=settings.fetch_timeout, max_bytes=settings.fetch_max_bytes) as fetcher,
        open_extractor(
            timeout=settings.extract_timeout, memory=settings.extract_memory, processes=PROCESSES
        ) as extractor,
    ):
        yield Texts(fetcher, extractor, BundledEmbedder())


def _extracted(document: Document) -> ExtractedText:
    return ExtractedText(
        text=document.text,
        pages=tuple(document.text[page.start : page.end].strip() for page in document.pages),
    )


def _cut(text: str, *, size: int, overlap: int) -> list[str]:
    pieces = chunk(Document(text=text), size=size, overlap=overlap)
    return [text[piece.start : piece.end] for piece in pieces]


def _met(pieces: Iterable[str], terms: frozenset[int]) -> list[dict[int, float]]:
    """Weigh those words of pieces that are asked for."""
    return [_weights(encode_passage(piece), terms) for piece in pieces]


def _weights(vector: SparseVector, terms: frozenset[int]) -> dict[int, float]:
    return {
        index: value for index, value in zip(vector.indices, vector.values, strict=True) if index in terms
    }


def _products(vectors: Sequence[Sequence[float]], asked: Sequence[float]) -> list[float]:
    import numpy as np  # noqa: PLC0415 # slow to import, not always needed

    return (np.asarray(vectors, np.float32) @ np.asarray(asked, np.float32)).tolist()


def _ranked(scores: Sequence[float]) -> list[int]:
    """Give the positions of scores, best first; of equals, the first."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])
