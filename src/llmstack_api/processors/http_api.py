"""`promptly/http_api_processor`: one call of an HTTP API, its parameters filled by name."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, cast
from urllib.parse import quote

import orjson
from pydantic import BeforeValidator, Field, ValidationError

from llmstack_api.engine.liquid import Budget
from llmstack_api.engine.ports import HttpCall, Json, JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.engine.strict import is_absent
from llmstack_api.engine.template import OwnTemplate, is_templated
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import Object
from llmstack_api.processors.http_parts import (
    FORM_TYPE,
    JSON_TYPE,
    add_query,
    cookie_header,
    cookies_of,
    encode_query,
    headers_of,
    json_of,
    refuse_dots,
    text_of,
    with_type,
)
from llmstack_api.processors.values import FilledText, as_text, emit_text

PARAMETERS: Final = "_parameters"
"""Name that templates of the path and of the payload have for the parameters."""

_PLACE: Final = re.compile(r"\{([^{}]{1,200})\}")
_FAILED: Final = 400


def _upper(value: Json) -> Json:
    return value.strip().upper() if isinstance(value, str) else value


Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"], BeforeValidator(_upper)
]


class HttpApiInput(ProcessorModel):
    """Values of the call."""

    input_data: Object = None
    """Object with a value for each of the parameters of `config.parameters` and `config.request_body`, by name."""


class Parameter(ProcessorModel):
    """A parameter outside the body."""

    name: str = Field(min_length=1)
    """Its name, under which `input_data` has its value."""
    location: Literal["path", "query", "header", "cookie"] = "path"
    """Where it is sent. In the path, `{name}` stands for it."""
    required: bool = True
    """Whether the call fails without it."""
    description: str | None = None
    """What it means."""
    value: Any = None
    """Its value where `input_data` has none."""


class BodyParameter(ProcessorModel):
    """A field of the body."""

    name: str = Field(min_length=1)
    """Its name, under which `input_data` has its value."""
    type: Literal["string", "number", "integer", "boolean", "array", "object"] = "string"
    """What it is sent as; a text is read as that."""
    required: bool = True
    """Whether the call fails without it."""
    description: str | None = None
    """What it means."""


class RequestBody(ProcessorModel):
    """The body."""

    parameters: list[BodyParameter] = Field(default_factory=list[BodyParameter])
    """Its fields."""
    payload: FilledText = ""
    """The whole body, in place of one made of the fields; `{{_parameters.name | tojson}}` stands for one of them."""


class HttpApiConfig(ProcessorModel):
    """The call."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        {
            "connection_id",
            "openapi_spec",
            "openapi_spec_url",
            "parse_openapi_spec",
            "_schema",
            "_openapi_spec_parsed",
        }
    )

    url: FilledText = ""
    """Address of the API."""
    path: FilledText = ""
    """What follows it, such as `/users/{id}`."""
    method: Method = "GET"
    """HTTP method."""
    content_type: str = JSON_TYPE
    """What the body is: JSON, or a form (`application/x-www-form-urlencoded`); with a payload anything."""
    parameters: list[Parameter] = Field(default_factory=list[Parameter])
    """Parameters outside the body."""
    request_body: RequestBody | None = None
    """The body."""
    allow_redirects: bool = True
    """Whether redirects are followed, at most 5. Credentials stay with their origin."""
    timeout: float = Field(default=5, gt=0, le=100)
    """Seconds that the call may take as a whole."""


class HttpApiOutput(ProcessorModel):
    """What the API answered, whatever its status."""

    code: int = 200
    """HTTP status."""
    is_ok: bool = True
    """Whether the status is below 400."""
    url: str = ""
    """Where the answer came from, after redirects."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Its headers."""
    cookies: dict[str, str] = Field(default_factory=dict[str, str])
    """Cookies that it sets."""
    encoding: str | None = None
    """How its text was encoded."""
    elapsed: float = 0
    """Seconds that the call took."""
    content_json: Any = None
    """The body as JSON, where it is."""
    text: str = ""
    """The body as text; empty where it is none. Streams."""


class HttpApi(Processor[HttpApiInput, HttpApiConfig]):
    """Call an HTTP API and give its answer, whatever its status. Private addresses are refused."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "http_api_processor"
    Output: ClassVar[type[ProcessorModel]] = HttpApiOutput
    addresses: ClassVar[frozenset[str]] = frozenset({"url"})
    own_names: ClassVar[frozenset[str]] = frozenset({PARAMETERS})

    @classmethod
    def shapes(cls, config: JsonObject) -> Mapping[str, JsonObject]:
        """Describe `input_data` by the parameters that the config names; those with a value are not asked for."""
        try:
            parsed = cls.Config.model_validate(
                {key: config.get(key) for key in ("parameters", "request_body")}
            )
        except ValidationError:
            return {}  # told as faults of the config
        return {"input_data": _shape_of(cast("HttpApiConfig", parsed))}

    async def run(self, emit: Emit) -> None:
        """Call, and emit the answer."""
        answer = await self.context.ports.http.call(await self._call())
        text, encoding = text_of(answer)
        await emit.value("code", answer.status)
        await emit.value("is_ok", answer.status < _FAILED)
        await emit.value("url", answer.url)
        await emit.value("headers", headers_of(answer))
        await emit.value("cookies", cookies_of(answer))
        await emit.value("encoding", encoding)
        await emit.value("elapsed", round(answer.elapsed, 6))
        await emit.value("content_json", await json_of(answer))
        await emit_text(emit, "text", text)

    async def _call(self) -> HttpCall:
        config, budget = self.config, Budget()
        given = self.input.input_data or {}
        placed = _by_place(config.parameters, self._values(given))
        headers = [(name, as_text(value).strip()) for name, value in placed["header"].items()]
        headers += cookie_header((name, as_text(value)) for name, value in placed["cookie"].items())
        content = await self._content(given, budget)
        if content is not None:
            headers = with_type(headers, config.content_type)
        url = await self._url(placed["path"], budget)
        return HttpCall(
            method=config.method,
            url=add_query(url, encode_query(placed["query"])),
            headers=headers,
            content=content,
            follow_redirects=config.allow_redirects,
            timeout=config.timeout,
        )

    def _values(self, given: JsonObject) -> JsonObject:
        """Give the values of the parameters outside the body."""
        values: JsonObject = {}
        for parameter in self.config.parameters:
            value = given.get(parameter.name)
            value = parameter.value if is_absent(value) else value
            if not is_absent(value):
                values[parameter.name] = value
            elif parameter.required:
                raise ProcessorInputError(
                    f"input.input_data: the parameter {parameter.name!r} is required ({parameter.location})."
                )
        return values

    async def _url(self, values: JsonObject, budget: Budget) -> str:
        encoded = {name: quote(as_text(value), safe="") for name, value in values.items()}
        base = (await _filled(self.config.url, encoded, budget)).strip()
        if not base:
            raise ProcessorInputError("config.url: there is no address to call.")
        path = (await _filled(self.config.path, encoded, budget)).strip()
        url = _PLACE.sub(lambda place: encoded.get(place[1], place[0]), _joined(base, path))
        refuse_dots(url)
        return url

    async def _content(self, given: JsonObject, budget: Budget) -> bytes | None:
        body = self.config.request_body
        if body is None:
            return None
        fields: JsonObject = {}
        for parameter in body.parameters:
            value = given.get(parameter.name)
            if value is not None:
                fields[parameter.name] = _typed(parameter, value)
            elif parameter.required:
                raise ProcessorInputError(
                    f"input.input_data: the parameter {parameter.name!r} is required (body)."
                )
        payload = await _filled(body.payload, fields, budget)
        if payload.strip():
            return payload.encode(errors="replace")
        if not fields:
            return None
        if self.config.content_type.partition(";")[0].strip().lower() == FORM_TYPE:
            return encode_query(fields).encode()
        return orjson.dumps(fields)


def _by_place(parameters: list[Parameter], values: JsonObject) -> Mapping[str, JsonObject]:
    placed: dict[str, JsonObject] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
    for parameter in parameters:
        if parameter.name in values:
            placed[parameter.location][parameter.name] = values[parameter.name]
    return placed


async def _filled(text: str | OwnTemplate, values: JsonObject, budget: Budget) -> str:
    if isinstance(text, OwnTemplate):
        return as_text(await text.fill({PARAMETERS: values}, budget))
    return text


def _joined(base: str, path: str) -> str:
    """Put a path, which may have a query, behind an address, which may have one too."""
    if not path:
        return base
    address, _, own_query = base.partition("#")[0].partition("?")
    path, _, query = path.partition("?")
    url = f"{address.rstrip('/')}/{path.lstrip('/')}" if path else address
    return add_query(add_query(url, own_query), query)


def _typed(parameter: BodyParameter, value: Json) -> Json:
    """Read a text as what it is sent as."""
    if parameter.type == "string":
        return as_text(value)
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = None
    fits = {
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    if not fits[parameter.type]:
        raise ProcessorInputError(
            f"input.input_data: the parameter {parameter.name!r} is to be of the type {parameter.type}."
        )
    return value


def _shape_of(config: HttpApiConfig) -> JsonObject:
    """Describe the parameters whose values are not in the config."""
    open_ = [parameter for parameter in config.parameters if parameter.value in (None, "")]
    body = config.request_body.parameters if config.request_body else []
    properties: JsonObject = {}
    wanted = [parameter for parameter in (*open_, *body) if not is_templated(parameter.name)]
    for parameter in wanted:
        properties[parameter.name] = {"type": getattr(parameter, "type", "string")} | (
            {"description": parameter.description} if parameter.description else {}
        )
    required = [parameter.name for parameter in wanted if parameter.required]
    shape: JsonObject = {"type": "object", "properties": properties}
    return shape | ({"required": list(dict.fromkeys(required))} if required else {})
