"""Sitemaps: the addresses that a site names, read from XML or a plain list."""

import asyncio
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urldefrag, urlsplit
from xml.parsers import expat

import structlog

from llmstack_api.errors import FetchError
from llmstack_api.ingest.address import MAX_URL
from llmstack_api.ingest.fetch import Allowance, Fetcher
from llmstack_api.ingest.inflate import Inflater

log = structlog.get_logger(__name__)

MAX_INFLATED: Final = 52_428_800
"""Bytes of one sitemap, inflated: what the protocol allows."""

MAX_URLS: Final = 50_000
"""Addresses of one sitemap: likewise. What follows is not read."""

MAX_SITEMAPS: Final = 50
"""Sitemaps that one collection reads, the first included."""

_DEEPEST: Final = 32
_GZIP: Final = b"\x1f\x8b"
_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_PLACES: Final = {"urlset": "url", "sitemapindex": "sitemap"}
_ABSENT: Final = frozenset({"http-404", "http-410", "robots-disallowed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitemap:
    """What one sitemap names, in its order, each once."""

    urls: list[str] = field(default_factory=list[str])
    """Pages."""
    sitemaps: list[str] = field(default_factory=list[str])
    """Other sitemaps, of an index."""
    ignored: int = 0
    """Addresses of other hosts, and what is no http(s) address."""


def parse_sitemap(data: bytes, *, url: str) -> Sitemap:
    """Read a sitemap that was found at `url`: XML, gzip of it, or a list with an address a line.

    Kept are addresses of the sitemap's own host, as the protocol has it, with or without `www.`.

    Raises:
        FetchError: `not-a-sitemap`, or `too-large`.
    """
    text = _inflate(data, url=url) if data.startswith(_GZIP) else data
    is_xml = text.lstrip().startswith(b"<") or text.startswith(_BOMS[1:])
    if text.startswith(_BOMS[0]):
        is_xml = text[3:].lstrip().startswith(b"<")
    if is_xml:
        reader = _Reader(url)
        reader.read(text)
        return _own(reader.found, url=url, index=reader.root == "sitemapindex")
    lines = text.removeprefix(_BOMS[0]).decode("utf-8", errors="replace").split("\n", MAX_URLS)[:MAX_URLS]
    listed = [line.strip() for line in lines if line.strip()]
    if not (listed and listed[0].startswith(("http://", "https://"))):
        raise _no_sitemap(url, "neither XML nor a list of addresses")
    return _own(listed, url=url, index=False)


async def collect(fetcher: Fetcher, url: str, *, limit: int = 5000) -> list[str]:
    """Give the pages that a sitemap and those it leads to name: the first `limit`, breadth first.

    A further sitemap that is not there, or that robots.txt keeps from us, is passed over. Any other failure
    fails the whole: a list with a hole in it would look as if pages had gone.

    Raises:
        FetchError: a sitemap could not be fetched or read, or none names a page; `timeout` when all
            of them took longer than the time that the fetcher has for one fetch, waiting for turns aside.
    """
    allowance = Allowance(fetcher.timeout)
    pages: dict[str, None] = {}
    met = {url: None}
    ahead = deque([url])
    ignored = 0
    while ahead and len(pages) < limit:
        address = ahead.popleft()
        try:
            read = await _read(fetcher, address, allowance=allowance)
        except FetchError as error:
            if address == url or error.code not in _ABSENT:
                raise
            log.info("sitemap_passed_over", code=error.code)
            continue
        ignored += read.ignored
        pages.update(dict.fromkeys(read.urls))
        fresh = [other for other in read.sitemaps if other not in met][: MAX_SITEMAPS - len(met)]
        met.update(dict.fromkeys(fresh))
        ahead.extend(fresh)
    if not pages:
        why = f"{ignored:,} addresses are of other hosts or none at all" if ignored else "it is empty"
        raise FetchError(f"The sitemap names no page of its own host: {why}.", code="empty-sitemap")
    return list(pages)[:limit]


async def _read(fetcher: Fetcher, url: str, *, allowance: Allowance) -> Sitemap:
    try:
        async with fetcher.fetching(url, room=fetcher.sitemaps, allowance=allowance) as fetched:
            return await asyncio.to_thread(parse_sitemap, fetched.data, url=fetched.url)
    except FetchError as error:
        if error.code != "timeout" or allowance.seconds:
            raise
        raise FetchError(
            f"The sitemap and those it leads to could not be fetched within {fetcher.timeout:g} seconds.",
            code="timeout",
        ) from None


# --- reading ---------------------------------------------------------------------------------------------


def _inflate(data: bytes, *, url: str) -> bytes:
    inflater = Inflater()
    text = bytearray()
    try:
        for piece in inflater.feed(data):
            text += piece
            if len(text) > MAX_INFLATED:
                raise FetchError(
                    f"The sitemap {_shown(url)} is larger than {MAX_INFLATED:,} bytes.", code="too-large"
                )
    except zlib.error:
        raise _no_sitemap(url, "broken gzip") from None
    if not inflater.whole:
        raise _no_sitemap(url, "gzip that breaks off")
    return bytes(text)


class _EnoughError(Exception):
    """All that may be read has been read."""


class _Reader:
    """Reads `<loc>` where the protocol has it, whatever the namespaces; entities are refused."""

    def __init__(self, url: str) -> None:
        self.found: list[str] = []
        self.root = ""
        self._url = url
        self._path: list[str] = []
        self._loc: list[str] | None = None
        self._length = 0

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        try:
            # In one call: in several, this version of the parser begins a long token again in each.
            parser.Parse(data, True)  # noqa: FBT003 # the last piece; takes no keyword
        except _EnoughError:
            return
        except expat.ExpatError as error:
            raise _no_sitemap(self._url, f"XML with an error in line {error.lineno}") from None
        except (LookupError, ValueError):
            raise _no_sitemap(self._url, "XML in an unknown encoding") from None

    def _start(self, tag: str, _: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self._path:
            if name not in _PLACES:
                raise _no_sitemap(self._url, f"XML whose root is <{name[:40]}>")
            self.root = name
        if len(self._path) >= _DEEPEST:
            raise _no_sitemap(self._url, "XML that is nested too deep")
        self._path.append(name)
        if name == "loc" and self._path[1:-1] == [_PLACES[self.root]]:
            self._loc, self._length = [], 0

    def _text(self, text: str) -> None:
        if self._loc is not None:
            self._length += len(text)
            if self._length <= 2 * MAX_URL:
                self._loc.append(text)

    def _end(self, tag: str) -> None:
        del tag
        self._path.pop()
        if self._loc is not None and len(self._path) == 2:  # noqa: PLR2004 # back in <url> or <sitemap>
            self.found.append("".join(self._loc).strip() if self._length <= 2 * MAX_URL else "")
            self._loc = None
            if len(self.found) >= MAX_URLS:
                raise _EnoughError

    def _entity(self, *_: object) -> None:
        raise _no_sitemap(self._url, "XML that declares entities")


# --- whose addresses they are ----------------------------------------------------------------------------


def _own(found: Sequence[str], *, url: str, index: bool) -> Sitemap:
    host = _host(url)
    kept: dict[str, None] = {}
    ignored = 0
    for address in found:
        if len(address) <= MAX_URL and address.isprintable() and host and _host(address) == host:
            kept[urldefrag(address).url] = None
        else:
            ignored += 1
    urls = list(kept)
    return Sitemap(urls=[] if index else urls, sitemaps=urls if index else [], ignored=ignored)


def _host(address: str) -> str:
    """Give the host of an http(s) address, without `www.`; empty where it is none."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.") if parts.scheme in {"http", "https"} else ""


def _no_sitemap(url: str, what: str) -> FetchError:
    return FetchError(f"{_shown(url)} is no sitemap: it is {what}.", code="not-a-sitemap")


def _shown(url: str) -> str:
    return url.partition("?")[0][:200]
