"""Asks a provider for its list of models, which tells whether it answers and takes the key."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import httpx

from llmstack_api.errors import AddressRefusedError, ProviderRefusedError, RunError
from llmstack_api.known_providers import Protocol
from llmstack_api.llm.anthropic import VERSION_HEADERS
from llmstack_api.llm.call import Reader, call
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.values import loads

PATIENCE: Final = 10.0
"""Seconds that a check may take."""

MAX_MODELS: Final = 100
"""Models that are told of."""

MAX_LIST: Final = 4 * 1024 * 1024
"""Bytes of a list of models that are read."""

MAX_NAME: Final = 200
"""Characters of a model's name."""

Verdict = Literal["answers", "unlisted", "refused", "away", "unconfigured"]
"""`unlisted`: it answers, but has no list of models, so that its key was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a provider made of a cheap call."""

    verdict: Verdict
    detail: str
    """A sentence for those who read it."""
    models: tuple[str, ...] = ()
    """The first of its models, in its order."""

    @property
    def ok(self) -> bool:
        """It answers, and nothing speaks against calling it."""
        return self.verdict in {"answers", "unlisted"}


async def check(client: httpx.AsyncClient, endpoint: Endpoint, *, protocol: Protocol) -> CheckResult:
    """Ask for the list of models, once."""
    body, whole = b"", True

    async def consume(reader: Reader) -> None:
        nonlocal body, whole
        body, whole = await reader.read_all(MAX_LIST)

    headers = endpoint.headers(VERSION_HEADERS if protocol == "anthropic" else {})
    request = httpx.Request("GET", endpoint.url("/models"), headers=headers)
    try:
        async with asyncio.timeout(PATIENCE):
            await call(client, request, endpoint=endpoint, idle_timeout=PATIENCE, consume=consume, retries=0)
    except TimeoutError:
        return CheckResult(
            verdict="away", detail=f"{endpoint.name} did not answer within {PATIENCE:g} seconds."
        )
    except ProviderRefusedError as error:
        if "(HTTP 404)" in str(error):
            return CheckResult(
                verdict="unlisted",
                detail=f"{endpoint.name} answers, but has no /models: its key was not tried, and its address "
                "may be wrong.",
            )
        return CheckResult(verdict="refused", detail=str(error))
    except AddressRefusedError as error:
        return CheckResult(verdict="unconfigured", detail=str(error))
    except RunError as error:
        return CheckResult(verdict="away", detail=str(error))
    names = _names(body) if whole else None
    if names is None:
        return CheckResult(
            verdict="unlisted",
            detail=f"{endpoint.name} answers, but not with a list of models: its address may be wrong.",
        )
    return CheckResult(verdict="answers", detail=f"{endpoint.name} answers.", models=names)


def _names(body: bytes) -> tuple[str, ...] | None:
    """Read the names of a list of models; None where it is none."""
    try:
        answer = loads(body)
    except ValueError:
        return None
    listed = cast("dict[str, Any]", answer).get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return None
    names = [
        cast("dict[str, Any]", item).get("id")
        for item in cast("list[Any]", listed)[:MAX_MODELS]
        if isinstance(item, dict)
    ]
    return tuple(name[:MAX_NAME] for name in names if isinstance(name, str) and name)
