"""The real application on a real socket, in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import structlog
import uvicorn
from fastapi import FastAPI

from llmstack_api import auth
from llmstack_api.app import create_app
from llmstack_api.resources import Resources
from llmstack_api.settings import Settings
from llmstack_api.telemetry import configure_logging

TIMEOUT = 10.0


@dataclass(frozen=True)
class RunningServer:
    """A server that answers at `url`."""

    url: str
    app: FastAPI

    @property
    def resources(self) -> Resources:
        return self.app.state.resources

    async def token(self, account: str = "default", scopes: Sequence[auth.Scope] = tuple(auth.Scope)) -> str:
        """Make a token of an account, which is made if need be."""
        db = self.resources.db
        account_id = await db.write(auth.ensure_account, account)
        _, secret = await db.write(
            auth.create_token, account_id=account_id, name="test", scopes=list(scopes), expires_at=None
        )
        return secret

    @asynccontextmanager
    async def client(
        self, account: str = "default", scopes: Sequence[auth.Scope] = tuple(auth.Scope)
    ) -> AsyncGenerator[httpx.AsyncClient]:
        """Open a client with a token of an account."""
        headers = {"Authorization": f"Token {await self.token(account, scopes)}"}
        async with httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=TIMEOUT, verify=False
        ) as client:
            yield client


@asynccontextmanager
async def running_server(
    settings: Settings, *, send_buffer: int | None = None
) -> AsyncGenerator[RunningServer]:
    """Serve the application of these settings on a free port of loopback; `send_buffer` is in bytes."""
    configure_logging(settings)
    structlog.configure(cache_logger_on_first_use=False)  # each test has its own standard error
    app = create_app(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2
        )
    )
    serving = asyncio.create_task(server._serve())  # pyright: ignore[reportPrivateUsage] # without its signal handlers
    async with asyncio.timeout(TIMEOUT):
        while not server.started:
            if serving.done():
                raise RuntimeError("the server did not start") from serving.exception()
            await asyncio.sleep(0.005)
    listener = server.servers[0].sockets[0]
    if send_buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    port = listener.getsockname()[1]
    try:
        yield RunningServer(url=f"http://127.0.0.1:{port}", app=app)
    finally:
        server.should_exit = True
        async with asyncio.timeout(TIMEOUT):
            await serving
