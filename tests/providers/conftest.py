"""A server that keeps secrets, and lets accounts reach the fake model server."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from pydantic import SecretStr

from llmstack_api.settings import Settings
from tests.conftest import PROVIDER_KEY
from tests.fake_model import FakeModel
from tests.providers.calls import SECRET_KEY
from tests.server import RunningServer, running_server


@pytest.fixture
def keeping(settings: Settings, fake_model: FakeModel) -> Settings:
    """Settings with a secret, over a database of each engine; the operator's `openai` is the fake model server."""
    return with_model(settings, fake_model).model_copy(update={"secret_key": SecretStr(SECRET_KEY)})


def with_model(settings: Settings, fake_model: FakeModel) -> Settings:
    return settings.model_copy(
        update={
            "openai_base_url": fake_model.base_url,
            "openai_api_key": SecretStr(PROVIDER_KEY),
            "egress_allow": "127.0.0.1",
        }
    )


@pytest.fixture
async def server(keeping: Settings) -> AsyncGenerator[RunningServer]:
    async with running_server(keeping) as running:
        yield running


@pytest.fixture
async def embedded(sqlite_settings: Settings, fake_model: FakeModel) -> AsyncGenerator[RunningServer]:
    """A server on SQLite, for what the engine makes no difference to."""
    async with running_server(with_model(sqlite_settings, fake_model)) as running:
        yield running


@pytest.fixture
async def me(embedded: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of that server."""
    async with embedded.client() as opened:
        yield opened
