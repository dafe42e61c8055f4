"""Where a provider is called, and which key goes where."""

import pytest

from llmstack_api.engine.ports import ChatDelta, ChatRequest
from llmstack_api.errors import AddressRefusedError, ProviderNotConfiguredError
from llmstack_api.llm.catalog import ChatModels, open_chat_models, resolve
from llmstack_api.outbound import Egress
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel
from tests.llm.conftest import Talk
from tests.llm.conversation import KEY, QUESTION


def configured(base_url: str | None = None, key: str | None = None) -> Settings:
    return Settings.load(openai_base_url=base_url, openai_api_key=key, _env_file=None)


def test_a_key_alone_is_for_the_providers_own_address() -> None:
    endpoint = resolve(configured(key=f" {KEY}\n"), "openai")
    assert str(endpoint.url("/chat/completions")) == "https://api.openai.com/v1/chat/completions"
    assert endpoint.key == KEY
    assert KEY not in repr(endpoint)


def test_an_address_needs_no_key() -> None:
    endpoint = resolve(configured(base_url="http://localhost:11434/v1/"), "openai")
    assert str(endpoint.url("/chat/completions")) == "http://localhost:11434/v1/chat/completions"
    assert endpoint.key is None


def test_a_query_of_the_address_is_kept() -> None:
    endpoint = resolve(configured(base_url="https://x.example/openai/v1?api-version=2"), "openai")
    assert (
        str(endpoint.url("/chat/completions")) == "https://x.example/openai/v1/chat/completions?api-version=2"
    )


def test_nothing_set_is_an_error_that_names_both_settings() -> None:
    with pytest.raises(ProviderNotConfiguredError) as missing:
        resolve(configured(), "openai")
    assert "LLMSTACK_OPENAI_API_KEY" in str(missing.value)
    assert "LLMSTACK_OPENAI_BASE_URL" in str(missing.value)
    assert missing.value.status == 424


def test_an_unknown_provider_is_an_error_that_names_the_known() -> None:
    with pytest.raises(ProviderNotConfiguredError, match="openai"):
        resolve(configured(key=KEY), "acme")


@pytest.mark.parametrize("key", ["sk-\u2713", "sk-a\nb", "sk-\x00"])
def test_a_key_that_fits_no_header_is_an_error_without_it(key: str) -> None:
    with pytest.raises(ProviderNotConfiguredError) as wrong:
        resolve(configured(key=key), "openai")
    assert "LLMSTACK_OPENAI_API_KEY" in str(wrong.value)
    assert "sk-" not in str(wrong.value)


@pytest.mark.parametrize("address", ["http://", "http://user:pass@host/v1", "http://[::1/v1"])
def test_an_address_that_is_none_is_an_error_that_names_the_setting(address: str) -> None:
    with pytest.raises(ProviderNotConfiguredError, match="LLMSTACK_OPENAI_BASE_URL"):
        resolve(configured(base_url=address), "openai")


async def test_an_apps_own_address_never_gets_the_key(model: FakeModel, talk: Talk) -> None:
    conversation = talk("echo")
    await conversation.ask(base_url=f"{model.base_url}/")
    assert conversation.text() == QUESTION
    assert "authorization" not in model.last.headers
    assert KEY not in str(model.last)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0x7f.1"])
async def test_an_apps_own_address_goes_through_the_guard(
    model: FakeModel, settings: Settings, host: str
) -> None:
    address = model.base_url.replace("127.0.0.1", host)
    async with open_chat_models(settings, Egress()) as chat:
        with pytest.raises(AddressRefusedError):
            await chat.chat(ChatRequest(provider="openai", model="m", messages=[], base_url=address), _ignore)
    assert model.accepted == 0


@pytest.mark.parametrize(
    "address", ["nonsense", "ftp://x/v1", "http://", "//x", "http://x:port", "http://x\0"]
)
async def test_an_apps_own_address_that_is_none_is_refused(chat: ChatModels, address: str) -> None:
    with pytest.raises(AddressRefusedError):
        await chat.chat(ChatRequest(provider="openai", model="m", messages=[], base_url=address), _ignore)


async def _ignore(deltas: list[ChatDelta]) -> None:
    del deltas
