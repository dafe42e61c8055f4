"""Dependencies of endpoints."""

from typing import Annotated

from fastapi import Depends, Request

from llmstack_api.auth import Caller
from llmstack_api.db import Database
from llmstack_api.resources import Resources


async def _resources(request: Request) -> Resources:
    return request.app.state.resources


async def _database(request: Request) -> Database:
    return request.app.state.resources.db


async def _caller(request: Request) -> Caller:
    return request.state.caller


ResourcesDep = Annotated[Resources, Depends(_resources)]
DatabaseDep = Annotated[Database, Depends(_database)]
CallerDep = Annotated[Caller, Depends(_caller)]
