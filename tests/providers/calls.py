"""Calls of the provider endpoints that tests share."""

from typing import Any

import httpx

PROVIDERS = "/api/providers"
OPENAI = f"{PROVIDERS}/openai"
SECRET_KEY = "the-secret-of-this-server-0123456789abcdef"
KEY = "sk-of-this-account-0123456789-wxyz"
HEADER = "the-value-of-a-header-0123456789"


async def put(client: httpx.AsyncClient, slug: str = "openai", /, **body: Any) -> dict[str, Any]:
    """Store settings; return the answer."""
    answer = await client.put(f"{PROVIDERS}/{slug}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def get(client: httpx.AsyncClient, slug: str = "openai") -> dict[str, Any]:
    """Return a provider as it is shown."""
    answer = await client.get(f"{PROVIDERS}/{slug}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def check(client: httpx.AsyncClient, slug: str = "openai") -> dict[str, Any]:
    """Check a provider; return the answer."""
    answer = await client.post(f"{PROVIDERS}/{slug}/check")
    assert answer.status_code == 200, answer.text
    return answer.json()
