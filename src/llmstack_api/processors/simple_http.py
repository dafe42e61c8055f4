"""`promptly/simple_http`: one HTTP request as it is written."""

from typing import Annotated, Any, ClassVar, Literal, cast
from urllib.parse import urlsplit

import orjson
from pydantic import BeforeValidator, Field

from llmstack_api.engine.files import clean_media_type, write_data_uri
from llmstack_api.engine.ports import File, HttpAnswer, HttpCall, Json, JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import Object, Text
from llmstack_api.processors.http_parts import (
    FORM_TYPE,
    JSON_TYPE,
    add_query,
    cookie_header,
    encode_query,
    header,
    headers_of,
    json_of,
    text_of,
    with_type,
)
from llmstack_api.processors.values import aside, emit_text

_PLAIN_TYPE = "text/plain; charset=utf-8"


def _upper(value: Json) -> Json:
    return value.strip().upper() if isinstance(value, str) else value


class SimpleHttpInput(ProcessorModel):
    """The request."""

    url: Text = ""
    """Address to be asked."""
    body: Text = ""
    """Body of the request. Where it and `config.body` are JSON objects, the two are joined."""
    query_params: Object = None
    """Object of further query parameters, over those of `config.query_params`."""


class Pair(ProcessorModel):
    """A name and its value."""

    key: Text
    """The name."""
    value: Text = ""
    """The value."""


class Cookie(ProcessorModel):
    """A cookie."""

    name: Text
    """Its name."""
    value: Text = ""
    """Its value."""
    domain: Text = ""
    """The host that it is for, and those below it; every host where this is empty."""


class SimpleHttpConfig(ProcessorModel):
    """How the request is made."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"connection_id"})

    method: Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"], BeforeValidator(_upper)] = (
        "GET"
    )
    """HTTP method."""
    query_params: list[Pair] = Field(default_factory=list[Pair])
    """Query parameters."""
    body: Text = ""
    """Body of the request; with GET and HEAD none is sent. A JSON object goes as a form unless the header
    `Content-Type` says JSON; any other text as it is."""
    headers: list[Pair] = Field(default_factory=list[Pair])
    """Headers."""
    cookies: list[Cookie] = Field(default_factory=list[Cookie])
    """Cookies."""
    output_type: Annotated[Literal["STRING", "JSON", "OBJECT"], BeforeValidator(_upper)] = "STRING"
    """`OBJECT`: `response` is the body as a data URI."""
    connect_timeout: float = Field(default=5, gt=0, le=10)
    """Seconds until there is a connection."""
    read_timeout: float = Field(default=10, gt=0, le=30)
    """Seconds that the answer may take then."""
    user_agent: str | None = None
    """The header `User-Agent`."""


class SimpleHttpOutput(ProcessorModel):
    """What was answered, whatever its status."""

    code: int = 200
    """HTTP status."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Headers of the answer."""
    size: int = 0
    """Bytes of its body."""
    time: float = 0
    """Seconds that it took."""
    response_json: dict[str, Any] | None = None
    """The body, where it is a JSON object; a JSON array is in `data`."""
    response: str = ""
    """The body as text; streams."""


class SimpleHttp(Processor[SimpleHttpInput, SimpleHttpConfig]):
    """Send one HTTP request and give the answer, whatever its status. Private addresses are refused."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "simple_http"
    Output: ClassVar[type[ProcessorModel]] = SimpleHttpOutput

    async def run(self, emit: Emit) -> None:
        """Send the request, and emit the answer."""
        answer = await self.context.ports.http.call(self._call())
        await emit.value("code", answer.status)
        await emit.value("headers", headers_of(answer))
        await emit.value("size", len(answer.content))
        await emit.value("time", round(answer.elapsed, 6))
        value = await json_of(answer)
        await emit.value("response_json", {"data": value} if isinstance(value, list) else _object(value))
        await emit_text(emit, "response", await self._response(answer))

    async def _response(self, answer: HttpAnswer) -> str:
        if self.config.output_type != "OBJECT":
            return text_of(answer)[0]
        kind = clean_media_type(header(answer.headers, "content-type") or "")
        return await aside(lambda data: write_data_uri(File(data, media_type=kind)), answer.content)

    def _call(self) -> HttpCall:
        config = self.config
        url = self.input.url.strip()
        if not url:
            raise ProcessorInputError("input.url: there is no address to ask.")
        headers = [(pair.key.strip(), pair.value.strip()) for pair in config.headers]
        if config.user_agent:
            headers = [(name, value) for name, value in headers if name.lower() != "user-agent"]
            headers.append(("User-Agent", config.user_agent.strip()))
        headers += cookie_header(
            (cookie.name, cookie.value) for cookie in config.cookies if _is_for(cookie.domain, url)
        )
        content = None
        if config.method not in {"GET", "HEAD"}:
            content, headers = _body(config.body, self.input.body, headers=headers)
        query: JsonObject = {pair.key: pair.value for pair in config.query_params}
        return HttpCall(
            method=config.method,
            url=add_query(url, encode_query(query | (self.input.query_params or {}))),
            headers=headers,
            content=content,
            follow_redirects=config.method != "HEAD",
            timeout=config.connect_timeout + config.read_timeout,
            connect_timeout=config.connect_timeout,
        )


def _object(value: Json) -> JsonObject | None:
    return cast("JsonObject", value) if isinstance(value, dict) else None


def _is_for(domain: str, url: str) -> bool:
    """Tell whether a cookie of a domain is for an address."""
    wanted = domain.strip().lstrip(".").lower()
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    return not wanted or host == wanted or host.endswith(f".{wanted}")


def _body(
    fixed: str, given: str, *, headers: list[tuple[str, str]]
) -> tuple[bytes | None, list[tuple[str, str]]]:
    """Make the body of what the config and the input have; the input wins."""
    objects = [_as_object(text) for text in (fixed, given) if text.strip()]
    if not objects:
        return None, headers
    if any(value is None for value in objects):
        text = given if given.strip() else fixed
        content_type = JSON_TYPE if _is_json(text) else _PLAIN_TYPE
        return text.encode(errors="replace"), with_type(headers, content_type)
    fields: JsonObject = {}
    for value in objects:
        fields |= value or {}
    headers = with_type(headers, FORM_TYPE)
    content_type = (header(headers, "content-type") or "").partition(";")[0].strip().lower()
    if content_type == FORM_TYPE:
        return encode_query(fields).encode(), headers
    return orjson.dumps(fields), headers


def _as_object(text: str) -> JsonObject | None:
    try:
        return _object(orjson.loads(text))
    except orjson.JSONDecodeError:
        return None


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
