"""Search of the web by the engine that the operator set (the port `WebSearch`)."""

import asyncio
import html
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import httpx
import orjson

from llmstack_api.egress import parse_url
from llmstack_api.engine.ports import Json, JsonObject, WebResult
from llmstack_api.errors import (
    AddressRefusedError,
    ProviderFailedError,
    ProviderNotConfiguredError,
    ProviderRefusedError,
    ProviderTimeoutError,
)
from llmstack_api.llm.call import Reader, call
from llmstack_api.llm.endpoint import AUTHORIZATION, Endpoint
from llmstack_api.llm.values import loads
from llmstack_api.outbound import operator_client
from llmstack_api.settings import Settings

PATIENCE: Final = 20.0
"""Seconds that a search may take, retries included."""

MAX_RETRIES: Final = 1

MAX_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of an answer that are read."""

MAX_TEXT: Final = 4000
"""Characters of one hit's text, and of its address."""

_SEARXNG_REFUSES: Final = "A SearXNG answers in JSON only where its `search.formats` names json."
_MARKUP: Final = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")

Api = Literal["searxng", "brave", "tavily"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wire:
    """How one API is spoken to."""

    base_url: str | None
    """Where it is asked when only its key is set."""
    key_header: str
    list_at: tuple[str, ...]
    """Where the hits stand in an answer."""
    text: str
    """The field of a hit that has its text."""
    most: int
    """Hits that it gives at once."""


_WIRES: Final[Mapping[Api, _Wire]] = {
    "searxng": _Wire(
        base_url=None, key_header=AUTHORIZATION, list_at=("results",), text="content", most=1000
    ),
    "brave": _Wire(
        base_url="https://api.search.brave.com",
        key_header="X-Subscription-Token",
        list_at=("web", "results"),
        text="description",
        most=20,
    ),
    "tavily": _Wire(
        base_url="https://api.tavily.com",
        key_header=AUTHORIZATION,
        list_at=("results",),
        text="content",
        most=20,
    ),
}


class OperatorSearch:
    """The port `WebSearch` over the operator's client."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client

    async def search(self, query: str, *, limit: int) -> list[WebResult]:
        """Search the web; see `engine.ports.WebSearch.search`."""
        api = self._settings.search_api
        wire = _WIRES[api]
        endpoint = _endpoint(self._settings, wire)
        request = _request(api, endpoint, query=query, limit=min(limit, wire.most))
        body, whole = b"", True

        async def consume(reader: Reader) -> None:
            nonlocal body, whole
            body, whole = await reader.read_all(MAX_ANSWER)

        try:
            async with asyncio.timeout(PATIENCE):
                await call(
                    self._client,
                    request,
                    endpoint=endpoint,
                    idle_timeout=PATIENCE,
                    consume=consume,
                    retries=MAX_RETRIES,
                )
        except TimeoutError:
            raise ProviderTimeoutError(
                f"{endpoint.name} did not answer within {PATIENCE:g} seconds."
            ) from None
        except ProviderRefusedError as error:
            if api == "searxng" and "(HTTP 403)" in str(error):
                raise ProviderRefusedError(f"{error} {_SEARXNG_REFUSES}") from None
            raise
        if not whole:
            raise ProviderFailedError(f"{endpoint.name} answered with more than {MAX_ANSWER:,} bytes.")
        return _read(body, wire, endpoint=endpoint)[:limit]


@asynccontextmanager
async def open_web_search(settings: Settings) -> AsyncGenerator[OperatorSearch]:
    """Open the port `WebSearch`; nothing is connected to before it is needed."""
    async with operator_client() as client:
        yield OperatorSearch(settings, client)


def _endpoint(settings: Settings, wire: _Wire) -> Endpoint:
    secret = settings.search_api_key
    key = secret.get_secret_value().strip() if secret else ""
    if not (key.isascii() and key.isprintable()):
        raise ProviderNotConfiguredError("LLMSTACK_SEARCH_API_KEY holds characters that no key can have.")
    if wire.base_url is not None and not key and settings.search_base_url is None:
        raise ProviderNotConfiguredError(
            "No search engine is configured: set LLMSTACK_SEARCH_API_KEY, "
            f"which LLMSTACK_SEARCH_API={settings.search_api} needs."
        )
    address = settings.search_base_url or wire.base_url
    if address is None:
        raise ProviderNotConfiguredError(
            "No search engine is configured: set LLMSTACK_SEARCH_BASE_URL to a SearXNG, or LLMSTACK_SEARCH_API "
            "to brave or tavily and LLMSTACK_SEARCH_API_KEY."
        )
    try:
        url = parse_url(address)
    except AddressRefusedError as error:
        raise ProviderNotConfiguredError(f"LLMSTACK_SEARCH_BASE_URL: {error}") from None
    return Endpoint(name="The search engine", base_url=url, key=key or None, key_header=wire.key_header)


def _request(api: Api, endpoint: Endpoint, *, query: str, limit: int) -> httpx.Request:
    headers = endpoint.headers({"Accept": "application/json"})
    match api:
        case "searxng":
            url = endpoint.url("/search").copy_merge_params({"q": query, "format": "json"})
            return httpx.Request("GET", url, headers=headers)
        case "brave":
            parameters = {"q": query, "count": limit, "text_decorations": "false"}
            url = endpoint.url("/res/v1/web/search").copy_merge_params(parameters)
            return httpx.Request("GET", url, headers=headers)
        case "tavily":
            body = orjson.dumps({"query": query, "max_results": limit})
            headers["Content-Type"] = "application/json"
            return httpx.Request("POST", endpoint.url("/search"), headers=headers, content=body)


# --- what it answers -------------------------------------------------------------------------------------


def _read(body: bytes, wire: _Wire, *, endpoint: Endpoint) -> list[WebResult]:
    try:
        found = loads(body)
    except ValueError:
        raise ProviderFailedError(f"{endpoint.name} did not answer in JSON.") from None
    for key in wire.list_at:
        if not isinstance(found, dict):
            raise ProviderFailedError(f"{endpoint.name} did not answer with a list of hits.")
        # Where nothing is found, Brave leaves the list out.
        found = cast("JsonObject", found).get(key, [] if key == wire.list_at[-1] else {})
    if not isinstance(found, list):
        raise ProviderFailedError(f"{endpoint.name} did not answer with a list of hits.")
    hits = [_hit(element, wire) for element in cast("list[Any]", found)]
    return [hit for hit in hits if hit is not None]


def _hit(element: Json, wire: _Wire) -> WebResult | None:
    """Read one hit; None where it has no address."""
    if not isinstance(element, dict):
        return None
    fields = cast("JsonObject", element)
    url = fields.get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")) or len(url) > MAX_TEXT:
        return None
    return WebResult(title=_plain(fields.get("title")), text=_plain(fields.get(wire.text)), url=url)


def _plain(value: Json) -> str:
    """Give a text without markup, which engines put around the words that they found."""
    if not isinstance(value, str):
        return ""
    text = html.unescape(_MARKUP.sub("", value[: 2 * MAX_TEXT]))
    return " ".join(text.replace("\0", " ").split())[:MAX_TEXT]
