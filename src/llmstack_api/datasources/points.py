"""Chunks as points: their ids, and the payload that filters and answers read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from llmstack_api.datasources.contexts import contexts
from llmstack_api.engine.ports import JsonObject
from llmstack_api.ingest.document import Chunk
from llmstack_api.vectors.embedding import Embedder
from llmstack_api.vectors.filters import flags_of
from llmstack_api.vectors.index import generation
from llmstack_api.vectors.languages import Language
from llmstack_api.vectors.sparse import encode_passage
from llmstack_api.vectors.store import Point

METADATA_PREFIX: Final = "md_"

INTERNAL: Final = frozenset(
    {"datasource_id", "entry_id", "generation", "flags", "text", "number", "start", "end"}
)
"""Payload fields that are not metadata."""


def stored_metadata(entry_metadata: JsonObject) -> JsonObject:
    """Return an entry's metadata as it is stored: each key with its prefix."""
    return {f"{METADATA_PREFIX}{key}": value for key, value in entry_metadata.items()}


def language_of(config: JsonObject) -> Language:
    """Return the language that a datasource's entries are in, as its settings say."""
    return Language(config.get("language", Language.AUTO))


def entry_payload(*, datasource_id: UUID, entry_id: UUID, version: int, described: JsonObject) -> JsonObject:
    """Make what all points of an entry have in common.

    `described` has `name`, `source`, `mime_type` (or null) and `entry_metadata`.
    """
    payload: JsonObject = {
        "datasource_id": str(datasource_id),
        "entry_id": str(entry_id),
        "generation": generation(entry_id, version),
        "source": described["source"],
        "name": described["name"],
        **stored_metadata(described["entry_metadata"]),
    }
    if described["mime_type"] is not None:
        payload["mime_type"] = described["mime_type"]
    payload["flags"] = flags_of({key: payload[key] for key in payload if key not in INTERNAL})
    return payload


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is searched."""

    chunk: Chunk
    text: str
    context: str
    """Lines that it is found by too; see `contexts`."""


def passages(text: str, chunks: Sequence[Chunk], *, name: str, title: str | None) -> list[Passage]:
    """Return the passages that chunks of an entry are."""
    around = contexts(text, chunks, name=name, title=title)
    return [
        Passage(chunk, chunk.content(text), context) for chunk, context in zip(chunks, around, strict=True)
    ]


async def embed(embedder: Embedder, found: Sequence[Passage]) -> list[list[float]]:
    """Embed passages with their contexts."""
    return await embedder.embed_passages(
        [passage.text for passage in found], [passage.context for passage in found]
    )


def make_points(
    common: JsonObject,
    found: Sequence[Passage],
    vectors: Sequence[list[float]],
    *,
    language: Language,
) -> list[Point]:
    """Make the points of an entry's passages; the same chunk of the same version always has the same id."""
    entry_id, of = UUID(common["entry_id"]), common["generation"]
    points: list[Point] = []
    for passage, dense in zip(found, vectors, strict=True):
        chunk = passage.chunk
        payload: JsonObject = {
            **common,
            "text": passage.text,
            "number": chunk.number,
            "start": chunk.start,
            "end": chunk.end,
        }
        known = {"page": chunk.page, "heading": chunk.heading, "sheet": chunk.sheet, "table": chunk.table}
        own: JsonObject = {key: value for key, value in known.items() if value is not None}
        if own:
            payload |= own
            payload["flags"] = [*common["flags"], *flags_of(own)]
        words = encode_passage(passage.text, passage.context, language=language)
        points.append(Point(uuid5(entry_id, f"{of}:{chunk.number}"), dense, words, payload))
    return points


def dump_chunks(chunks: Sequence[Chunk]) -> list[list[int | str | None]]:
    """Write chunks as they are kept beside their text; nulls at the end of a row are left out."""
    return [_row(chunk) for chunk in chunks]


def _row(chunk: Chunk) -> list[int | str | None]:
    row = [getattr(chunk, name) for name in _COLUMNS]
    while len(row) > _SHORTEST and row[-1] is None:
        row.pop()
    return row


def load_chunks(rows: Sequence[Sequence[int | str | None]]) -> list[Chunk]:
    """Read chunks back; rows may be those of a version that kept less."""
    return [
        Chunk(number=number, **dict(zip(_COLUMNS, row, strict=False)))  # pyright: ignore[reportArgumentType] # written by dump_chunks
        for number, row in enumerate(rows)
    ]


_COLUMNS: Final = ("start", "end", "page", "heading", "sheet", "table", "header")
"""Attributes of a chunk in the order of a stored row."""

_SHORTEST: Final = 4
"""Values of a row at least: what the first version wrote."""
