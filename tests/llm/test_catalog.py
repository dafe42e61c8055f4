"""Where a provider is called, and which key goes where."""

from dataclasses import replace

import pytest

from llmstack_api.engine.ports import ChatDelta, ChatRequest
from llmstack_api.errors import AddressRefusedError, ProviderNotConfiguredError
from llmstack_api.known_providers import PROVIDERS
from llmstack_api.llm.catalog import (
    NO_PROVIDERS,
    AccountModels,
    AccountProviders,
    Models,
    ProviderSettings,
    Target,
    open_models,
    resolve,
)
from llmstack_api.outbound import Egress
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel
from tests.llm.conftest import Talk
from tests.llm.conversation import KEY, QUESTION

OWN_KEY = "sk-account-0123456789abcdefghijkl"


def configured(base_url: str | None = None, key: str | None = None, provider: str = "openai") -> Settings:
    given: dict[str, object] = {f"{provider}_base_url": base_url, f"{provider}_api_key": key}
    return Settings.load(**given, _env_file=None)


def address(target: Target, path: str = "/chat/completions") -> str:
    return str(target.endpoint.url(path))


# --- the operator's --------------------------------------------------------------------------------------


def test_a_key_alone_is_for_the_providers_own_address() -> None:
    target = resolve(configured(key=f" {KEY}\n"), "openai")
    assert address(target) == "https://api.openai.com/v1/chat/completions"
    assert target.endpoint.key == KEY
    assert not target.guarded
    assert KEY not in repr(target)


def test_an_address_needs_no_key() -> None:
    target = resolve(configured(base_url="http://localhost:11434/v1/"), "openai")
    assert address(target) == "http://localhost:11434/v1/chat/completions"
    assert target.endpoint.key is None


def test_a_query_of_the_address_is_kept() -> None:
    target = resolve(configured(base_url="https://x.example/openai/v1?api-version=2"), "openai")
    assert address(target) == "https://x.example/openai/v1/chat/completions?api-version=2"


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("https://x.example", "https://x.example/openai/v1/chat/completions"),
        (
            "https://x.example/?api-version=preview",
            "https://x.example/openai/v1/chat/completions?api-version=preview",
        ),
        ("https://x.example/gateway", "https://x.example/gateway/chat/completions"),
    ],
)
def test_an_azure_address_without_a_path_gets_one(given: str, called: str) -> None:
    target = resolve(configured(given, KEY, "azure"), "azure")
    assert address(target) == called
    assert target.endpoint.headers({})["api-key"] == KEY
    assert "Authorization" not in target.endpoint.headers({})


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_has_settings_and_says_what_it_lacks(provider: str) -> None:
    with pytest.raises(ProviderNotConfiguredError) as missing:
        resolve(configured(), provider)
    assert f"LLMSTACK_{provider.upper()}_BASE_URL" in str(missing.value)
    assert (f"LLMSTACK_{provider.upper()}_API_KEY" in str(missing.value)) == bool(
        PROVIDERS[provider].base_url
    )
    assert missing.value.status == 424
    target = resolve(configured("http://model.example/v1", KEY, provider), provider)
    assert target.protocol == ("anthropic" if provider == "anthropic" else "openai")
    assert KEY in "".join(target.endpoint.headers({}).values())


def test_an_unknown_provider_is_an_error_that_names_the_known() -> None:
    with pytest.raises(ProviderNotConfiguredError, match="openai"):
        resolve(configured(key=KEY), "acme")


@pytest.mark.parametrize("key", ["sk-\u2713", "sk-a\nb", "sk-\x00"])
def test_a_key_that_fits_no_header_is_an_error_without_it(key: str) -> None:
    with pytest.raises(ProviderNotConfiguredError) as wrong:
        resolve(configured(key=key), "openai")
    assert "LLMSTACK_OPENAI_API_KEY" in str(wrong.value)
    assert "sk-" not in str(wrong.value)


@pytest.mark.parametrize("given", ["http://", "http://user:pass@host/v1", "http://[::1/v1"])
def test_an_address_that_is_none_is_an_error_that_names_the_setting(given: str) -> None:
    with pytest.raises(ProviderNotConfiguredError, match="LLMSTACK_OPENAI_BASE_URL"):
        resolve(configured(base_url=given), "openai")


# --- an account's ----------------------------------------------------------------------------------------


def test_an_accounts_key_alone_is_for_the_providers_public_address() -> None:
    own = ProviderSettings(api_key=OWN_KEY)
    target = resolve(configured("http://10.0.0.1/v1", KEY), "openai", own)
    assert address(target) == "https://api.openai.com/v1/chat/completions"
    assert target.endpoint.key == OWN_KEY
    assert OWN_KEY not in repr((own, target))


def test_an_accounts_address_is_guarded_and_gets_no_key_of_the_operator() -> None:
    own = ProviderSettings(base_url="https://mine.example/v1", headers={"X-Team": "blue"})
    target = resolve(configured("http://10.0.0.1/v1", KEY), "openai", own)
    assert address(target) == "https://mine.example/v1/chat/completions"
    assert target.guarded
    assert target.endpoint.key is None
    assert target.endpoint.headers({})["X-Team"] == "blue"
    assert KEY not in str(target.endpoint.headers({}))


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_account_with_neither_key_nor_address_uses_the_operators(blank: str) -> None:
    own = ProviderSettings(base_url=blank, api_key=blank, default_model="m", headers={"X-Team": "blue"})
    target = resolve(configured("http://10.0.0.1/v1", KEY), "openai", own)
    assert address(target) == "http://10.0.0.1/v1/chat/completions"
    assert target.endpoint.key == KEY
    assert "X-Team" not in target.endpoint.headers({})


def test_an_accounts_key_for_a_provider_without_a_public_address_lacks_one() -> None:
    with pytest.raises(ProviderNotConfiguredError, match="'azure' lack 'base_url'"):
        resolve(configured(), "azure", ProviderSettings(api_key=OWN_KEY))


def test_an_accounts_header_stands_in_for_ours_of_the_same_name() -> None:
    headers = {"anthropic-VERSION": "2030-01-01", "X-Api-Key": "another"}
    own = ProviderSettings(base_url="https://mine.example/v1", api_key=OWN_KEY, headers=headers)
    endpoint = resolve(configured(), "anthropic", own).endpoint
    sent = endpoint.headers({"anthropic-version": "2023-06-01", "Content-Type": "application/json"})
    assert {name: sent[name] for name in headers} == headers
    assert "anthropic-version" not in sent
    assert "x-api-key" not in sent


@pytest.mark.parametrize(
    ("providers", "provider", "named"),
    [
        (NO_PROVIDERS, "openai", "gpt-4o-mini"),
        ({"openai": ProviderSettings(default_model="mine")}, "openai", "mine"),
        ({"openai": ProviderSettings(default_model=" ")}, "openai", "gpt-4o-mini"),
        ({"openai": ProviderSettings(default_model="mine")}, "azure", None),
        (NO_PROVIDERS, "acme", None),
    ],
)
async def test_an_accounts_default_model_comes_before_the_tables(
    models: Models, providers: AccountProviders, provider: str, named: str | None
) -> None:
    assert models.of(providers).default_model(provider) == named
    if provider == "openai":
        assert models.of(providers).default_model(provider, "transcription") == "whisper-1"


async def test_an_account_is_called_at_its_own_address_with_its_own_key(
    models: Models, model: FakeModel
) -> None:
    own = ProviderSettings(base_url=model.base_url, api_key=OWN_KEY, headers={"X-Team": "blue"})
    chat = models.of({"openai": own})
    await chat.chat(ChatRequest(provider="openai", model="echo"), _ignore)
    assert model.last.headers["authorization"] == f"Bearer {OWN_KEY}"
    assert model.last.headers["x-team"] == "blue"
    request = ChatRequest(provider="openai", model="echo", base_url=f"{model.base_url}/")
    await chat.chat(request, _ignore)
    assert "authorization" not in model.last.headers
    assert "x-team" not in model.last.headers


async def test_an_accounts_own_address_goes_through_the_guard(settings: Settings, model: FakeModel) -> None:
    own = ProviderSettings(base_url=model.base_url)
    async with open_models(settings, Egress()) as models:
        with pytest.raises(AddressRefusedError):
            await models.of({"openai": own}).chat(ChatRequest(provider="openai", model="m"), _ignore)
        await models.of({"azure": own}).chat(ChatRequest(provider="openai", model="echo"), _ignore)
    assert len(model.requests) == 1


# --- an app's --------------------------------------------------------------------------------------------


async def test_an_apps_own_address_never_gets_the_key(model: FakeModel, talk: Talk) -> None:
    conversation = talk("echo")
    await conversation.ask(base_url=f"{model.base_url}/")
    assert conversation.text() == QUESTION
    assert "authorization" not in model.last.headers
    assert KEY not in str(model.last)


async def test_an_apps_own_address_is_spoken_to_as_its_provider_speaks(
    model: FakeModel, chat: AccountModels
) -> None:
    request = ChatRequest(provider="anthropic", model="echo", messages=[{"role": "user", "content": "Hi"}])
    await chat.chat(replace(request, base_url=model.base_url), _ignore)
    assert model.last.path == "/v1/messages"
    assert "x-api-key" not in model.last.headers
    base_url = model.base_url.removesuffix("/v1")
    await chat.chat(replace(request, provider="azure", base_url=base_url), _ignore)
    assert model.last.path == "/openai/v1/chat/completions"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0x7f.1"])
async def test_an_apps_own_address_goes_through_the_guard(
    model: FakeModel, settings: Settings, host: str
) -> None:
    given = model.base_url.replace("127.0.0.1", host)
    async with open_models(settings, Egress()) as models:
        chat = models.of(NO_PROVIDERS)
        with pytest.raises(AddressRefusedError):
            await chat.chat(ChatRequest(provider="openai", model="m", base_url=given), _ignore)
    assert model.accepted == 0


@pytest.mark.parametrize("given", ["nonsense", "ftp://x/v1", "http://", "//x", "http://x:port", "http://x\0"])
async def test_an_apps_own_address_that_is_none_is_refused(chat: AccountModels, given: str) -> None:
    with pytest.raises(AddressRefusedError):
        await chat.chat(ChatRequest(provider="openai", model="m", base_url=given), _ignore)


async def _ignore(deltas: list[ChatDelta]) -> None:
    del deltas
