"""Reads an answer that is followed while it is given, as events or in one piece, whatever its wire form."""

from typing import Final, Protocol

import httpx

from llmstack_api.engine.ports import ChatDelta, DeltaReceiver, Usage
from llmstack_api.errors import ProviderFailedError, RunError
from llmstack_api.llm.call import Reader, call
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.sse import EventSplitter

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of an answer that comes in one piece."""


class Answer(Protocol):
    """What one call has said so far, in some wire form."""

    kind: str
    """What errors call it, with its article."""
    usage: Usage
    done: bool
    """Nothing follows."""
    failure: RunError | None
    """What went wrong, to be raised once the deltas before it are handed over."""

    @property
    def begun(self) -> bool:
        """It is an answer at all."""
        ...

    @property
    def whole(self) -> bool:
        """Nothing that matters has to come any more."""
        ...

    def take(self, events: list[bytes]) -> list[ChatDelta]:
        """Give what the events of one network read say, up to the first bad one."""
        ...

    def take_whole(self, body: bytes) -> list[ChatDelta]:
        """Give what an answer in one piece says."""
        ...


async def follow(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    endpoint: Endpoint,
    answer: Answer,
    receive: DeltaReceiver,
    idle_timeout: float,
) -> None:
    """Send a request and hand over its answer as it comes; see `engine.ports.ChatModel.chat`."""

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
            raise ProviderFailedError(f"{endpoint.name} did not answer with {answer.kind}.")
        if not answer.whole:
            raise ProviderFailedError(f"{endpoint.name} broke off its answer.")
        await reader.finish()

    await call(client, request, endpoint=endpoint, idle_timeout=idle_timeout, consume=consume)


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
