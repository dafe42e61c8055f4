"""Where the model providers are, for the operator and for each account, and the ports over them."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, assert_never, cast

import httpx
from pydantic import SecretStr

from llmstack_api.egress import Egress, parse_url
from llmstack_api.engine.ports import Capability, ChatRequest, DeltaReceiver, File, ModelCall, Usage
from llmstack_api.errors import AddressRefusedError, ProviderNotConfiguredError, RunError
from llmstack_api.known_providers import PROVIDERS, KnownProvider, Protocol
from llmstack_api.llm import anthropic, checking, media, openai_compatible
from llmstack_api.llm.checking import CheckResult
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.outbound import guarded_client, operator_client
from llmstack_api.settings import PREFIX, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """An account's own settings of a provider, decrypted."""

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    default_model: str | None = None
    """What is asked in a conversation where an app names no model."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent with every call to the account's own endpoint."""


AccountProviders = Mapping[str, ProviderSettings]
"""By the provider's slug."""

NO_PROVIDERS: Final[AccountProviders] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where calls of a provider go."""

    endpoint: Endpoint
    protocol: Protocol
    guarded: bool
    """The address is one that a user wrote."""


# --- finding ---------------------------------------------------------------------------------------------


def resolve(settings: Settings, provider: str, own: ProviderSettings | None = None) -> Target:
    """Find where a provider is called, and with which key.

    An account's own key or address is the endpoint as a whole: nothing of the operator's goes with it.

    Raises:
        ProviderNotConfiguredError: it names the settings that are missing or wrong.
    """
    known = PROVIDERS.get(provider)
    if known is None:
        names = ", ".join(sorted(PROVIDERS))
        raise ProviderNotConfiguredError(f"There is no provider {provider!r}; known are: {names}.")
    if own is not None and ((own.base_url or "").strip() or (own.api_key or "").strip()):
        return _of_account(known, own)
    return _of_operator(known, settings)


def _of_operator(known: KnownProvider, settings: Settings) -> Target:
    variable = f"{PREFIX}{known.slug.upper()}"
    secret = cast("SecretStr | None", getattr(settings, f"{known.slug}_api_key"))
    key = _key(secret.get_secret_value() if secret else "", name=f"{variable}_API_KEY")
    own_address = cast("str | None", getattr(settings, f"{known.slug}_base_url"))
    address = own_address or (known.base_url if key else None)
    if address is None:
        needed = f"{variable}_API_KEY, or {variable}_BASE_URL" if known.base_url else f"{variable}_BASE_URL"
        raise ProviderNotConfiguredError(f"The provider {known.slug!r} is not configured: set {needed}.")
    return Target(
        endpoint=Endpoint(
            name=f"The provider {known.slug!r}",
            base_url=_address(known, address, name=f"{variable}_BASE_URL"),
            key=key,
            key_header=known.key_header,
        ),
        protocol=known.protocol,
        guarded=False,
    )


def _of_account(known: KnownProvider, own: ProviderSettings) -> Target:
    where = f"The account's settings of the provider {known.slug!r}"
    written = (own.base_url or "").strip()
    if not written and known.base_url is None:
        raise ProviderNotConfiguredError(
            f"{where} lack 'base_url': there is no public address of {known.name}."
        )
    return Target(
        endpoint=Endpoint(
            name=f"The account's provider {known.slug!r}",
            base_url=_address(known, written or cast("str", known.base_url), name=f"{where}: 'base_url'"),
            key=_key(own.api_key or "", name=f"{where}: 'api_key'"),
            key_header=known.key_header,
            further_headers=own.headers,
        ),
        protocol=known.protocol,
        guarded=bool(written),
    )


def _of_app(provider: str, address: str) -> Target:
    """Find the address that an app gives: the guard is before it, and no key ever goes there."""
    known = PROVIDERS.get(provider)
    url = parse_url(address)
    return Target(
        endpoint=Endpoint(
            name=f"The model server {url.host}",
            base_url=_with_path(url, known.path if known else ""),
        ),
        protocol=known.protocol if known else "openai",
        guarded=True,
    )


def _key(given: str, *, name: str) -> str | None:
    key = given.strip()
    if not (key.isascii() and key.isprintable()):
        raise ProviderNotConfiguredError(f"{name} holds characters that no key can have.")
    return key or None


def _address(known: KnownProvider, address: str, *, name: str) -> httpx.URL:
    try:
        return _with_path(parse_url(address), known.path)
    except AddressRefusedError as error:
        raise ProviderNotConfiguredError(f"{name}: {error}") from None


def _with_path(url: httpx.URL, path: str) -> httpx.URL:
    own_path, mark, query = url.raw_path.partition(b"?")
    if not path or own_path.strip(b"/"):
        return url
    return url.copy_with(raw_path=path.encode() + mark + query)


# --- calling ---------------------------------------------------------------------------------------------


class Models:
    """The models of every provider, and the clients through which they are called."""

    def __init__(
        self, settings: Settings, *, operator: httpx.AsyncClient, guarded: httpx.AsyncClient
    ) -> None:
        self.idle_timeout = settings.model_idle_timeout
        self._settings = settings
        self._operator = operator
        self._guarded = guarded
        self._targets: dict[str, Target] = {}

    def of(self, providers: AccountProviders) -> "AccountModels":
        """Give the models of an account, which may have providers of its own."""
        return AccountModels(self, providers)

    async def check(self, provider: str, own: ProviderSettings | None = None) -> CheckResult:
        """Tell whether a provider answers, called as an account with these settings calls it."""
        try:
            target = self.target(provider, own)
        except RunError as error:
            return CheckResult(verdict="unconfigured", detail=str(error))
        return await checking.check(self.client(target), target.endpoint, protocol=target.protocol)

    def target(self, provider: str, own: ProviderSettings | None) -> Target:
        """Find where a provider is called; the operator's endpoints are found once."""
        if own is not None:
            return resolve(self._settings, provider, own)
        target = self._targets.get(provider)
        if target is None:
            target = self._targets[provider] = resolve(self._settings, provider)
        return target

    def client(self, target: Target) -> httpx.AsyncClient:
        """Give the client for a target."""
        return self._guarded if target.guarded else self._operator


class AccountModels:
    """The ports `ChatModel` and `ModelApi` for one account."""

    def __init__(self, models: Models, providers: AccountProviders) -> None:
        self._models = models
        self._providers = providers
        self._targets: dict[str, Target] = {}

    def default_model(self, provider: str, capability: Capability = "chat") -> str | None:
        """Return the model that is asked where nobody names one; see `engine.ports.ChatModel`."""
        own = self._providers.get(provider)
        if capability == "chat" and own is not None and (named := (own.default_model or "").strip()):
            return named
        known = PROVIDERS.get(provider)
        return cast("str | None", getattr(known, capability)) if known else None

    async def chat(self, request: ChatRequest, receive: DeltaReceiver) -> Usage:
        """Call a model; see `engine.ports.ChatModel.chat`."""
        target = self._target(request.provider, request.base_url)
        match target.protocol:
            case "openai":
                talk = openai_compatible.chat
            case "anthropic":
                talk = anthropic.chat
            case _:
                assert_never(target.protocol)
        return await talk(
            self._models.client(target),
            target.endpoint,
            request=request,
            receive=receive,
            idle_timeout=self._models.idle_timeout,
        )

    async def call(self, call: ModelCall) -> File:
        """Call an operation that answers in one piece; see `engine.ports.ModelApi.call`."""
        target = self._target(call.provider, call.base_url)
        return await media.call_whole(
            self._models.client(target), target.endpoint, call=call, idle_timeout=self._models.idle_timeout
        )

    def _target(self, provider: str, base_url: str | None) -> Target:
        if base_url:
            return _of_app(provider, base_url)
        target = self._targets.get(provider)
        if target is None:
            target = self._targets[provider] = self._models.target(provider, self._providers.get(provider))
        return target


@asynccontextmanager
async def open_models(settings: Settings, egress: Egress) -> AsyncGenerator[Models]:
    """Open the models and their two clients."""
    async with operator_client() as operator, guarded_client(egress) as guarded:
        yield Models(settings, operator=operator, guarded=guarded)
