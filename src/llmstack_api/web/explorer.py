"""The documentation in the browser: an explorer and a page of problems; nothing comes from elsewhere."""

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from llmstack_api.errors import NotFoundError
from llmstack_api.web.assets import Asset
from llmstack_api.web.problem_page import problem_page

router = APIRouter(prefix="/docs", include_in_schema=False)

_HTML = "text/html; charset=utf-8"
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}
"""Of the files that are served, by suffix."""

_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASK_AGAIN = {"Cache-Control": "no-cache"}
_PAGE = {
    **_ASK_AGAIN,
    # Swagger UI sets style attributes and has its icons as data: URLs; all else stays within the origin.
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


@router.api_route("", methods=["GET", "HEAD"])
async def show_explorer(request: Request) -> Response:
    """Show the API explorer."""
    return (await to_thread.run_sync(_explorer)).respond(request, _PAGE)


@router.api_route("/problems", methods=["GET", "HEAD"])
async def show_problems(request: Request) -> Response:
    """Explain every problem; each `type` is an address on this page."""
    return (await to_thread.run_sync(_problems)).respond(request, _PAGE)


@router.api_route("/static/{version}/{name}", methods=["GET", "HEAD"])
async def get_static(version: str, name: str, request: Request) -> Response:
    """Send a file of the explorer; kept for ever where the address names this very version."""
    current = await to_thread.run_sync(_version)
    if name not in _served():
        raise NotFoundError("There is nothing at this address.")
    asset = await to_thread.run_sync(_static, name)
    return asset.respond(request, _FOREVER if version == current else _ASK_AGAIN)


@cache
def _served() -> dict[str, Traversable]:
    """Find the files that are served, by name."""
    own = files("llmstack_api.web") / "static"
    return {
        file.name: file
        for folder in (own, own / "swagger-ui")
        for file in folder.iterdir()
        if _suffix(file.name) in _MEDIA_TYPES
    }


@cache
def _version() -> str:
    """Name the state of all files together, for their addresses."""
    digest = hashlib.sha256()
    for name, file in sorted(_served().items()):
        digest.update(name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _static(name: str) -> Asset:
    return Asset.of(_served()[name].read_bytes(), _MEDIA_TYPES[_suffix(name)])


@cache
def _explorer() -> Asset:
    page = (files("llmstack_api.web") / "static" / "explorer.html").read_text(encoding="utf-8")
    return Asset.of(page.replace("{static}", f"docs/static/{_version()}").encode(), _HTML)


@cache
def _problems() -> Asset:
    return Asset.of(problem_page(static=f"static/{_version()}").encode(), _HTML)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
