"""Settings, from the environment (prefix `LLMSTACK_`) and a `.env` file; each docstring is its help."""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from llmstack_api.errors import StartError

Positive = Annotated[float, Field(gt=0, le=86_400)]
MIN_BOOTSTRAP_TOKEN = 32
MIN_SECRET_KEY = 32
PREFIX = "LLMSTACK_"


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]


def split_secrets(text: str) -> tuple[str, ...]:
    """Take `LLMSTACK_SECRET_KEY` apart."""
    return tuple(secret.strip() for secret in text.split(","))


class Settings(BaseSettings):
    """All that an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        use_attribute_docstrings=True,
        frozen=True,
    )

    data_dir: Path = Path("~/.llmstack-api")
    """Folder of everything the embedded server keeps: the SQLite database, the vectors and the secret key."""

    host: str = "127.0.0.1"
    """Address to listen on. `0.0.0.0` is every interface; the image sets it."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 3000
    """Port to listen on; 0 takes a free one."""

    database_url: SecretStr | None = None
    """Database, such as `postgresql+asyncpg://user:password@host/name`.

    Default: SQLite in the data directory."""

    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    """PostgreSQL connections kept by one process."""

    bootstrap_token: SecretStr | None = None
    """A token of the account `default` with every scope, made at start if it does not exist.

    32 or more printable characters."""

    secret_key: SecretStr | None = None
    """One or more secrets of 32 or more printable characters, separated by commas, that encrypt keys of providers.

    The first encrypts, all decrypt. Default: with SQLite a file in the data directory; with PostgreSQL none, and no
    account can store keys."""

    openai_base_url: HttpUrl | None = None
    """Address of the `openai` provider, up to where `/chat/completions` follows; may be loopback.

    Any OpenAI-compatible endpoint."""

    openai_api_key: SecretStr | None = None
    """Key of the `openai` provider. Like every provider's, it is sent to the operator's address only."""

    anthropic_base_url: HttpUrl | None = None
    """Address of the `anthropic` provider, up to where `/messages` follows.

    Default: Anthropic's own."""

    anthropic_api_key: SecretStr | None = None
    """Key of the `anthropic` provider."""

    azure_base_url: HttpUrl | None = None
    """Address of the `azure` provider, such as `https://name.openai.azure.com`.

    `/openai/v1` follows where it has no path."""

    azure_api_key: SecretStr | None = None
    """Key of the `azure` provider."""

    cohere_base_url: HttpUrl | None = None
    """Address of the `cohere` provider, OpenAI-compatible.

    Default: Cohere's own."""

    cohere_api_key: SecretStr | None = None
    """Key of the `cohere` provider."""

    google_base_url: HttpUrl | None = None
    """Address of the `google` provider, OpenAI-compatible.

    Default: Google's own."""

    google_api_key: SecretStr | None = None
    """Key of the `google` provider."""

    localai_base_url: HttpUrl | None = None
    """Address of the `localai` provider, such as `http://127.0.0.1:8080/v1`."""

    localai_api_key: SecretStr | None = None
    """Key of the `localai` provider, where it wants one."""

    meta_base_url: HttpUrl | None = None
    """Address of the `meta` provider, OpenAI-compatible.

    Default: Meta's own."""

    meta_api_key: SecretStr | None = None
    """Key of the `meta` provider."""

    mistral_base_url: HttpUrl | None = None
    """Address of the `mistral` provider, OpenAI-compatible.

    Default: Mistral's own."""

    mistral_api_key: SecretStr | None = None
    """Key of the `mistral` provider."""

    qdrant_url: HttpUrl | None = None
    """Address of a Qdrant server (1.20 or later), such as `http://qdrant:6333`; without a port it is the scheme's.

    Default: the vectors are kept in the data directory, by this process alone."""

    qdrant_api_key: SecretStr | None = None
    """Key of the Qdrant server."""

    embedding_base_url: HttpUrl | None = None
    """Address of an embedding endpoint, up to where `/embeddings` follows; may be loopback.

    Any OpenAI-compatible endpoint. Default: the model that comes with the server."""

    embedding_model: str | None = None
    """Model that is asked of the embedding endpoint; needed with `LLMSTACK_EMBEDDING_BASE_URL`."""

    embedding_api_key: SecretStr | None = None
    """Key of the embedding endpoint."""

    embedding_query_prefix: str = ""
    """Text put before a question, for models that want one, such as `query: `."""

    embedding_passage_prefix: str = ""
    """Text put before a passage, for models that want one, such as `passage: `."""

    search_api: Literal["searxng", "brave", "tavily"] = "searxng"
    """What the search engine speaks that apps search the web with."""

    search_base_url: HttpUrl | None = None
    """Address of the search engine; may be loopback. Default: none for SearXNG, the public one of Brave or Tavily."""

    search_api_key: SecretStr | None = None
    """Key of the search engine. SearXNG needs none; where one is set, it gets it as a bearer token."""

    worker: bool = True
    """Whether `serve` also does the work of `worker`: ingestion, re-embedding, deletion."""

    worker_concurrency: Annotated[int, Field(ge=1, le=1000)] = 256
    """Entries that one worker has in hand at once."""

    fetch_timeout: Positive = 20.0
    """Seconds that fetching a URL may take, redirects and retries included."""

    fetch_max_bytes: Annotated[int, Field(ge=1024)] = 33_554_432
    """Largest document fetched from a URL, in bytes, before and after inflation."""

    extract_timeout: Positive = 20.0
    """Seconds that reading one file may take."""

    extract_memory: Annotated[int, Field(ge=134_217_728)] = 268_435_456
    """Bytes of address space that the process which reads files may take, over what it starts with."""

    model_idle_timeout: Positive = 60.0
    """Seconds without a byte from a model server after which a call is given up."""

    egress_allow: str = ""
    """Private hosts or CIDRs that addresses from users may reach all the same.

    Comma-separated, each with an optional port: `10.2.0.0/16,ollama.internal:11434`."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 33_554_432
    """Largest request body accepted, in bytes."""

    body_timeout: Positive = 60.0
    """Seconds within which a request's body has to be whole."""

    max_output_chars: Annotated[int, Field(ge=1024)] = 16_777_216
    """Most that one run may produce, in characters, over all its steps and templates."""

    run_timeout: Positive = 900.0
    """Seconds that a run may take as a whole, its turn in the session included."""

    step_timeout: Positive = 120.0
    """Seconds that a step may take where its `timeout` says nothing."""

    heartbeat_interval: Positive = 10.0
    """Seconds of silence after which a stream sends a blank line."""

    write_timeout: Positive = 60.0
    """Seconds that a client may take nothing of its stream before it is cut off."""

    drain_grace: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Seconds that running work has to end after SIGTERM."""

    log_format: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe events that are logged."""

    @field_validator("data_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("postgresql+asyncpg://", "sqlite:///")):
            raise ValueError("must start with postgresql+asyncpg:// or sqlite:///")
        if value and value.get_secret_value() in ("sqlite:///", "sqlite:///:memory:"):
            raise ValueError("must name a file")
        return value

    @field_validator("bootstrap_token")
    @classmethod
    def _strong_token(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else ""
        if value and (
            len(text) < MIN_BOOTSTRAP_TOKEN or not text.isascii() or not text.isprintable() or " " in text
        ):
            raise ValueError(
                f"must be {MIN_BOOTSTRAP_TOKEN} or more printable ASCII characters without blanks"
            )
        return value

    @field_validator("secret_key")
    @classmethod
    def _strong_secrets(cls, value: SecretStr | None) -> SecretStr | None:
        for secret in split_secrets(value.get_secret_value()) if value else ():
            if len(secret) < MIN_SECRET_KEY or not secret.isascii() or not secret.isprintable():
                raise ValueError(
                    f"must be secrets of {MIN_SECRET_KEY} or more printable ASCII characters, separated by commas"
                )
        return value

    @cached_property
    def database(self) -> str:
        """URL of the database in use."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'llmstack.db'}"

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the settings; raise `StartError` with one line that names the first wrong one."""
        try:
            return cls(**overrides)  # type: ignore[arg-type] # pydantic validates what a caller overrides
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            raise StartError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def describe() -> list[tuple[str, str, str]]:
    """List every setting as (variable, default, help), in the order of the class."""
    rows: list[tuple[str, str, str]] = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        rows.append(
            (
                PREFIX + name.upper(),
                default.replace(os.sep * 2, os.sep),
                " ".join((field.description or "").split()),
            )
        )
    return rows
