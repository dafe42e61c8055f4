"""Translates a request in OpenAI's wire form into the body of Anthropic's `/messages`."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

import orjson

from llmstack_api.engine.files import is_data_uri, read_data_uri
from llmstack_api.engine.ports import ChatRequest, Json, JsonObject
from llmstack_api.errors import ProcessorInputError

MAX_TOKENS: Final = 1024
"""Tokens of an answer where nobody says how many; the wire form wants a number."""

OPENING: Final = "…"
"""Stands in for the first message of the user where a conversation begins with the assistant, which is refused."""

ANSWER_TOOL: Final = "answer"
_ANSWER_DESCRIPTION: Final = "Give the answer. Always end by calling this tool; say nothing outside of it."

_TRANSLATED: Final = frozenset(
    {"max_tokens", "max_completion_tokens", "temperature", "stop", "tools", "tool_choice", "functions"}
    | {"function_call", "parallel_tool_calls", "response_format", "reasoning_effort", "user"}
)
_UNKNOWN: Final = frozenset(
    {"n", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "logprobs", "top_logprobs"}
)
"""Fields that have no equal: what they ask for cannot be had, and all but `n` do without."""

_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "max": "max"}
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A request for `/messages`, and how its answer is to be read."""

    body: JsonObject
    answer_tool: str | None
    """The tool whose arguments are the answer, where one of a schema is asked for."""
    function_calls: bool
    """Calls are due in OpenAI's older form."""


def translate(request: ChatRequest) -> Translation:
    """Translate a request.

    Raises:
        ProcessorInputError: it asks for what `/messages` has not.
    """
    if request.prompt is not None:
        raise ProcessorInputError("Anthropic's API completes conversations only: send messages, no prompt.")
    given = request.parameters
    if (given.get("n") or 1) != 1:
        raise ProcessorInputError("n: Anthropic's API gives one answer at a time.")
    conversation = _converse(request.messages)
    body: JsonObject = {
        "model": request.model,
        "max_tokens": given.get("max_tokens") or given.get("max_completion_tokens") or MAX_TOKENS,
        "messages": conversation.messages,
    }
    if conversation.system:
        body["system"] = "\n\n".join(conversation.system)
    body |= {name: value for name, value in given.items() if name not in _TRANSLATED | _UNKNOWN}
    _put_sampling(body, given)
    answer_tool = _put_tools(body, given, called=conversation.called)
    body["stream"] = request.stream
    function_calls = bool(given.get("functions")) and not given.get("tools")
    return Translation(body=body, answer_tool=answer_tool, function_calls=function_calls)


def _put_sampling(body: JsonObject, given: Mapping[str, Json]) -> None:
    if (temperature := given.get("temperature")) is not None:
        body["temperature"] = min(temperature, 1)
    if stop := given.get("stop"):
        texts = cast("list[str]", [stop] if isinstance(stop, str) else stop)
        # White space alone is refused.
        if kept := [text for text in texts if text.strip()]:
            body["stop_sequences"] = kept
    if user := given.get("user"):
        body.setdefault("metadata", {"user_id": user})
    if effort := _EFFORTS.get(given.get("reasoning_effort") or ""):
        body["output_config"] = {**(body.get("output_config") or {}), "effort": effort}


# --- tools -----------------------------------------------------------------------------------------------


def _put_tools(body: JsonObject, given: Mapping[str, Json], *, called: Iterable[str]) -> str | None:
    """Put in the tools and which of them may be called; return the name of the answer's, where there is one."""
    tools = [*_tools(given.get("tools") or [{"function": item} for item in given.get("functions") or ()])]
    choice = _choice(given.get("tool_choice") or given.get("function_call"))
    answer_tool = _answer_tool(given.get("response_format"), tools)
    if answer_tool:
        # The model has to call something, and with nothing else to call it is this.
        alone = not tools or choice == {"type": "none"}
        tools = [answer_tool] if alone else [*tools, answer_tool]
        choice = {"type": "tool", "name": answer_tool["name"]} if alone else {"type": "any"}
    elif not tools and (names := list(called)):
        # Calls in the conversation are refused where no tools are declared.
        tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
        choice = {"type": "none"}
    if tools:
        body["tools"] = tools
        if given.get("parallel_tool_calls") is False and choice != {"type": "none"}:
            choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
        if choice:
            body["tool_choice"] = choice
    return answer_tool["name"] if answer_tool else None


def _tools(given: Iterable[JsonObject]) -> Iterator[JsonObject]:
    for tool in given:
        function = tool.get("function")
        if function is None:
            yield tool  # one of Anthropic's own
            continue
        wire: JsonObject = {
            "name": function["name"],
            "input_schema": {"type": "object", **(function.get("parameters") or {})},
        }
        if description := function.get("description"):
            wire["description"] = description
        yield wire


def _choice(given: Json) -> JsonObject | None:
    if isinstance(given, str):
        return {"type": _CHOICES[given]} if given in _CHOICES else None
    if isinstance(given, dict):
        choice = cast("JsonObject", given)
        name = (choice.get("function") or choice).get("name")
        return {"type": "tool", "name": name} if name else None
    return None


def _answer_tool(response_format: Json, tools: list[JsonObject]) -> JsonObject | None:
    """Make the tool whose arguments are the answer: it takes every schema, and every model knows tools."""
    wanted = cast("JsonObject", response_format or {})
    if wanted.get("type") not in {"json_schema", "json_object"}:
        return None
    described: JsonObject = wanted.get("json_schema") or {}
    schema: JsonObject = described.get("schema") or {}
    if schema.get("type", "object") != "object":
        raise ProcessorInputError(
            "Anthropic's models give JSON objects only: the schema's type must be object."
        )
    name = re.sub(r"[^\w-]+", "_", str(described.get("name") or ANSWER_TOOL), flags=re.ASCII)[:60]
    if any(tool.get("name") == name for tool in tools):
        name = f"{name}_{ANSWER_TOOL[:3]}"
    return {
        "name": name,
        "description": described.get("description") or _ANSWER_DESCRIPTION,
        "input_schema": {"type": "object", **schema},
    }


# --- messages --------------------------------------------------------------------------------------------


class _Conversation:
    """Messages that alternate between user and assistant, and what was said by neither."""

    def __init__(self) -> None:
        self.system: list[str] = []
        self.messages: list[JsonObject] = []
        self.called: dict[str, None] = {}
        """Names of the tools that were called."""
        self.newest = ""
        """Id of the newest call in the older form, which has no ids."""

    def add(self, role: str, blocks: list[JsonObject]) -> None:
        """Add what a side says; it goes to what that side is already saying."""
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    def call(self, identity: str, function: JsonObject) -> JsonObject:
        """Make the block of a call."""
        self.called[function["name"]] = None
        return {
            "type": "tool_use",
            "id": identity,
            "name": function["name"],
            "input": _arguments(function.get("arguments")),
        }


def _converse(messages: Iterable[JsonObject]) -> _Conversation:
    conversation = _Conversation()
    for position, message in enumerate(messages):
        content = message.get("content")
        match message["role"]:
            case "system" | "developer":
                conversation.system += [
                    block["text"] for block in _blocks(content) if block["type"] == "text"
                ]
            case "tool":
                conversation.add("user", [_result(message["tool_call_id"], content)])
            case "function":
                conversation.add("user", [_result(conversation.newest, content)])
            case "assistant":
                conversation.add(
                    "assistant", _blocks(content) + _calls(message, conversation, position=position)
                )
            case _:
                conversation.add("user", _blocks(content))
    turns = conversation.messages
    if not turns:
        raise ProcessorInputError("There is no message for the model to answer.")
    if turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": OPENING}]})
    last = turns[-1]["content"][-1]
    if turns[-1]["role"] == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()  # an answer that is to be continued must not end in white space
    return conversation


def _calls(message: JsonObject, conversation: _Conversation, *, position: int) -> list[JsonObject]:
    calls = [conversation.call(call["id"], call["function"]) for call in message.get("tool_calls") or ()]
    if call := message.get("function_call"):
        conversation.newest = f"call_{position}"
        calls.append(conversation.call(conversation.newest, call))
    return calls


def _blocks(content: Json) -> list[JsonObject]:
    """Translate content, a text or parts; what is blank is left out, because it is refused."""
    parts: list[Json] = cast("list[Json]", content) if isinstance(content, list) else [content]
    blocks: list[JsonObject] = []
    for part in parts:
        if isinstance(part, str) or part is None:
            blocks += [{"type": "text", "text": part}] if part and part.strip() else []
            continue
        match part.get("type"):
            case "text":
                blocks += _blocks(part.get("text"))
            case "image_url":
                image = part["image_url"]
                blocks.append(_source("image", image if isinstance(image, str) else image["url"]))
            case "file":
                blocks.append(_source("document", part["file"]["file_data"]))
            case _:
                blocks.append(part)
    return blocks


def _source(kind: str, url: str) -> JsonObject:
    if not is_data_uri(url):
        return {"type": kind, "source": {"type": "url", "url": url}}
    try:
        file = read_data_uri(url)
    except ValueError as error:
        raise ProcessorInputError(f"messages: the {kind} for the model {error}.") from None
    media_type = (file.media_type or "").partition(";")[0]
    data = b64encode(file.data).decode()
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def _result(identity: str, content: Json) -> JsonObject:
    block: JsonObject = {"type": "tool_result", "tool_use_id": identity}
    if blocks := _blocks(content):
        block["content"] = blocks
    return block


def _arguments(text: Json) -> JsonObject:
    """Read the arguments of a call; what a model wrote wrongly stays visible to it."""
    if isinstance(text, dict):
        return cast("JsonObject", text)
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        value = text
    return cast("JsonObject", value) if isinstance(value, dict) else {"arguments": value}
