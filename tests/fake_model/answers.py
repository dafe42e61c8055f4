"""What a model server says: chunks, whole answers, errors, in OpenAI's wire form."""

import re
from functools import cache
from typing import Any

import orjson

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"
_WORD = re.compile(r"\S*\s*")


def words(text: str) -> list[str]:
    """Split into words that give the text again when joined."""
    return [match for match in _WORD.findall(text) if match]


def messages_of(body: Json) -> list[Json]:
    """Give the messages of a request."""
    return body.get("messages") or list[Json]()


def wants_usage(body: Json) -> bool:
    """Tell whether a stream shall end with its usage."""
    options: Json = body.get("stream_options") or {}
    return bool(options.get("include_usage"))


def tool_rounds(body: Json) -> int:
    """Count the answers since the user last spoke in which tools were called."""
    count = 0
    for message in messages_of(body):
        if message.get("role") == "user":
            count = 0
        count += bool(message.get("tool_calls") or message.get("function_call"))
    return count


def tool_results(body: Json) -> list[str]:
    """Give what the tools said since the user last spoke."""
    results: list[str] = []
    for message in messages_of(body):
        if message.get("role") == "user":
            results.clear()
        elif message.get("role") in {"tool", "function"}:
            results.append(str(message.get("content")))
    return results


def last_user_text(body: Json) -> str:
    """Give the text of the last message of the user, or the prompt that is to be completed."""
    if "prompt" in body:
        return str(body["prompt"])
    users = [message for message in messages_of(body) if message.get("role") == "user"]
    content: str | list[Json] = users[-1].get("content") or "" if users else ""
    return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)


def usage_of(body: Json, output_tokens: int) -> Json:
    """Count words as tokens."""
    prompt = sum(len(words(str(message.get("content") or ""))) for message in messages_of(body))
    prompt += len(words(str(body.get("prompt") or "")))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output_tokens,
        "total_tokens": prompt + output_tokens,
    }


def event(data: Json) -> bytes:
    """Frame one server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def chunk(model: str, *, delta: Json, finish: str | None = None, index: int = 0) -> Json:
    """One chunk of a streamed answer."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _envelope("chat.completion.chunk", model) | {"choices": [choice]}


def usage_chunk(model: str, usage: Json) -> Json:
    """The chunk after the last, which has the usage."""
    return _envelope("chat.completion.chunk", model) | {"choices": [], "usage": usage}


def text_chunk(model: str, *, text: str, finish: str | None = None, index: int = 0) -> Json:
    """One chunk of a streamed completion of a text."""
    return text_completion(model, [text], finish=finish, first=index)


def text_completion(
    model: str, texts: list[str], *, usage: Json | None = None, finish: str | None = "stop", first: int = 0
) -> Json:
    """Build a completion with a choice for each text."""
    choices = [
        {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
        for index, text in enumerate(texts, start=first)
    ]
    answer = _envelope("text_completion", model) | {"choices": choices}
    return answer | {"usage": usage} if usage else answer


def completion(model: str, messages: list[Json], *, usage: Json | None, finish: str = "stop") -> Json:
    """Build a whole answer with a choice for each message."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant"} | message,
            "logprobs": None,
            "finish_reason": finish,
        }
        for index, message in enumerate(messages)
    ]
    answer = _envelope("chat.completion", model) | {"choices": choices}
    return answer | {"usage": usage} if usage else answer


def error(message: str, *, kind: str = "server_error", code: str | None = None) -> Json:
    """Build an error object."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@cache
def counted(model: str, count: int) -> tuple[bytes, ...]:
    """Build the events of `count` tokens, once."""
    return tuple(event(chunk(model, delta={"content": f"word{number} "})) for number in range(count))


def _envelope(kind: str, model: str) -> Json:
    return {
        "id": "chatcmpl-B7x2Kq9dLw4mZr1TfVnY8sHc3uEoP",
        "object": kind,
        "created": 1_760_000_000,
        "model": model,
        "system_fingerprint": "fp_44709d6fcb",
    }
