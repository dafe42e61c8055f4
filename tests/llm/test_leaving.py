"""The client before a silent server, a slow reader, and when it is told to leave."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from time import monotonic

import pytest

from llmstack_api.engine.ports import ChatDelta, ChatRequest
from llmstack_api.errors import ProviderFailedError, ProviderTimeoutError
from llmstack_api.llm.catalog import NO_PROVIDERS, AccountModels, open_models
from llmstack_api.outbound import Egress
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel
from tests.llm.conftest import Talk


async def _ignore(deltas: list[ChatDelta]) -> None:
    del deltas


@pytest.mark.parametrize("name", ["hang", "hang-headers", "hang-mid"])
async def test_a_silent_server_is_given_up_and_left(model: FakeModel, talk: Talk, name: str) -> None:
    began = monotonic()
    with pytest.raises(ProviderTimeoutError, match=r"nothing for 0\.4 seconds") as silent:
        await talk(name).ask()
    assert 0.35 < monotonic() - began < 1.5
    assert silent.value.status == 504
    await model.until_aborted()
    await model.until(lambda: model.connections == 0)
    assert len(model.requests) == 1


@contextmanager
def deaf_server() -> Generator[str]:
    """Give the address of a server whose queue of connections is full."""
    with socket.socket() as full, ExitStack() as others:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            other = others.enter_context(socket.socket())
            other.settimeout(0)
            other.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}/v1"


async def test_a_server_that_does_not_accept_is_given_up(settings: Settings) -> None:
    with deaf_server() as address:
        deaf = settings.model_copy(update={"openai_base_url": address})
        async with open_models(deaf, Egress()) as models, asyncio.timeout(5):
            with pytest.raises(ProviderTimeoutError):
                await models.of(NO_PROVIDERS).chat(
                    ChatRequest(provider="openai", model="m", messages=[]), _ignore
                )


async def test_cancelling_while_connecting_leaves_nothing_behind(settings: Settings) -> None:
    with deaf_server() as address:
        deaf = settings.model_copy(update={"openai_base_url": address, "model_idle_timeout": 30})
        async with open_models(deaf, Egress()) as models:
            before = asyncio.all_tasks()
            request = ChatRequest(provider="openai", model="m", messages=[])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(models.of(NO_PROVIDERS).chat(request, _ignore), 0.1)
            assert asyncio.all_tasks() == before


async def test_a_slow_reader_is_no_silence_of_the_server(model: FakeModel, chat: AccountModels) -> None:
    released = asyncio.Event()
    texts: list[str] = []

    async def dawdle(deltas: list[ChatDelta]) -> None:
        texts.extend(delta.text for delta in deltas)
        await released.wait()

    request = ChatRequest(provider="openai", model="count:40000:batch=1000", messages=[])
    async with asyncio.TaskGroup() as group, asyncio.timeout(20):
        task = group.create_task(chat.chat(request, dawdle))
        # More than the idle time passes until the server notices that nobody reads on.
        await model.until(lambda: model.held_back_calls == 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.8)
        assert len(texts) == 1
        released.set()
        usage = await task
    assert usage.output_tokens == 40_000
    assert len("".join(texts).split()) == 40_000


async def test_comments_keep_a_call_alive(talk: Talk) -> None:
    conversation = talk("comments:0.9")
    await conversation.ask()
    assert conversation.text() == "late"


@pytest.mark.parametrize("name", ["hang", "hang-headers", "hang-mid", "slow:2", "linger", "count:20000"])
async def test_cancelling_leaves_the_server_at_once_and_nothing_behind(
    model: FakeModel, talk: Talk, name: str
) -> None:
    before = asyncio.all_tasks()
    conversation = talk(name)
    task = asyncio.create_task(conversation.ask())
    await model.until(lambda: bool(model.requests))
    if name not in {"hang", "hang-headers", "slow:2"}:
        await asyncio.wait_for(conversation.spoke.wait(), 5)
    left = monotonic()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await model.until(lambda: model.open_calls == 0 and model.connections == 0)
    assert model.aborted[0] - left < 0.1
    # What the fake server has still to do is its own.
    assert {other for other in asyncio.all_tasks() - before if "FakeModel" not in repr(other)} == set()


async def test_a_receiver_that_fails_leaves_the_server_too(model: FakeModel, chat: AccountModels) -> None:
    async def fail(deltas: list[ChatDelta]) -> None:
        raise LookupError(deltas[0].text)

    with pytest.raises(LookupError):
        await chat.chat(ChatRequest(provider="openai", model="hang-mid", messages=[]), fail)
    await model.until(lambda: model.connections == 0)


async def test_a_provider_error_of_the_receiver_is_not_lost_when_the_answer_is_whole(
    chat: AccountModels,
) -> None:
    async def fail(deltas: list[ChatDelta]) -> None:
        raise ProviderFailedError(deltas[0].text)

    for name in ("echo", "plain-json"):
        with pytest.raises(ProviderFailedError):
            await chat.chat(ChatRequest(provider="openai", model=name, messages=[]), fail)


async def test_a_timeout_of_the_receiver_is_not_the_servers(chat: AccountModels) -> None:
    async def fail(deltas: list[ChatDelta]) -> None:
        raise TimeoutError(deltas[0].text)

    with pytest.raises(TimeoutError):
        await chat.chat(ChatRequest(provider="openai", model="echo", messages=[]), fail)
