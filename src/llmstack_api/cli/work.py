"""The command `worker`: a process that does the work of entries and serves nothing."""

import asyncio
import signal

import structlog
import uvloop

from llmstack_api.db import SQLITE
from llmstack_api.errors import StartError
from llmstack_api.resources import open_resources
from llmstack_api.settings import Settings
from llmstack_api.starting import refusing_to_start, start_error_in
from llmstack_api.telemetry import configure_logging
from llmstack_api.worker import working

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; what is in hand then is done by another worker, or after the next start.

    Raises:
        StartError: the settings are not those of several processes, or something cannot be opened.
    """
    if settings.database.startswith(SQLITE):
        raise StartError(
            "LLMSTACK_DATABASE_URL: a worker of its own needs PostgreSQL; with SQLite, 'serve' works"
        )
    if settings.qdrant_url is None:
        raise StartError("LLMSTACK_QDRANT_URL: a worker of its own needs a Qdrant server that it shares")
    configure_logging(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(settings))
    except ExceptionGroup as group:
        raise start_error_in(group) or group from group


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with refusing_to_start(settings):
        async with open_resources(settings) as resources, working(resources):
            print("llmstack-api worker is ready", flush=True)  # noqa: T201 # the one line on standard output
            await stop.wait()
            log.info("stopping")
