"""`builtin/agent`: a model that calls tools until it can answer; the one step of an agent app."""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import Field

from llmstack_api.engine.ports import ChatDelta, ChatRequest, Json, JsonObject, ToolSpec, Usage
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.agent_tools import Tools
from llmstack_api.processors.chat import Text
from llmstack_api.processors.conversation import MAX_HISTORY, model_of, sampling
from llmstack_api.processors.tool_calls import ToolCalls

MAX_STEPS: Final = 100
MAX_SERVERS: Final = 8
PRESENTATION: Final = frozenset({
    "assistant_image", "chat_bubble_style", "chat_bubble_text", "chat_page_header", "init_on_load", "input_template",
    "layout", "process_markdown", "renderer_type", "split_tasks", "stream", "suggested_messages", "welcome_message",
    "window_color",
})  # fmt: skip
"""Upstream's settings of how an agent looks."""

_LAST_STEP: Final = "You can call no more tools. Answer now, with what you have found out."


class McpServer(ProcessorModel):
    """A server of tools that speaks the Model Context Protocol over streamable HTTP."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,24}$")
    """Put before the names of its tools, as `name_tool`."""
    url: str
    """Its address; it goes through the outbound guard and gets no key."""


class AgentInput(ProcessorModel):
    """An agent takes no input but its config."""


class AgentConfig(ProcessorModel):
    """Settings of an agent app."""

    without_effect: ClassVar[frozenset[str]] = PRESENTATION

    provider: str = "openai"
    """Provider of the model."""
    base_url: str | None = None
    """Another address to call, without any key."""
    model: str | None = None
    """Name of the model, one that can call tools; by default the provider's."""
    system_message: Text = "You are a helpful assistant. Use the tools that you have where they help."
    """Instructions."""
    user_message: Text = ""
    """What the agent is asked; templates may name input fields bare. By default the input field `task`, the only
    input field, or all of them."""
    max_steps: int = Field(default=10, ge=1, le=MAX_STEPS)
    """How often the model is asked; the last time it has no tools."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of each of the model's answers."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Randomness. Reasoning models get it only where it is set."""
    seed: int | None = None
    """Makes answers repeat, as far as the provider can."""
    chat_history_limit: int = Field(default=20, ge=0, le=MAX_HISTORY)
    """How many earlier messages of the session are sent; 0: the session is not remembered."""
    tool_timeout: float | None = Field(default=None, gt=0, le=3600)
    """Seconds that a tool of an MCP server may take. A processor has its own `timeout`."""
    mcp_servers: list[McpServer] = Field(default_factory=list[McpServer], max_length=MAX_SERVERS)
    """Servers whose tools the agent has besides the app's processors."""


class ToolCallOut(ProcessorModel):
    """One call of a tool."""

    id: str
    name: str
    arguments: Json = None
    """As an object; the text that the model wrote where it is none."""
    result: str | None = None
    """What the model was told."""
    error: str | None = None
    """Why it failed, which the model was told."""
    started_ms: float
    """Milliseconds since the agent began."""
    finished_ms: float


class AgentStepOut(ProcessorModel):
    """One answer of the model, and the tools that it called."""

    number: int
    """1 at first."""
    text: str
    """What it said."""
    tool_calls: list[ToolCallOut]
    finish_reason: str | None = None
    usage: JsonObject


class AgentOutput(ProcessorModel):
    """What the agent did."""

    content: str = ""
    """What it said; streams. What it says before it calls tools is a part of it, a paragraph of its own."""
    steps: list[AgentStepOut] = Field(default_factory=list[AgentStepOut])
    """Its steps, one by one as they end."""


@dataclass(slots=True)
class _Turn:
    """One answer of the model while it comes."""

    emit: Emit
    number: int
    paragraph: bool
    """Something was said before."""
    texts: list[str] = field(default_factory=list[str])
    calls: ToolCalls = field(default_factory=ToolCalls)
    finish_reason: str | None = None

    async def receive(self, deltas: list[ChatDelta]) -> None:
        """Take the deltas of one network read."""
        for delta in deltas:
            if delta.index:
                continue
            if delta.text:
                if self.paragraph:
                    await self.emit.chunk("content", "\n\n")
                    self.paragraph = False
                self.texts.append(delta.text)
                await self.emit.chunk("content", delta.text)
            for fragment in delta.tool_calls or ():
                self.calls.add(fragment)
            self.finish_reason = delta.finish_reason or self.finish_reason

    def wanted(self) -> list[JsonObject]:
        """Return the calls in order, each with an id of its own."""
        calls = self.calls.joined()
        taken: set[str] = set()
        for position, call in enumerate(calls, start=1):
            if not call["id"] or call["id"] in taken:
                call["id"] = f"call_{self.number}_{position}"
            taken.add(call["id"])
            call["function"]["arguments"] = call["function"]["arguments"] or "{}"
        return calls

    def message(self, calls: list[JsonObject]) -> JsonObject:
        """Give the answer in the OpenAI form."""
        message: JsonObject = {"role": "assistant", "content": "".join(self.texts) or None}
        return message | {"tool_calls": calls} if calls else message


class Agent(Processor[AgentInput, AgentConfig]):
    """Let a model call the app's processors, as its tools, until it can answer. An app of `type_slug: agent`."""

    provider_slug: ClassVar[str] = "builtin"
    slug: ClassVar[str] = "agent"
    Output: ClassVar[type[ProcessorModel]] = AgentOutput
    recorded: ClassVar[frozenset[str]] = frozenset({"steps"})

    async def run(self, emit: Emit) -> None:
        """Ask, call tools, ask again; emit what is said as it comes and each step when it ends."""
        question = self.config.user_message.strip()
        if not question:
            raise ProcessorInputError("config.user_message: there is nothing to do; it renders empty.")
        async with AsyncExitStack() as stack:
            tools = Tools(self.config.tool_timeout)
            if self.context.tools is not None:
                tools.add(self.context.tools, prefix="", bounded=True)
            for server in self.config.mcp_servers:
                connected = await stack.enter_async_context(self.context.ports.tools.connect(server.url))
                tools.add(connected, prefix=f"{server.name}_" if server.name else "", bounded=False)
            said = await self._work(emit, question, tools)
        if self.config.chat_history_limit and said:  # some providers take no empty answer in a history
            self.context.memory.remember(
                {"role": "user", "content": question}, {"role": "assistant", "content": said}
            )

    async def _work(self, emit: Emit, question: str, tools: Tools) -> str:
        """Take steps until one calls no tools; return the last thing that was said."""
        began = time.perf_counter()
        messages = [*self._before(), {"role": "user", "content": question}]
        said = ""
        for number in range(1, self.config.max_steps + 1):
            last = number == self.config.max_steps
            if last and number > 1:
                _instruct(messages, _LAST_STEP)
            turn = _Turn(emit, number, paragraph=bool(said))
            usage = await self._ask(emit, messages, turn, () if last else tools.specs)
            calls = [] if last else turn.wanted()
            messages.append(turn.message(calls))
            done = await tools.call_all(calls, began)
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": call["error"] or call["result"]}
                for call in done
            ]
            text = "".join(turn.texts)
            said = text or said
            step: JsonObject = {
                "number": number,
                "text": text,
                "tool_calls": done,
                "finish_reason": turn.finish_reason,
                "usage": usage.as_json(),
            }
            await emit.item("steps", step)
            if not calls:
                break
        if not said:
            await emit.chunk("content", "")
        return said

    async def _ask(
        self, emit: Emit, messages: Sequence[JsonObject], turn: _Turn, tools: Sequence[ToolSpec]
    ) -> Usage:
        config = self.config
        model = model_of(self.context, provider=config.provider, named=config.model)
        request = ChatRequest(
            provider=config.provider,
            base_url=(config.base_url or "").strip() or None,
            model=model,
            messages=messages,
            parameters=self._parameters(model, tools),
        )
        usage = await self.context.ports.chat.chat(request, turn.receive)
        emit.usage(usage)
        return usage

    def _before(self) -> list[JsonObject]:
        history = list(self.context.memory.history)
        history = history[max(0, len(history) - self.config.chat_history_limit) :]
        system = self.config.system_message
        return [{"role": "system", "content": system}, *history] if system.strip() else history

    def _parameters(self, model: str, tools: Sequence[ToolSpec]) -> JsonObject:
        config = self.config
        parameters = sampling(
            model,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            given=config.model_fields_set,
        )
        if config.seed is not None:
            parameters["seed"] = config.seed
        if tools:
            parameters["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                    },
                }
                for tool in tools
            ]
        return parameters


def _instruct(messages: list[JsonObject], text: str) -> None:
    """Add to the instructions at the front: not every provider takes some in the middle."""
    if messages[0]["role"] == "system":
        messages[0] = {"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}
    else:
        messages.insert(0, {"role": "system", "content": text})
