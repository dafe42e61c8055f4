"""Wake-ups after a commit."""

from collections.abc import Sequence

import structlog

from llmstack_api.errors import UnavailableError
from llmstack_api.jobs.queue import Job
from llmstack_api.resources import Resources

log = structlog.get_logger(__name__)


async def wake(resources: Resources, jobs: Sequence[Job]) -> None:
    """Tell workers of rows that want work. The rows are stored: where telling fails, they are found all the same."""
    if not jobs:
        return
    try:
        await resources.jobs.wake(jobs)
    except UnavailableError as error:
        log.warning("wake_up_lost", count=len(jobs), error=str(error))
