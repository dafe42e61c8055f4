"""Chat over `/chat/completions` and `/completions`: one adapter for every OpenAI-compatible server."""

import httpx
import orjson

from llmstack_api.engine.ports import ChatRequest, DeltaReceiver, Json, Usage
from llmstack_api.errors import ProcessorInputError
from llmstack_api.llm.answering import follow
from llmstack_api.llm.deltas import Answer
from llmstack_api.llm.endpoint import Endpoint


async def chat(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    *,
    request: ChatRequest,
    receive: DeltaReceiver,
    idle_timeout: float,
) -> Usage:
    """Call the model; see `engine.ports.ChatModel.chat`."""
    answer = Answer(endpoint, kind="a chat completion" if request.prompt is None else "a completion")
    http_request = httpx.Request(
        "POST",
        endpoint.url("/chat/completions" if request.prompt is None else "/completions"),
        headers=endpoint.headers({"Content-Type": "application/json"}),
        content=_body(request),
    )
    await follow(
        client, http_request, endpoint=endpoint, answer=answer, receive=receive, idle_timeout=idle_timeout
    )
    return answer.usage


def _body(request: ChatRequest) -> bytes:
    fields: dict[str, Json] = {"model": request.model}
    if request.prompt is None:
        fields["messages"] = request.messages
    else:
        fields["prompt"] = request.prompt
    fields |= request.parameters
    fields["stream"] = request.stream
    if request.stream:
        fields["stream_options"] = {"include_usage": True}
    return as_json(fields)


def as_json(fields: dict[str, Json]) -> bytes:
    """Write a request's body.

    Raises:
        ProcessorInputError: what a user gave has no JSON.
    """
    try:
        return orjson.dumps(fields)
    except orjson.JSONEncodeError as error:
        raise ProcessorInputError(f"The request to the model cannot be written as JSON: {error}.") from None
