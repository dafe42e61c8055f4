"""Liveness and readiness, open without a token; neither names an engine nor an address."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.errors import DrainingError, UnavailableError
from llmstack_api.resources import Resources
from llmstack_api.web.problems import problem, problems

router = APIRouter(prefix="/health", tags=["Health"])


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok"] = "ok"


@router.head("/live", include_in_schema=False)
@router.get("/live", summary="Is the process alive?")
async def live() -> Health:
    """Answer as long as the process serves requests at all."""
    return Health()


@router.head("/ready", include_in_schema=False, response_model=Health)
@router.get("/ready", summary="Does it take work?", responses=problems(503), response_model=Health)
async def ready(request: Request) -> Health | Response:
    """Answer 200 while new work is taken and the database answers; 503 once shutdown has begun."""
    resources: Resources = request.app.state.resources
    if resources.draining:
        return problem(DrainingError("The server is shutting down."), request.scope)
    try:
        await resources.db.read(_ping)
    except UnavailableError:
        return problem(UnavailableError("The server cannot work now."), request.scope)
    return Health()


def _ping(session: Session) -> None:
    session.execute(select(1))
