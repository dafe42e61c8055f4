"""The model providers that are known, and the chat port over them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast

import httpx
from pydantic import SecretStr

from llmstack_api.egress import Egress, parse_url
from llmstack_api.engine.ports import ChatRequest, DeltaReceiver, Usage
from llmstack_api.errors import AddressRefusedError, ProviderNotConfiguredError
from llmstack_api.llm import openai_compatible
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.outbound import guarded_client, operator_client
from llmstack_api.settings import PREFIX, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider whose settings are `LLMSTACK_<SLUG>_BASE_URL` and `LLMSTACK_<SLUG>_API_KEY`."""

    slug: str
    base_url: str | None
    """Where it is called when only its key is set; None where there is no such place."""


PROVIDERS: Final = {
    provider.slug: provider for provider in (Provider(slug="openai", base_url="https://api.openai.com/v1"),)
}


def resolve(settings: Settings, provider: str) -> Endpoint:
    """Find where a provider is called, and with which key.

    Raises:
        ProviderNotConfiguredError: it names the settings that are missing or wrong.
    """
    known = PROVIDERS.get(provider)
    if known is None:
        names = ", ".join(sorted(PROVIDERS))
        raise ProviderNotConfiguredError(f"There is no provider {provider!r}; known are: {names}.")
    base_url = cast("str | None", getattr(settings, f"{known.slug}_base_url"))
    secret = cast("SecretStr | None", getattr(settings, f"{known.slug}_api_key"))
    key = secret.get_secret_value().strip() if secret else ""
    variable = f"{PREFIX}{known.slug.upper()}"
    if not (key.isascii() and key.isprintable()):
        raise ProviderNotConfiguredError(f"{variable}_API_KEY holds characters that no key can have.")
    address = base_url or (known.base_url if key else None)
    if address is None:
        raise ProviderNotConfiguredError(
            f"The provider {provider!r} is not configured: set {variable}_API_KEY, or {variable}_BASE_URL."
        )
    try:
        url = parse_url(address)
    except AddressRefusedError as error:
        raise ProviderNotConfiguredError(f"{variable}_BASE_URL: {error}") from None
    return Endpoint(name=f"The provider {provider!r}", base_url=url, key=key or None)


class ChatModels:
    """Every chat model behind every provider (the port `ChatModel`)."""

    def __init__(
        self, settings: Settings, *, operator: httpx.AsyncClient, guarded: httpx.AsyncClient
    ) -> None:
        self._settings = settings
        self._operator = operator
        self._guarded = guarded
        self._endpoints: dict[str, Endpoint] = {}

    async def chat(self, request: ChatRequest, receive: DeltaReceiver) -> Usage:
        """Call the model; see `engine.ports.ChatModel.chat`."""
        client, endpoint = self._place(request)
        return await openai_compatible.chat(
            client,
            endpoint,
            request=request,
            receive=receive,
            idle_timeout=self._settings.model_idle_timeout,
        )

    def _place(self, request: ChatRequest) -> tuple[httpx.AsyncClient, Endpoint]:
        if request.base_url:
            # The address of a user: the guard is before it, and no key ever goes there.
            url = parse_url(request.base_url)
            return self._guarded, Endpoint(name=f"The model server {url.host}", base_url=url)
        endpoint = self._endpoints.get(request.provider)
        if endpoint is None:
            endpoint = self._endpoints[request.provider] = resolve(self._settings, request.provider)
        return self._operator, endpoint


@asynccontextmanager
async def open_chat_models(settings: Settings, egress: Egress) -> AsyncGenerator[ChatModels]:
    """Open the chat port and its two clients."""
    async with operator_client() as operator, guarded_client(egress) as guarded:
        yield ChatModels(settings, operator=operator, guarded=guarded)
