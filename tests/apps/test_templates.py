"""App templates: what the API shows of the examples, ready to be saved."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import httpx
import pytest

from llmstack_api.apps.templates import examples_folder, needs_of
from llmstack_api.apps.yaml import load_yaml
from llmstack_api.auth import Scope
from llmstack_api.processors import REGISTRY
from llmstack_api.settings import Settings
from tests.apps.calls import create, create_yaml, locs
from tests.server import RunningServer, running_server

TEMPLATES = "/api/apps/templates"
FILES = sorted(examples_folder().glob("*.yaml"))
READY = (
    "answers-from-documents",
    "document-question-answering",
    "echo",
    "extractor-to-json",
    "image-prompt",
    "research-agent",
    "summariser",
    "support-triage",
    "translator",
    "website-chatbot",
)


@pytest.fixture
async def server(sqlite_settings: Settings) -> AsyncGenerator[RunningServer]:
    async with running_server(sqlite_settings) as running:
        yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


async def test_every_example_is_a_template_that_can_be_posted_as_it_is(client: httpx.AsyncClient) -> None:
    templates = (await client.get(TEMPLATES)).json()
    assert [template["slug"] for template in templates] == [file.stem for file in FILES]
    assert {template["slug"] for template in templates} >= set(READY)
    for template in templates:
        assert template["description"], template["slug"]
        assert template["name"] == template["definition"]["name"]
        saved = await create(client, template["definition"])
        assert saved["warnings"] == []
        assert saved["type_slug"] == template["type_slug"]
        assert saved["input_fields"] == template["input_fields"]


async def test_a_template_is_its_file_as_yaml_and_as_json(client: httpx.AsyncClient) -> None:
    for file in FILES:
        as_yaml = await client.get(f"{TEMPLATES}/{file.stem}", headers={"Accept": "application/yaml"})
        assert as_yaml.headers["content-type"] == "application/yaml"
        assert as_yaml.content == file.read_bytes()
        as_json = (await client.get(f"{TEMPLATES}/{file.stem}")).json()
        assert as_json["definition"] == load_yaml(as_yaml.content)


async def test_a_datasource_is_filled_in_where_a_template_needs_one(client: httpx.AsyncClient) -> None:
    datasource = str(uuid4())
    for template in (await client.get(TEMPLATES)).json():
        path = f"{TEMPLATES}/{template['slug']}"
        filled = await client.get(path, params={"datasource": datasource})
        if not template["needs"]["datasource"]:
            assert locs(filled) == ["query.datasource"]
            continue
        [config] = [step["config"] for step in filled.json()["definition"]["processors"]]
        assert config["datasource"] == [datasource]
        text = await client.get(
            path, params={"datasource": datasource}, headers={"Accept": "application/yaml"}
        )
        assert load_yaml(text.content) == filled.json()["definition"]
        assert text.text.count("#") > 3


async def test_the_filled_template_is_saved_for_a_datasource_of_the_account_only(
    client: httpx.AsyncClient, server: RunningServer
) -> None:
    made = await client.post("/api/datasources", json={"name": "Handbook", "type": "mixed"})
    params = {"datasource": made.json()["uuid"]}
    text = await client.get(
        f"{TEMPLATES}/answers-from-documents", params=params, headers={"Accept": "application/yaml"}
    )
    assert (await create_yaml(client, text.content))["warnings"] == []
    async with server.client("other") as other:
        refused = await other.post(
            "/api/apps", content=text.content, headers={"Content-Type": "application/yaml"}
        )
    assert locs(refused) == ["processors[0].config.datasource[0]"]


async def test_what_is_no_template_or_no_id_is_told(client: httpx.AsyncClient) -> None:
    for slug in ("none", "..%2Fecho", "echo.yaml"):
        missing = await client.get(f"{TEMPLATES}/{slug}")
        assert missing.status_code == 404
    missing = await client.get(f"{TEMPLATES}/none")
    assert missing.json()["type"].endswith("template-not-found")
    wrong = await client.get(f"{TEMPLATES}/website-chatbot", params={"datasource": "7"})
    assert locs(wrong) == ["query.datasource"]
    blank = await client.get(f"{TEMPLATES}/echo", params={"datasource": ""})
    assert blank.status_code == 200


async def test_templates_are_read_with_the_scope_read(server: RunningServer) -> None:
    async with server.client(scopes=[Scope.READ]) as reader:
        assert (await reader.get(TEMPLATES)).status_code == 200
    async with server.client(scopes=[Scope.RUN]) as runner:
        assert (await runner.get(TEMPLATES)).status_code == 403


@pytest.mark.parametrize(
    ("slug", "model", "datasource", "web_search"),
    [
        ("echo", False, False, False),
        ("answers-from-documents", False, True, False),
        ("website-chatbot", True, True, False),
        ("document-question-answering", True, False, False),
        ("image-prompt", True, False, False),
        ("research-agent", True, False, True),
    ],
)
async def test_a_template_says_what_it_needs(
    slug: str, *, model: bool, datasource: bool, web_search: bool, client: httpx.AsyncClient
) -> None:
    template = (await client.get(f"{TEMPLATES}/{slug}")).json()
    assert template["needs"] == {"model": model, "datasource": datasource, "web_search": web_search}


def test_an_app_without_processors_needs_nothing() -> None:
    needs = needs_of({"name": "Fixed", "output": {"a": "b"}}, REGISTRY)
    assert (needs.model, needs.datasource, needs.web_search) == (False, False, False)
