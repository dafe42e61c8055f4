"""Servers of tools that speak the Model Context Protocol: the port `ToolServers` over its own SDK."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import anyio
import structlog

from llmstack_api.engine.ports import Toolbox
from llmstack_api.errors import ProviderNotConfiguredError, RunError, ToolServerError
from llmstack_api.outbound import Egress, check_url

CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a server is connected to, agrees about the protocol, and has told its tools."""

CLOSE_TIMEOUT: Final = 2.0
"""Seconds that leaving a server may take; then it is left without a word."""

NOT_INSTALLED: Final = "Tools of MCP servers need the MCP client: pip install 'llmstack-api[mcp]'."

_OF_THE_EXTRA: Final = frozenset({"httpx2", "mcp", "mcp_types"})

_log = structlog.get_logger()


class Serve(Protocol):
    """Keeps a connection until it is told to leave."""

    def __call__(
        self, url: str, *, egress: Egress, ready: asyncio.Future[Toolbox], leave: asyncio.Event
    ) -> Coroutine[Any, Any, None]:
        """Connect, hand over the tools, and wait."""
        ...


Explain = Callable[[BaseException, str], RunError]
"""Says what ended a connection to an address."""


class McpServers:
    """Connects to servers of tools over streamable HTTP; each connection has an HTTP client of its own."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    @asynccontextmanager
    async def connect(self, url: str) -> AsyncGenerator[Toolbox]:
        """Connect to a server at an address of a user and learn its tools.

        Raises:
            AddressRefusedError: the address may not be reached.
            ToolServerError: it does not answer, or what answers makes no sense.
            ProviderNotConfiguredError: the SDK is not installed.
        """
        check_url(url, self._egress)
        serve, explain = await asyncio.to_thread(_load)  # its import takes a second and more
        ready: asyncio.Future[Toolbox] = asyncio.get_running_loop().create_future()
        leave = asyncio.Event()
        # In a task of its own: the SDK's task groups must be left by the task that entered them, and what breaks
        # inside them must not cancel the caller.
        serving = asyncio.create_task(serve(url, egress=self._egress, ready=ready, leave=leave))
        try:
            await asyncio.wait({serving, ready}, timeout=CONNECT_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise _why_not(serving, url, explain)
            yield ready.result()
        finally:
            leave.set()
            if not ready.done():
                serving.cancel()
            await _see_off(serving)


def _load() -> tuple[Serve, Explain]:
    try:
        from llmstack_api.tools.mcp_session import explain, serve  # noqa: PLC0415 # an extra, and slow to import
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        raise ProviderNotConfiguredError(NOT_INSTALLED) from None
    return serve, explain


def _why_not(serving: asyncio.Task[None], url: str, explain: Explain) -> RunError:
    """Say why there is no connection."""
    error = serving.exception() if serving.done() else None
    if error is None:
        return ToolServerError(f"The tool server did not answer within {CONNECT_TIMEOUT:g} s.")
    return explain(error, url)


async def _see_off(serving: asyncio.Task[None]) -> None:
    """Wait, for a while, until a connection is closed, and note what broke in it."""
    try:
        with anyio.CancelScope(shield=True):
            if not (await asyncio.wait({serving}, timeout=CLOSE_TIMEOUT))[0]:
                serving.cancel()
                await asyncio.wait({serving}, timeout=CLOSE_TIMEOUT)
    finally:
        serving.cancel()
    if serving.done() and not serving.cancelled() and (error := serving.exception()):
        _log.info("tool_server_connection_failed", error=type(error).__name__)
