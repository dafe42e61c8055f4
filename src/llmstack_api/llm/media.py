"""Operations whose answer comes in one piece: images, speech, transcription."""

import json
from typing import Final, cast

import httpx

from llmstack_api.engine.files import clean_media_type
from llmstack_api.engine.ports import File, Json, ModelCall
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.llm.call import Reader
from llmstack_api.llm.call import call as send
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.openai_compatible import as_json

MAX_ANSWER: Final = 32 * 1024 * 1024
"""Bytes of an answer."""

MAX_FILES: Final = 32 * 1024 * 1024
"""Bytes of the files of one call."""


async def call_whole(
    client: httpx.AsyncClient, endpoint: Endpoint, *, call: ModelCall, idle_timeout: float
) -> File:
    """Call an operation and return its answer; see `engine.ports.ModelApi.call`."""
    content, content_type = _form(call) if call.files else (as_json(call.fields), "application/json")
    request = httpx.Request(
        "POST",
        endpoint.url(call.path),
        headers=endpoint.headers({"Content-Type": content_type}),
        content=content,
    )
    answer = File(b"")

    async def consume(reader: Reader) -> None:
        nonlocal answer
        data, whole = await reader.read_all(MAX_ANSWER)
        if not whole:
            raise ProviderFailedError(f"{endpoint.name} sent an answer that is too large.")
        answer = File(data, media_type=clean_media_type(reader.media_type or ""))

    await send(client, request, endpoint=endpoint, idle_timeout=idle_timeout, consume=consume)
    return answer


def _form(call: ModelCall) -> tuple[bytes, str]:
    """Write a `multipart/form-data` body, and name its type with its boundary."""
    size = sum(len(file.data) for file in call.files.values())
    if size > MAX_FILES:
        raise ProcessorInputError(
            f"The files for the model have {size} bytes; {MAX_FILES} is the most that is sent."
        )
    files = {
        name: (file.name or name, file.data, file.media_type or "application/octet-stream")
        for name, file in call.files.items()
    }
    fields = {name: _as_field(value) for name, value in call.fields.items() if value is not None}
    encoded = httpx.Request("POST", "http://form", data=fields, files=files)
    return encoded.read(), encoded.headers["Content-Type"]


def _as_field(value: Json) -> str | list[str]:
    """Write a value as forms have it: text as it stands, a list as several fields, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        items = cast("list[Json]", value)
        return [item if isinstance(item, str) else json.dumps(item) for item in items]
    return json.dumps(value)
