"""Serving: the listening sockets, the drain at SIGTERM, and an end in time whatever clients do."""

import asyncio
import faulthandler
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import anyio
import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.app import create_app
from llmstack_api.errors import UnavailableError
from llmstack_api.footprint import settle
from llmstack_api.listening import BoundedHead, address, bind, refusal
from llmstack_api.models import Token
from llmstack_api.resources import Resources
from llmstack_api.runs.execution import Executor
from llmstack_api.settings import Settings
from llmstack_api.starting import refusing_to_start, start_error_in
from llmstack_api.telemetry import configure_logging

log = structlog.get_logger(__name__)

BACKLOG: Final = 2048
KEEP_ALIVE: Final = 75
"""Seconds an idle connection is kept: more than load balancers do, so that they are who closes it."""

OPEN_FILES: Final = 65_536
"""Wanted limit of open files: a streamed run takes two, its client's connection and the model server's."""

CUT_TIMEOUT: Final = 0.6
ANSWER_TIMEOUT: Final = 0.8
ABORT_TIMEOUT: Final = 0.25
END_TIMEOUT: Final = 2.6
"""Seconds after the grace: for cutting runs, for sending what they end with, for tasks whose client was
disconnected (then the same again for cancelled ones), and for all of it, after which the process is ended."""

GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Allocations between two collections: with Python's own, collecting took a third of the CPU under load."""

SWITCH_INTERVAL: Final = 0.001
"""Seconds after which a thread of the database has to let the loop run; with Python's 5 ms, streams stutter."""

NO_TOKEN = "No token exists yet. Make one: llmstack-api token create --account default"  # noqa: S105 # a hint


def run(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT; a second signal ends it at once.

    Raises:
        StartError: the process cannot start; the message names the setting.
    """
    settle()
    configure_logging(settings)
    _allow_open_files()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings))
    except ExceptionGroup as group:  # what is open has task groups, and they wrap what passes through
        refused = start_error_in(group)
        if refused is None:
            raise
        raise refused from group


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def stop_once(number: int) -> None:
        # Also where a thread or the loop itself hangs: this watchdog needs neither the loop nor the GIL.
        faulthandler.dump_traceback_later(settings.drain_grace + END_TIMEOUT, exit=True)
        log.info("stopping", signal=signal.Signals(number).name)
        for other in signals:
            loop.add_signal_handler(other, os._exit, 128 + other)
        stop.set()

    def announce(url: str) -> None:
        gc.collect()
        gc.set_threshold(*GC_THRESHOLDS)
        sys.setswitchinterval(SWITCH_INTERVAL)
        gc.freeze()  # what was made at start lives as long as the process; no need to look at it again
        print(f"llmstack-api is ready on {url}", flush=True)  # noqa: T201 # the one line on standard output

    for number in signals:
        loop.add_signal_handler(number, stop_once, number)
    await serve(settings, stop=stop, announce=announce)


async def serve(settings: Settings, *, stop: asyncio.Event, announce: Callable[[str], None]) -> None:
    """Serve until `stop` is set, then drain; `announce` gets the address once requests are accepted.

    Raises:
        StartError: the address cannot be listened on, or the application cannot start.
    """
    listeners = bind(settings)
    try:
        app = create_app(settings)
        async with AsyncExitStack() as stack:
            # Entered here and not by uvicorn, which would log a traceback where the application cannot start.
            with refusing_to_start(settings):
                await stack.enter_async_context(app.router.lifespan_context(app))
            server = await _started(app, listeners, settings)
            async with asyncio.TaskGroup() as group:
                group.create_task(server.main_loop())
                if not stop.is_set():
                    announce(address(settings, listeners))
                    await _hint(app.state.resources)
                await stop.wait()
                await _drain(app, server, grace=settings.drain_grace)
                server.should_exit = True
            await _close(server, listeners)
    finally:
        for listener in listeners:
            listener.close()


async def _started(app: FastAPI, listeners: list[socket.socket], settings: Settings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=BoundedHead,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        workers=1,
        timeout_keep_alive=KEEP_ALIVE,
        backlog=BACKLOG,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    try:
        await server.startup(sockets=listeners)
    except OSError as error:
        raise refusal(error, settings) from None
    return server


async def _hint(resources: Resources) -> None:
    try:
        if await resources.db.read(_has_no_token):
            print(NO_TOKEN, file=sys.stderr, flush=True)  # noqa: T201 # for the person who started it
    except UnavailableError as error:
        log.warning("tokens_not_counted", error=str(error))


def _has_no_token(session: Session) -> bool:
    return session.scalar(select(Token.id).limit(1)) is None


async def _drain(app: FastAPI, server: uvicorn.Server, *, grace: float) -> None:
    """Refuse new work, go on listening, and let every request that has begun end within the grace."""
    resources: Resources = app.state.resources
    executor: Executor = app.state.executor
    resources.draining = True
    loop = asyncio.get_running_loop()
    until = loop.time() + grace
    begun = set(server.server_state.tasks)
    log.info("draining", requests=len(begun), grace=grace)
    if begun and grace:
        await asyncio.wait(begun, timeout=grace)
    left = max(0.0, until - loop.time())
    with anyio.move_on_after(left + CUT_TIMEOUT) as scope:
        await executor.drain(left)
    if scope.cancelled_caught:
        log.warning("runs_not_cut", count=len(executor.live))


async def _close(server: uvicorn.Server, listeners: list[socket.socket]) -> None:
    """Close the sockets; disconnect who has not taken the answer in time, then cancel what still runs."""
    with anyio.move_on_after(ANSWER_TIMEOUT):
        await server.shutdown(sockets=listeners)
    state = server.server_state
    for connection in list(state.connections):
        connection.transport.abort()
    if state.tasks:
        await asyncio.wait(set(state.tasks), timeout=ABORT_TIMEOUT)
    for task in list(state.tasks):
        task.cancel()
    if state.tasks:
        await asyncio.wait(set(state.tasks), timeout=ABORT_TIMEOUT)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
