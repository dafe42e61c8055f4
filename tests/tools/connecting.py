"""Connecting to servers of tools, and seeing that nothing is left of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from llmstack_api.engine.ports import Toolbox
from llmstack_api.errors import RunError
from llmstack_api.outbound import parse_egress
from llmstack_api.tools.mcp import McpServers

SERVERS = McpServers(parse_egress("127.0.0.1"))


async def failure(url: str) -> RunError:
    """What connecting says."""
    with pytest.raises(RunError) as caught:
        async with SERVERS.connect(url):
            raise AssertionError("connected")
    return caught.value


@asynccontextmanager
async def leaving_no_task() -> AsyncGenerator[None]:
    """See that every task that began within has ended."""
    before = asyncio.all_tasks()
    yield
    began = asyncio.all_tasks() - before - {asyncio.current_task()}
    # sse-starlette, in the server that the SDK makes, watches for the end of the process.
    left = [str(task) for task in began if "_shutdown_watcher" not in str(task.get_coro())]
    assert left == [], left


class GivenUpCall:
    """A call of a tool that never answers, with a deadline that is set when the test is ready for it."""

    def __init__(self, box: Toolbox, name: str) -> None:
        self._deadline = asyncio.timeout(None)
        self._task = asyncio.create_task(self._call(box, name))

    async def _call(self, box: Toolbox, name: str) -> None:
        with pytest.raises(TimeoutError):
            async with self._deadline:
                await box.call(name, {})

    async def give_up(self) -> None:
        """Let the deadline pass, and see the call end with it."""
        self._deadline.reschedule(asyncio.get_running_loop().time())
        async with asyncio.timeout(5):
            await self._task
