"""The ASGI application: routers, the edge around them, and what is open while it lives."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext

from fastapi import FastAPI

from llmstack_api import __version__
from llmstack_api.apps import router as apps
from llmstack_api.apps.plans import Plans
from llmstack_api.datasources import router as datasources
from llmstack_api.providers import router as providers
from llmstack_api.resources import open_resources
from llmstack_api.runs import router as runs
from llmstack_api.runs.execution import Executor
from llmstack_api.settings import Settings
from llmstack_api.web import explorer, health, openapi, problems, tokens
from llmstack_api.web.edge import Edge
from llmstack_api.worker import working


def create_app(settings: Settings) -> FastAPI:
    """Make the application; its lifespan opens `app.state.resources` and `app.state.executor`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_resources(settings) as resources:
            executor = Executor(resources, Plans(resources.registry))
            app.state.resources = resources
            app.state.executor = executor
            async with executor.upkeep(), working(resources) if settings.worker else nullcontext():
                yield

    app = FastAPI(
        title="llmstack-api",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    routers = (
        runs.router,
        apps.router,
        datasources.router,
        providers.router,
        tokens.router,
        health.router,
        explorer.router,
    )
    for router in routers:
        app.include_router(router)
    openapi.install(app)
    problems.install(app)
    app.add_middleware(Edge)
    return app
