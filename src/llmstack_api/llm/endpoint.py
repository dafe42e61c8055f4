"""Where a model server is called and how."""

from dataclasses import dataclass, field
from functools import lru_cache

import httpx


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address of a model server, and the key that belongs to it."""

    name: str
    """What errors call it."""
    base_url: httpx.URL
    key: str | None = field(default=None, repr=False)

    def url(self, path: str) -> httpx.URL:
        """Give the URL of an operation; a query of the base URL is kept."""
        return _join(self.base_url, path)


@lru_cache(maxsize=512)
def _join(base: httpx.URL, path: str) -> httpx.URL:
    own_path, mark, query = base.raw_path.partition(b"?")
    return base.copy_with(raw_path=own_path.rstrip(b"/") + path.encode() + mark + query, fragment=None)
