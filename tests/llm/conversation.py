"""One call of a model, and all that came of it."""

import asyncio
from typing import Any

from llmstack_api.engine.ports import ChatDelta, ChatModel, ChatRequest, Usage

KEY = "sk-test-0123456789abcdefghijklmnop"
QUESTION = "What is it?"


class Conversation:
    """What a model of a name says."""

    def __init__(self, chat: ChatModel, model: str) -> None:
        self._chat = chat
        self._model = model
        self.received: list[list[ChatDelta]] = []
        """What each call of the receiver was given."""
        self.spoke = asyncio.Event()

    async def ask(
        self, *, text: str = QUESTION, stream: bool = True, base_url: str | None = None, **parameters: Any
    ) -> Usage:
        """Ask and collect the answer."""
        request = ChatRequest(
            provider="openai",
            model=self._model,
            messages=[{"role": "user", "content": text}],
            parameters=parameters,
            base_url=base_url,
            stream=stream,
        )
        return await self._chat.chat(request, self._receive)

    async def _receive(self, deltas: list[ChatDelta]) -> None:
        self.received.append(deltas)
        if self.text():
            self.spoke.set()

    @property
    def deltas(self) -> list[ChatDelta]:
        """All deltas, in order."""
        return [delta for deltas in self.received for delta in deltas]

    def text(self, index: int = 0) -> str:
        """Join the text of a choice."""
        return "".join(delta.text for delta in self.deltas if delta.index == index)

    @property
    def finish_reasons(self) -> list[str]:
        """Why choices ended."""
        return [delta.finish_reason for delta in self.deltas if delta.finish_reason]
