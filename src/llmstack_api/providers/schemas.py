"""Bodies of the provider endpoints."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.models import NAME_LENGTH

MAX_URL: Final = 2048
MAX_KEY: Final = 4096
MAX_HEADERS: Final = 16
MAX_HEADER_NAME: Final = 128
MAX_HEADER_VALUE: Final = 4096

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A field name of RFC 9110."""

_OURS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that the server makes itself, or that say how a message is sent."""

_OURS_PREFIXES: Final = ("content-", "proxy-")


def is_printable(text: str) -> bool:
    """Tell whether a text is made of visible ASCII and blanks."""
    return text.isascii() and text.isprintable()


def _stripped(value: Json) -> Json:
    return value.strip() if isinstance(value, str) else value


def _check_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not 0 < len(text) <= MAX_KEY or not is_printable(text):
        raise ValueError(f"must be 1 to {MAX_KEY} printable ASCII characters")
    return value


def _check_model(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be printable characters")
    return value


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"has more than {MAX_HEADERS} headers")
    seen: set[str] = set()
    for name, value in headers.items():
        lower = name.lower()
        if len(name) > MAX_HEADER_NAME or not _TOKEN.fullmatch(name):
            raise ValueError(f"the name {name[:80]!r} is none that a header can have")
        if lower in _OURS or lower.startswith(_OURS_PREFIXES):
            raise ValueError(f"the header {name!r} cannot be set; a key belongs in api_key")
        if lower in seen:
            raise ValueError(f"the header {name!r} is there twice")
        seen.add(lower)
        if not 0 < len(value.strip()) <= MAX_HEADER_VALUE or not is_printable(value):
            raise ValueError(
                f"the value of {name!r} must be 1 to {MAX_HEADER_VALUE} printable ASCII characters"
            )
    return {name: value.strip() for name, value in headers.items()}


Address = Annotated[str, BeforeValidator(_stripped), Field(max_length=MAX_URL)]
Key = Annotated[SecretStr, BeforeValidator(_stripped), AfterValidator(_check_key)]
Model = Annotated[
    str, BeforeValidator(_stripped), Field(min_length=1, max_length=NAME_LENGTH), AfterValidator(_check_model)
]


class ProviderIn(BaseModel):
    """Settings of a provider. They replace the earlier ones as a whole; only a key left out may stay."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    base_url: Annotated[Address | None, Field(examples=["https://models.example.com/v1"])] = None
    """Address, up to where `/chat/completions` follows; a public one, unless the operator allows others.

    Left out: the provider's own, where `api_key` is stored, or else the operator's endpoint as a whole."""
    api_key: Annotated[Key | None, Field(examples=["sk-..."], json_schema_extra={"writeOnly": True})] = None
    """Key, 1 to 4096 printable ASCII characters; encrypted, and never shown again.

    Left out: the stored one stays, where `base_url` is as it was. Null removes it."""
    default_model: Annotated[Model | None, Field(examples=["gpt-4o-mini"])] = None
    """Chat model that is asked where an app names none."""
    headers: Annotated[
        dict[str, str],
        AfterValidator(_check_headers),
        Field(examples=[{"OpenAI-Organization": "org-1"}], json_schema_extra={"maxProperties": MAX_HEADERS}),
    ] = Field(default_factory=dict[str, str])
    """Further headers of each request to the provider, by name: at most 16, values to 4096 printable ASCII characters.

    They are encrypted as the key is; answers name them without their values."""

    @model_validator(mode="before")
    @classmethod
    def _blank_is_null(cls, data: Json) -> Json:
        if not isinstance(data, dict):
            return data
        fields = {key: None if value == "" else value for key, value in cast("JsonObject", data).items()}
        if "headers" in fields and fields["headers"] is None:
            del fields["headers"]
        return fields


class WarningOut(BaseModel):
    """What was done otherwise than one might think."""

    loc: str
    """Which key of the body it is about."""
    msg: str

    model_config = ConfigDict(use_attribute_docstrings=True)


class ProviderOut(BaseModel):
    """A model provider, and how this account reaches it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    slug: str
    """What apps name it by, as `provider` or as the first half of a processor's slug."""
    name: str
    configured: Literal["account", "operator"] | None
    """Whose address and key are used: the account's own, the operator's, or none, so that runs fail."""
    base_url: str | None
    """The account's own address. Null: the provider's own, or the operator's, which is not shown."""
    default_model: str | None
    """Chat model that is asked where an app names none: the account's choice, or the provider's usual one."""
    has_key: bool
    """Whether the account has stored a key."""
    key_hint: str | None
    """Last characters of that key, where it has 16 or more."""
    headers: list[str]
    """Names of the stored headers."""
    updated_at: datetime | None
    """When the account's settings were last changed; null where it has none."""
    error: str | None
    """Why the account's settings cannot be used; null where they can."""


class SavedProviderOut(ProviderOut):
    """A model provider after its settings were stored."""

    warnings: list[WarningOut]
    """What was done otherwise than one might think."""


class CheckOut(BaseModel):
    """What came of asking a provider."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ok: bool
    """Whether it answered, and took the key."""
    detail: str
    """What happened, in words; what the provider itself said is shortened and marked as its own."""
    models: list[str]
    """Models that it names, at most 100."""
