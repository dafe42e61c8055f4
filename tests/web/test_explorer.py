import hashlib
import re
from collections.abc import AsyncGenerator, Iterator
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import urljoin

import httpx
import pytest

from llmstack_api import errors
from llmstack_api.app import create_app
from llmstack_api.errors import LLMStackError, StartError
from llmstack_api.settings import Settings
from llmstack_api.web.problem_kinds import problem_kinds
from tests.web.snapshots import check_snapshot

STATIC = files("llmstack_api.web") / "static"


@pytest.fixture
async def visitor() -> AsyncGenerator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(create_app(Settings.load(_env_file=None)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def addresses(page: str) -> Iterator[str]:
    for address in re.findall(r'(?:href|src|data-document)="([^"#]+)', page):
        yield str(address)


@pytest.mark.parametrize("path", ["/docs", "/docs/problems"])
async def test_a_page_is_open_and_loads_nothing_from_elsewhere(visitor: httpx.AsyncClient, path: str) -> None:
    page = await visitor.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"].split("; ")
    assert "default-src 'self'" in policy
    assert "script-src" not in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert "openapi.json" in page.text
    for address in addresses(page.text):
        assert not re.match(r"[a-z]+:|//|/", address), address
        found = await visitor.get(urljoin(f"http://test{path}", address))
        assert found.status_code == 200, address


async def test_files_are_kept_for_ever_under_their_version_only(visitor: httpx.AsyncClient) -> None:
    page = await visitor.get("/docs")
    for address in addresses(page.text):
        if "/static/" in address:
            answer = await visitor.get(f"/{address}")
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            known = {"If-None-Match": answer.headers["etag"]}
            assert (await visitor.get(f"/{address}", headers=known)).status_code == 304
    other = await visitor.get("/docs/static/0123456789abcdef/explorer.js")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("explorer.js", "text/javascript; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("explorer.css", "text/css; charset=utf-8"),
        ("favicon-32x32.png", "image/png"),
    ],
)
async def test_files_have_their_content_type_and_travel_compressed(
    visitor: httpx.AsyncClient, name: str, media_type: str
) -> None:
    small = await visitor.get(f"/docs/static/any/{name}", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    whole = await visitor.get(f"/docs/static/any/{name}", headers={"Accept-Encoding": "gzip;q=0"})
    assert small.headers["content-type"] == whole.headers["content-type"] == media_type
    assert "content-encoding" not in whole.headers
    assert small.content == whole.content
    if not media_type.startswith("image/"):
        assert small.headers["content-encoding"] == "gzip"
        assert int(small.headers["content-length"]) < len(whole.content)


@pytest.mark.parametrize(
    "name", ["LICENSE", "explorer.html", "..%2Fexplorer.py", "%2e%2e%2f__init__.py", "nothing.js"]
)
async def test_no_other_file_can_be_had(visitor: httpx.AsyncClient, name: str) -> None:
    answer = await visitor.get(f"/docs/static/any/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_scripts_import_what_is_served(visitor: httpx.AsyncClient) -> None:
    for file in STATIC.iterdir():
        if file.name.endswith(".js"):
            for name in re.findall(r'^import .* from "\./([^"]+)";$', file.read_text("utf-8"), re.MULTILINE):
                assert (await visitor.get(f"/docs/static/any/{name}")).status_code == 200, name


async def test_pages_and_files_answer_head_requests(visitor: httpx.AsyncClient) -> None:
    for path in ("/docs", "/docs/problems", "/docs/static/any/explorer.js", "/openapi.json"):
        assert (await visitor.head(path)).status_code == 200, path


def test_swagger_ui_is_as_it_was_published() -> None:
    folder = STATIC / "swagger-ui"
    listed = (folder / "VERSION").read_text("utf-8")
    digests = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (.+)$", listed, re.MULTILINE)}
    assert digests.keys() == {file.name for file in folder.iterdir()} - {"VERSION"}
    for name, digest in digests.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


async def test_the_type_of_every_problem_is_an_address_on_the_page_of_problems(
    visitor: httpx.AsyncClient,
) -> None:
    page = (await visitor.get("/docs/problems")).text
    slugs = {
        error.slug
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, LLMStackError) and not issubclass(error, StartError)
    }
    assert set(re.findall(r'<section class="problem" id="([^"]+)">', page)) == slugs
    for kind in problem_kinds():
        assert kind.title in page
        assert kind.meaning
        assert kind.example["detail"] not in ("", kind.title), f"{kind.slug} needs an example of its detail"


def test_the_list_of_problems_in_the_docs_is_complete() -> None:
    lines = [
        "# Problems",
        "",
        "Every error is an `application/problem+json` (RFC 9457) whose `type` is `/docs/problems#<slug>`; the server",
        "explains each there. An `errors` line of a stream and a run's record give the slug as `code`.",
        "This file is made from `src/llmstack_api/errors.py` by `make openapi`.",
        "",
        "| Status | Slug | Meaning | For example |",
        "|---|---|---|---|",
    ]
    for kind in problem_kinds():
        status = f"{kind.status} {HTTPStatus(kind.status).phrase}"
        lines.append(f"| {status} | `{kind.slug}` | {kind.meaning} | {kind.example['detail']} |")
    check_snapshot("docs/problems.md", "\n".join(lines) + "\n")
