"""Bodies of the datasource endpoints."""

import math
from datetime import datetime
from typing import Annotated, Any, Final, cast
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from llmstack_api.datasources.grouping import GroupBy, Grouping
from llmstack_api.datasources.types import DatasourceType
from llmstack_api.engine.definition import NAME
from llmstack_api.engine.ports import File, Json, JsonObject
from llmstack_api.ingest.chunk import DEFAULT_OVERLAP, DEFAULT_SIZE, MAX_SIZE, MIN_SIZE
from llmstack_api.ingest.reading.charsets.labels import MAX_LABEL, find_label
from llmstack_api.models import NAME_LENGTH, EntryStatus, Stage
from llmstack_api.vectors.filter_rules import is_key
from llmstack_api.vectors.index import Mode
from llmstack_api.vectors.languages import Language
from llmstack_api.web.routing import RequestModel

MAX_METADATA_KEYS: Final = 64
MAX_METADATA_STRING: Final = 4096
MAX_METADATA_LIST: Final = 256
MAX_METADATA_BYTES: Final = 65_536
"""Of all metadata of an entry, as JSON; each of its chunks has a copy."""
MAX_URL: Final = 2048
MAX_QUERY: Final = 8192
MIN_REFRESH: Final = 300
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


# --- metadata --------------------------------------------------------------------------------------------


def _check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) > MAX_METADATA_KEYS:
        raise ValueError(f"has more than {MAX_METADATA_KEYS} keys")
    for key, item in value.items():
        if not is_key(key):
            raise ValueError(f"the key {key[:80]!r} is not made of 1-64 letters, digits, '_' and '-'")
        _check_value(key, item)
    if len(orjson.dumps(value)) > MAX_METADATA_BYTES:
        raise ValueError(f"is larger than {MAX_METADATA_BYTES} bytes as JSON")
    return value


def _check_value(key: str, value: Json) -> None:
    if not isinstance(value, list):
        _check_scalar(key, value)
        return
    items = cast("list[Json]", value)
    if len(items) > MAX_METADATA_LIST:
        raise ValueError(f"the list {key!r} has more than {MAX_METADATA_LIST} elements")
    for item in items:
        _check_scalar(key, item)


def _check_scalar(key: str, value: Json) -> None:
    match value:
        case bool():
            return
        case str():
            if len(value) > MAX_METADATA_STRING:
                raise ValueError(f"the value of {key!r} is longer than {MAX_METADATA_STRING} characters")
        case int():
            if not _SMALLEST <= value <= _LARGEST:
                raise ValueError(f"the value of {key!r} is no integer of 64 bits")
        case float():
            if not math.isfinite(value):
                raise ValueError(f"the value of {key!r} is no finite number")
        case _:
            raise ValueError(
                f"the value of {key!r} must be a string, a number, a boolean, or a list of these"
            )


EntryMetadata = Annotated[
    dict[str, Any],
    AfterValidator(_check_metadata),
    Field(
        examples=[{"lang": "en", "year": 2024}],
        description=(
            "Values to filter searches by, under keys of your own; the vector store has them as `md_<key>`. At most "
            f"{MAX_METADATA_KEYS} keys of letters of any script, digits, `_` and `-`, 1 to 64 characters each; values "
            f"are strings (to {MAX_METADATA_STRING} characters), numbers, booleans, or lists of these."
        ),
    ),
]


# --- datasources -----------------------------------------------------------------------------------------


class DatasourceConfig(RequestModel):
    """How entries are cut, and when URLs are fetched again."""

    chunk_size: Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE, strict=True)] = DEFAULT_SIZE
    """Characters of a chunk at most. Takes effect for what is added or synchronised from then on."""
    chunk_overlap: Annotated[int, Field(ge=0, strict=True)] = DEFAULT_OVERLAP
    """Characters that neighbouring chunks share; less than half of `chunk_size`."""
    refresh_interval: Annotated[int, Field(ge=MIN_REFRESH, le=31_536_000, strict=True)] | None = None
    """Seconds after which URLs and sitemaps are fetched again; null is never."""
    language: Language = Language.AUTO
    """Language of the entries, by its ISO 639-1 code. `auto` decides for each chunk by its words and its script."""

    @model_validator(mode="after")
    def _fits(self) -> "DatasourceConfig":
        if 2 * self.chunk_overlap >= self.chunk_size:
            raise ValueError("chunk_overlap must be less than half of chunk_size")
        return self


class ConfigChanges(BaseModel):
    """Settings to change; those left out stay."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _blank_is_null(cls, data: Json) -> Json:
        if not isinstance(data, dict):
            return data
        return {key: None if value == "" else value for key, value in cast("JsonObject", data).items()}

    chunk_size: Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE, strict=True)] | None = None
    chunk_overlap: Annotated[int, Field(ge=0, strict=True)] | None = None
    refresh_interval: Annotated[int, Field(ge=MIN_REFRESH, le=31_536_000, strict=True)] | None = None
    """Null stops refreshing."""
    language: Language | None = None
    """Another language has all chunks indexed again, in the background."""


class EmbeddingChoice(RequestModel):
    """Which model makes the vectors."""

    model: Annotated[str, Field(max_length=NAME_LENGTH)]
    """The server's own `builtin/wordllama-256`, or the one that its operator has set."""


class DatasourceIn(RequestModel):
    """A datasource to create."""

    name: Annotated[NAME, Field(examples=["Handbook"])]
    """What people call it; need not be unique."""
    type: Annotated[DatasourceType, Field(examples=["mixed"])]
    """What its entries are made of; `GET /api/datasource_types` explains each."""
    config: DatasourceConfig = DatasourceConfig()
    embedding: EmbeddingChoice | None = None
    """Default: the model that the operator has set, else the server's own."""


class DatasourceChanges(RequestModel):
    """What to change; what is left out stays."""

    name: Annotated[NAME | None, Field(examples=["Handbook 2"])] = None
    config: ConfigChanges | None = None
    embedding: EmbeddingChoice | None = None
    """Another model makes all vectors again; searches use the old ones until that is done."""


class _Out(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class EmbeddingOut(_Out):
    """What makes the vectors."""

    model: str
    dimension: int | None
    """Null until the first entry is searchable."""
    next_model: str | None
    """The model that is taking over; null most of the time."""


class DatasourceOut(_Out):
    """A collection of entries that is searched as one."""

    uuid: UUID
    name: str
    type: DatasourceType
    config: DatasourceConfig
    embedding: EmbeddingOut
    entries_count: int
    size: int
    """Bytes of text in its entries, as UTF-8."""
    created_at: datetime
    updated_at: datetime


class DatasourceTypeOut(_Out):
    """A type of datasource."""

    slug: DatasourceType
    name: str
    description: str
    entry_data_schema: JsonObject
    """JSON Schema of `entry_data`."""


class ResyncOut(_Out):
    """How much is read again."""

    entries: int
    """Entries that are PROCESSING now, each until it has been read again."""


# --- entries ---------------------------------------------------------------------------------------------


def _text_or_file(value: object) -> object:
    if not isinstance(value, str | File):
        raise ValueError("must be a text: base64 or a data URI")  # noqa: TRY004 # Pydantic's way of saying so
    return value


def _known_encoding(value: str | None) -> str | None:
    if not value or not value.strip():
        return None
    label = find_label(value)
    if label is None:
        raise ValueError(f"unknown text encoding {value[:MAX_LABEL]!r}")
    return label.name


class EntryData(RequestModel):
    """What an entry is made of: a name, and one of `content`, `url` and `file`."""

    name: NAME | None = None
    """Default: the URL, the file's name, or the beginning of the text."""
    content: Annotated[str | None, Field(examples=["Sessions remember what was said."])] = None
    """The text itself."""
    url: Annotated[
        str | None, AfterValidator(lambda value: value.strip() if value else None), Field(max_length=MAX_URL)
    ] = None
    """Address of a page or document, or of a sitemap."""
    file: Annotated[
        Any,
        AfterValidator(_text_or_file),
        WithJsonSchema(
            {
                "type": "string",
                "description": "A file as base64, or as `data:<mime>;name=<file name>;base64,...`.",
                "examples": ["data:text/plain;name=notes.txt;base64,U2Vzc2lvbnMgcmVtZW1iZXIu"],
            }
        ),
    ] = None
    encoding: Annotated[
        str | None, AfterValidator(_known_encoding), Field(examples=["windows-1252"], max_length=MAX_LABEL)
    ] = None
    """The encoding of a file or page, such as `gbk` or `koi8-r`, whatever it declares; by default it is detected."""


class EntryIn(RequestModel):
    """An entry to add."""

    entry_data: EntryData
    entry_metadata: EntryMetadata = Field(default_factory=dict[str, Any])


class EntryErrorOut(_Out):
    """Why an entry FAILED."""

    stage: Stage
    code: str
    """Such as `http-404` or `encrypted`."""
    message: str


class EncodingOut(_Out):
    """Which encoding a text was read in."""

    name: str
    """Such as `utf-8` or `windows-1252`."""
    guessed: bool
    """Whether it was guessed from the letters, as nothing declares it; `entry_data.encoding` corrects a wrong guess."""


class EntryOut(_Out):
    """One text, URL or file of a datasource."""

    uuid: UUID
    name: str
    status: EntryStatus
    """READY can be found. FAILED can not, unless an earlier content of it was READY."""
    stage: Stage | None
    """What is being done, while it is PROCESSING."""
    error: EntryErrorOut | None
    external_id: str | None
    parent: UUID | None
    """The sitemap's entry that it came from."""
    entry_metadata: dict[str, Any]
    source: str
    mime_type: str | None
    encoding: EncodingOut | None
    """Null until the entry has been read, and for what is not a text file: texts sent as `content`, PDF, DOCX."""
    size: int
    """Bytes of its text, as UTF-8."""
    chunks_count: int
    created_at: datetime
    updated_at: datetime


class TextContentOut(_Out):
    """The text of an entry, as it was extracted."""

    content: str
    metadata: JsonObject
    """As it is stored: generated values, and `md_<key>` for each of the entry's own."""


# --- search ----------------------------------------------------------------------------------------------

Filters = Annotated[Json, WithJsonSchema({"allOf": [{"$ref": "#/components/schemas/Filter"}]})]


class SearchIn(RequestModel):
    """What to search for."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY, examples=["How long is a session kept?"])]
    limit: Annotated[int, Field(ge=1, le=100, strict=True)] = 10
    """How many results at most."""
    mode: Mode = Mode.HYBRID
    """`hybrid` compares by meaning and by words, `semantic` by meaning, `keyword` by words."""
    filters: Filters = None
    """Which chunks may be found, by their metadata."""
    min_score: Annotated[float, Field(strict=True)] | None = None
    """Leave out what scores less, on the mode's own scale: hybrid 0 to 1, semantic cosine, keyword BM25."""
    group_by: GroupBy | None = None
    """`entry` returns at most `group_size` results of each entry, its best ones; by default all that are found."""
    group_size: Annotated[int, Field(ge=1, le=10, strict=True)] | None = None
    """How many results of one entry at most, with `group_by`; by default 1."""
    fold_copies: Annotated[bool, Field(strict=True)] = False
    """Return equal passages as one result, the best of them, with the others as its `copies`; white space aside."""

    @property
    def grouping(self) -> Grouping:
        """How the results are chosen from what is found."""
        per_entry = None if self.group_by is None else self.group_size or 1
        return Grouping(per_entry=per_entry, fold_copies=self.fold_copies)


class ChunkRef(_Out):
    """Where a passage stands in its entry's text."""

    number: int
    """0 is the first chunk."""
    start: int
    """In characters of `text_content`."""
    end: int


class SearchCopy(_Out):
    """Another place where the same passage stands."""

    entry_uuid: UUID
    entry_name: str
    source: str
    """Its URL, the name of its file, or the entry's name."""
    score: float
    chunk: ChunkRef


class SearchHit(_Out):
    """A passage that was found."""

    content: str
    score: float
    metadata: JsonObject
    """As it is stored: `source`, `name`, `page` ..., and `md_<key>` for each of the entry's own."""
    entry_uuid: UUID
    entry_name: str
    chunk: ChunkRef
    copies: list[SearchCopy] | SkipJsonSchema[None] = None
    """With `fold_copies`: other places of the passage that the search came across, best first, 100 at most."""
    copies_count: int | SkipJsonSchema[None] = None
    """With `fold_copies`: how many copies there are, including those that are not listed."""


class SearchOut(_Out):
    """What was found, best first."""

    results: list[SearchHit]
