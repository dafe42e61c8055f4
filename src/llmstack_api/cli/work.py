"""The command `worker`: a process that does the work of entries and serves nothing."""

import asyncio
import faulthandler
import os
import signal
from typing import Final

import structlog
import uvloop

from llmstack_api.db import SQLITE
from llmstack_api.errors import StartError
from llmstack_api.footprint import settle
from llmstack_api.resources import open_resources
from llmstack_api.settings import Settings
from llmstack_api.starting import refusing_to_start, start_error_in
from llmstack_api.telemetry import configure_logging
from llmstack_api.worker import working

log = structlog.get_logger(__name__)

STOP_WITHIN: Final = 8.0
"""Seconds from the signal until the process is ended, whatever it does."""


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; what is in hand then is done by another worker, or after the next start.

    A second signal ends the process at once.

    Raises:
        StartError: the settings are not those of several processes, or something cannot be opened.
    """
    if settings.database.startswith(SQLITE):
        raise StartError(
            "LLMSTACK_DATABASE_URL: a worker of its own needs PostgreSQL; with SQLite, 'serve' works"
        )
    if settings.qdrant_url is None:
        raise StartError("LLMSTACK_QDRANT_URL: a worker of its own needs a Qdrant server that it shares")
    settle()
    configure_logging(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(settings))
    except ExceptionGroup as group:
        raise start_error_in(group) or group from group


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def stop_once(number: int) -> None:
        # Also where a thread or the loop itself hangs: this watchdog needs neither the loop nor the GIL.
        faulthandler.dump_traceback_later(STOP_WITHIN, exit=True)
        log.info("stopping", signal=signal.Signals(number).name)
        for other in signals:
            loop.add_signal_handler(other, os._exit, 128 + other)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, stop_once, number)
    with refusing_to_start(settings):
        async with open_resources(settings) as resources, working(resources):
            print("llmstack-api worker is ready", flush=True)  # noqa: T201 # the one line on standard output
            await stop.wait()
