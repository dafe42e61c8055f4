"""A fetcher that may reach the fake site, and what its failures are compared by."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from llmstack_api.errors import FetchError
from llmstack_api.ingest.fetch import ALL_AT_ONCE, Fetcher, open_fetcher
from llmstack_api.outbound import parse_egress

LOOPBACK = parse_egress("127.0.0.0/8")
MAX_BYTES = 1_000_000


@asynccontextmanager
async def fetching(
    *,
    timeout: float = 5.0,  # noqa: ASYNC109 # that of each fetch
    max_bytes: int = MAX_BYTES,
    at_once: int = ALL_AT_ONCE,
) -> AsyncGenerator[Fetcher]:
    async with open_fetcher(LOOPBACK, timeout=timeout, max_bytes=max_bytes, at_once=at_once) as fetcher:
        yield fetcher


async def failure(fetcher: Fetcher, url: str) -> FetchError:
    """Fetch what cannot be fetched, and give the reason."""
    with pytest.raises(FetchError) as failed:
        await fetcher.fetch(url)
    return failed.value
