"""The yardstick: the obvious FastAPI and httpx code that passes a chat completion on and stores nothing."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask

UPSTREAM = os.environ["UPSTREAM_BASE_URL"]
# httpx stops at 100 connections by default, which 300 streams would wait for in vain.
LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=20)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Share one client between all requests."""
    async with httpx.AsyncClient(base_url=UPSTREAM, limits=LIMITS, timeout=60) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """Say that requests are accepted."""
    return {"status": "ready"}


@app.post("/v1/chat/completions")
async def complete(request: Request) -> Response:
    """Send the body on and return what comes back, as it comes where it streams."""
    client: httpx.AsyncClient = request.app.state.client
    payload = await request.json()
    if not payload.get("stream"):
        answer = await client.post("/chat/completions", json=payload)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))
    upstream = await client.send(client.build_request("POST", "/chat/completions", json=payload), stream=True)
    return StreamingResponse(
        upstream.aiter_raw(),
        upstream.status_code,
        media_type=upstream.headers.get("content-type"),
        background=BackgroundTask(upstream.aclose),
    )
