"""A fake model server and the real client before it."""

from collections.abc import AsyncGenerator, Callable

import pytest

from llmstack_api.llm import call
from llmstack_api.llm.catalog import NO_PROVIDERS, AccountModels, Models, open_models
from llmstack_api.outbound import parse_egress
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.llm.conversation import KEY, Conversation

Talk = Callable[[str], Conversation]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "BACKOFF", 0.01)


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@pytest.fixture
def settings(model: FakeModel) -> Settings:
    return Settings.load(
        openai_base_url=model.base_url,
        openai_api_key=KEY,
        anthropic_base_url=model.base_url,
        anthropic_api_key=KEY,
        model_idle_timeout=0.4,
        _env_file=None,
    )


@pytest.fixture
async def models(settings: Settings) -> AsyncGenerator[Models]:
    async with open_models(settings, parse_egress("127.0.0.0/8")) as opened:
        yield opened


@pytest.fixture
def chat(models: Models) -> AccountModels:
    """The models of an account without providers of its own."""
    return models.of(NO_PROVIDERS)


@pytest.fixture
def talk(chat: AccountModels) -> Talk:
    """Begin a conversation with the model of a name."""
    return lambda name: Conversation(chat, name)
