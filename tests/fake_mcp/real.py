"""A server of tools made with the MCP SDK, on uvicorn, in the test's own loop."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp import types
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.types import ASGIApp, Receive, Scope, Send

TIMEOUT = 5.0


@dataclass
class RealServer:
    """What was asked of the server, and what still goes on in it."""

    old: bool
    """It does not know the newest protocol."""
    url: str = ""
    server: uvicorn.Server | None = None
    waiting: int = 0
    """Calls of the tool `wait` that are going."""
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Method, and name of the MCP method as far as a header tells it."""

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        assert self.server is not None
        return len(self.server.server_state.connections)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def mcp_server(*, old: bool = False) -> AsyncGenerator[RealServer]:
    """Serve tools until the block ends; an `old` server does not know the newest protocol."""
    running = RealServer(old)
    app = _seen(_tools(running).streamable_http_app(), running)
    running.server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(running.server._serve())  # pyright: ignore[reportPrivateUsage] # without its signal handlers
    await running.until(lambda: running.server is not None and running.server.started)
    port = running.server.servers[0].sockets[0].getsockname()[1]
    running.url = f"http://127.0.0.1:{port}/mcp"
    try:
        yield running
    finally:
        running.server.should_exit = True
        async with asyncio.timeout(TIMEOUT):
            await serving


def _tools(running: RealServer) -> MCPServer:
    server = MCPServer("tests")

    @server.tool(description="Add two numbers.")
    def add(a: int, b: int) -> int:  # pyright: ignore[reportUnusedFunction]
        return a + b

    @server.tool(description="Fail.")
    def fail() -> str:  # pyright: ignore[reportUnusedFunction]
        raise ToolError("the moon is down")

    @server.tool(description="Never answer.")
    async def wait() -> str:  # pyright: ignore[reportUnusedFunction]
        running.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            running.waiting -= 1
        return ""

    @server.tool(name="mixed.parts/", description="d" * 5000)
    def mixed() -> types.CallToolResult:  # pyright: ignore[reportUnusedFunction]
        held = types.TextResourceContents(uri="file:///a.txt", mime_type="text/plain", text="what it holds")
        return types.CallToolResult(
            content=[
                types.TextContent(type="text", text="one"),
                types.ImageContent(type="image", data="AAAA", mime_type="image/png"),
                types.ResourceLink(type="resource_link", name="report", uri="https://example.com/r"),
                types.EmbeddedResource(type="resource", resource=held),
                types.TextContent(type="text", text="two"),
            ]
        )

    @server.tool(description="Say a lot.")
    def long(size: int) -> str:  # pyright: ignore[reportUnusedFunction]
        return "x" * size

    return server


def _seen(app: ASGIApp, running: RealServer) -> ASGIApp:
    """Note what is asked, and refuse, where the server is old, the question for the newest protocol."""

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        method = headers.get(b"mcp-method", b"").decode()
        running.requests.append((scope["method"], method))
        if running.old and method == "server/discover":
            await _refuse(send)
        else:
            await app(scope, receive, send)

    return asgi


async def _refuse(send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})
