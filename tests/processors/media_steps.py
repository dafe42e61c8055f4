"""Steps of processors that call models, before a fake model server as the providers that tests need."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from llmstack_api.engine.processor import Processor
from llmstack_api.llm.catalog import NO_PROVIDERS, open_models
from llmstack_api.outbound import Egress
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.ports import make_ports
from tests.processors.step import Step

KEY = "sk-operators-key"
MakeStep = Callable[[type[Processor[Any, Any]]], Step]


@asynccontextmanager
async def steps() -> AsyncGenerator[tuple[MakeStep, FakeModel]]:
    """Give what makes a step of a kind, and the server that it calls."""
    async with fake_model_server() as model:
        settings = Settings.load(
            openai_base_url=model.base_url,
            openai_api_key=KEY,
            localai_base_url=model.base_url,
            model_idle_timeout=2,
            _env_file=None,
        )
        async with open_models(settings, Egress()) as opened:
            models = opened.of(NO_PROVIDERS)
            ports = make_ports(chat=models, models=models)
            yield lambda kind: Step(kind, ports, model), model
