"""Where a model server is called and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import httpx

from llmstack_api.outbound import USER_AGENT

AUTHORIZATION: Final = "Authorization"
_SHORTEST_SECRET: Final = 8
_OWN: Final = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address of a model server, and what belongs to it alone: its key and its further headers."""

    name: str
    """What errors call it."""
    base_url: httpx.URL
    key: str | None = field(default=None, repr=False)
    key_header: str = AUTHORIZATION
    """Where the key is sent; in `Authorization` after `Bearer`."""
    further_headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent besides, and in place of ours of the same name."""

    def url(self, path: str) -> httpx.URL:
        """Give the URL of an operation; a query of the base URL is kept."""
        return _join(self.base_url, path)

    def headers(self, of_request: Mapping[str, str]) -> dict[str, str]:
        """Give the headers of a request: those that every one has, its own, and what belongs to the address."""
        headers = {**_OWN, **of_request}
        if self.key:
            headers[self.key_header] = f"Bearer {self.key}" if self.key_header == AUTHORIZATION else self.key
        if self.further_headers:
            taken = {name.lower() for name in self.further_headers}
            kept = {name: value for name, value in headers.items() if name.lower() not in taken}
            return kept | dict(self.further_headers)
        return headers

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be passed on."""
        values = [value for value in self.further_headers.values() if len(value) >= _SHORTEST_SECRET]
        return (self.key, *values) if self.key else tuple(values)


@lru_cache(maxsize=512)
def _join(base: httpx.URL, path: str) -> httpx.URL:
    own_path, mark, query = base.raw_path.partition(b"?")
    return base.copy_with(raw_path=own_path.rstrip(b"/") + path.encode() + mark + query, fragment=None)
