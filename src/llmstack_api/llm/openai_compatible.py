"""Chat over `/chat/completions`: one adapter for every OpenAI-compatible server."""

from typing import Final

import httpx
import orjson

from llmstack_api.engine.ports import ChatRequest, DeltaReceiver, Usage
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.llm.call import Reader, call
from llmstack_api.llm.deltas import Answer
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.sse import EventSplitter
from llmstack_api.outbound import USER_AGENT

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of an answer that comes in one piece."""


async def chat(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    *,
    request: ChatRequest,
    receive: DeltaReceiver,
    idle_timeout: float,
) -> Usage:
    """Call the model; see `engine.ports.ChatModel.chat`."""
    answer = Answer(endpoint)

    async def consume(reader: Reader) -> None:
        head = b""
        while not head:
            read = await reader.read()
            if not read:
                raise ProviderFailedError(f"{endpoint.name} answered with nothing.")
            # Some servers send line ends while the model thinks.
            head = read.lstrip()
        if head.startswith(b"{"):
            await _take_whole(reader, head, answer=answer, receive=receive)
        else:
            await _take_stream(reader, head, answer=answer, receive=receive)
        if not answer.begun:
            raise ProviderFailedError(f"{endpoint.name} did not answer with a chat completion.")
        if not answer.whole:
            raise ProviderFailedError(f"{endpoint.name} broke off its answer.")
        await reader.finish()

    http_request = httpx.Request(
        "POST", endpoint.url("/chat/completions"), headers=_headers(endpoint), content=_body(request)
    )
    await call(client, http_request, endpoint=endpoint, idle_timeout=idle_timeout, consume=consume)
    return answer.usage


async def _take_stream(reader: Reader, read: bytes, *, answer: Answer, receive: DeltaReceiver) -> None:
    splitter = EventSplitter()
    while True:
        events = splitter.feed(read) if read else splitter.finish()
        if events:
            if deltas := answer.take(events):
                await receive(deltas)
            if answer.failure:
                raise answer.failure
        if splitter.too_large:
            raise ProviderFailedError("The provider sent an event that is too large.")
        if answer.done or not read:
            return
        read = await (reader.read_trailing() if answer.whole else reader.read())


async def _take_whole(reader: Reader, head: bytes, *, answer: Answer, receive: DeltaReceiver) -> None:
    rest, complete = await reader.read_all(MAX_ANSWER - len(head))
    if not complete:
        raise ProviderFailedError("The provider sent an answer that is too large.")
    if deltas := answer.take_whole(head + rest):
        await receive(deltas)
    if answer.failure:
        raise answer.failure


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": USER_AGENT,
    }
    return headers | {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else headers


def _body(request: ChatRequest) -> bytes:
    fields = {"model": request.model, "messages": request.messages, **request.parameters}
    fields["stream"] = request.stream
    if request.stream:
        fields["stream_options"] = {"include_usage": True}
    try:
        return orjson.dumps(fields)
    except orjson.JSONEncodeError as error:
        raise ProcessorInputError(f"The request to the model cannot be written as JSON: {error}.") from None
