"""Chat over Anthropic's `/messages`, in its native wire form."""

import asyncio
from typing import Final

import httpx

from llmstack_api.engine.ports import ChatRequest, DeltaReceiver, Usage
from llmstack_api.llm.answering import follow
from llmstack_api.llm.anthropic_events import MessageAnswer
from llmstack_api.llm.anthropic_request import translate
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.openai_compatible import as_json

VERSION_HEADERS: Final = {"anthropic-version": "2023-06-01"}
"""The wire form that is spoken here; every request has to name it."""


async def chat(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    *,
    request: ChatRequest,
    receive: DeltaReceiver,
    idle_timeout: float,
) -> Usage:
    """Call the model; see `engine.ports.ChatModel.chat`."""
    # Images and documents in it are read and written again.
    of_parts = any(isinstance(message.get("content"), list) for message in request.messages)
    translation = await asyncio.to_thread(translate, request) if of_parts else translate(request)
    answer = MessageAnswer(
        endpoint, answer_tool=translation.answer_tool, function_calls=translation.function_calls
    )
    http_request = httpx.Request(
        "POST",
        endpoint.url("/messages"),
        headers=endpoint.headers({"Content-Type": "application/json", **VERSION_HEADERS}),
        content=as_json(translation.body),
    )
    await follow(
        client, http_request, endpoint=endpoint, answer=answer, receive=receive, idle_timeout=idle_timeout
    )
    return answer.usage
