"""Apps over HTTP: created, read, exported, described."""

from uuid import UUID

import httpx
import pytest

from llmstack_api.apps.router import YAML_TYPES
from llmstack_api.apps.yaml import load_yaml
from llmstack_api.web.accept import prefers
from tests.apps.calls import APPS, CHATBOT, ECHO_YAML, create, create_yaml, locs, path
from tests.apps.definitions import ECHO, fixed
from tests.server import RunningServer

# --- creating --------------------------------------------------------------------------------------------


async def test_a_created_app_is_answered_with_its_keys_and_the_defaults_filled_in(
    client: httpx.AsyncClient,
) -> None:
    app = await create(client)

    assert UUID(app.pop("uuid")).version == 7
    assert app.pop("created_at") == app.pop("updated_at")
    assert app == {
        "version": 1,
        "warnings": [],
        "name": "Echo",
        "type_slug": "web",
        "config": {},
        "input_fields": [{"name": "question", "title": "question", "type": "string", "required": False}],
        "processors": [
            {
                "id": "_inputs1",
                "provider_slug": "promptly",
                "processor_slug": "echo",
                "input": {"input_str": "{{_inputs0.question}}"},
                "config": {},
                "on_error": "fail",
            }
        ],
        "output": {"answer": "{{_inputs1.output_str}}"},
    }


async def test_a_created_app_can_be_read_and_run(client: httpx.AsyncClient) -> None:
    app = await create(client)
    read = (await client.get(path(app))).json()
    ran = await client.post(f"{path(app)}/run", json={"input": {"question": "hi there"}})

    assert {**read, "warnings": []} == app
    assert read["created_at"].endswith("Z")
    assert ran.json()["output"] == {"answer": "hi there"}


async def test_a_definition_may_be_sent_as_yaml(client: httpx.AsyncClient) -> None:
    as_json = await create(client)
    for kind in ("application/yaml", "application/x-yaml", "text/yaml; charset=utf-8"):
        app = await create_yaml(client, ECHO_YAML, kind)

        assert app["processors"] == as_json["processors"]


async def test_a_definition_written_for_upstream_loads_and_names_what_has_no_effect(
    client: httpx.AsyncClient,
) -> None:
    app = await create_yaml(client, CHATBOT)

    assert [warning["loc"] for warning in app["warnings"]] == [
        "slug",
        "icon",
        "category_slugs",
        "is_published",
        "web_config",
        "processors[0].slug",
        "processors[0].icon",
        "processors[0].dependencies",
        "input_fields[0].placeholder",
        "input_fields[0].stream",
        "output_template.jsonpath",
        "config.layout",
        "config.welcome_message",
        "config.window_color",
        "config.chat_bubble_style",
        "processors[0].output_template",
        "processors[0].config.use_azure_if_available",
    ]
    assert app["config"]["window_color"] == "#477d24"

    ran = await client.post(f"{path(app)}/run", json={"input": {"question": "What do you do?"}})
    assert ran.status_code == 200, ran.text
    assert ran.json()["output"]["output"].strip() == "What do you do?"


async def test_every_fault_is_in_one_answer_with_its_place(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        APPS,
        json={
            "type_slug": "robot",
            "processors": [
                {
                    "provider_slug": "promptly",
                    "processor_slug": "eco",
                    "input": {"input_str": "{{_inputs2.x}}"},
                },
                {"provider_slug": "promptly", "processor_slug": "echo", "input": {"question": "a"}},
                {
                    "provider_slug": "openai",
                    "processor_slug": "chatgpt",
                    "config": {"api_key": "sk-x", "max_tokens": 0},
                },
            ],
            "output": {"done": "x", "a": "{{_inputs2.nothing}}"},
        },
    )

    assert sorted(locs(answer)) == [
        "name",
        "output.a",
        "output.done",
        "processors[0].input.input_str",
        "processors[0].processor_slug",
        "processors[1].input.question",
        "processors[2].config.api_key",
        "processors[2].config.max_tokens",
        "type_slug",
    ]
    problem = answer.json()
    assert problem["type"].endswith("invalid-definition")
    assert "did you mean 'promptly/echo'?" in answer.text
    assert (await client.get(APPS)).json() == []


async def test_a_body_that_is_no_object_is_an_invalid_definition(client: httpx.AsyncClient) -> None:
    for kind in ("application/json", "application/yaml"):
        for body in ("[]", "5", '"name: x"', "true"):
            answer = await client.post(APPS, content=body, headers={"Content-Type": kind})

            assert locs(answer) == [""]
            assert answer.json()["detail"] == "an app definition is an object"


async def test_null_and_nothing_are_no_definition_either(client: httpx.AsyncClient) -> None:
    assert (await client.post(APPS, content="null")).status_code == 422
    assert (await client.post(APPS, content="")).status_code == 400
    assert (
        await client.post(APPS, content="name: [", headers={"Content-Type": "text/yaml"})
    ).status_code == 400
    answer = await client.post(APPS, content="name: x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert "application/yaml" in answer.json()["detail"]


async def test_a_literal_address_that_must_not_be_reached_is_a_fault_at_save(
    client: httpx.AsyncClient,
) -> None:
    addresses = [
        "http://127.0.0.1:9/v1",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "ftp://example.com",
        "http://0x7f.1/",
        "http://user:secret@example.com/",
    ]
    chat = {
        "provider_slug": "openai",
        "processor_slug": "chatgpt",
        "input": {"messages": [{"content": "hi"}]},
    }
    steps = [{**chat, "config": {"base_url": address}} for address in [*addresses, "https://example.com/v1"]]
    answer = await client.post(APPS, json=fixed(processors=steps, extra=1))

    assert locs(answer) == ["extra", *[f"processors[{index}].config.base_url" for index in range(6)]]
    assert "secret" not in answer.text


async def test_a_definition_over_one_mebibyte_is_too_large(
    server: RunningServer, client: httpx.AsyncClient
) -> None:
    settings = server.resources.settings
    server.resources.settings = settings.model_copy(update={"max_body_bytes": 32 * 1024 * 1024})
    for kind in ("application/json", "application/yaml"):
        answer = await client.post(
            APPS, content=b'{"name": "' + b"x" * 2_000_000 + b'"}', headers={"Content-Type": kind}
        )
        assert answer.status_code == 413
    app = await create(client, fixed(description="x" * 900_000))

    answer = await client.patch(path(app), json={"config": {"layout": "y" * 500_000}})

    assert answer.status_code == 413
    assert (await client.get(path(app))).json()["version"] == 1


async def test_a_repeated_request_with_its_key_creates_one_app(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "first"}
    first = await client.post(APPS, json=ECHO, headers=key)
    again = await client.post(APPS, json=ECHO, headers=key)
    other = await client.post(APPS, json=fixed(), headers=key)
    refused = [await client.post(APPS, json={}, headers={"Idempotency-Key": "second"}) for _ in range(2)]

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert [answer.status_code for answer in refused] == [422, 422]
    assert (await client.post(APPS, json=ECHO, headers={"Idempotency-Key": "second"})).status_code == 201
    assert len((await client.get(APPS)).json()) == 2


# --- reading ---------------------------------------------------------------------------------------------


async def test_apps_are_listed_newest_first_and_the_link_leads_on(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await create(client, fixed(str(number)))
    names: list[str] = []
    pages = 0
    url: str | None = f"{APPS}?limit=2"
    while url:
        answer = await client.get(url)
        names += [app["name"] for app in answer.json()]
        pages += 1
        url = answer.links.get("next", {}).get("url")

    assert names == ["4", "3", "2", "1", "0"]
    assert pages == 3
    assert [app["name"] for app in (await client.get(APPS)).json()] == names


async def test_a_malformed_page_is_refused(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=nonsense", "cursor=1", "limit=-1"):
        assert locs(await client.get(f"{APPS}?{query}")) == [f"query.{query.partition('=')[0]}"]


async def test_an_unknown_cursor_is_a_place_like_any_other(client: httpx.AsyncClient) -> None:
    await create(client)

    assert (await client.get(f"{APPS}?cursor={UUID(int=0)}")).json() == []
    assert len((await client.get(f"{APPS}?cursor={UUID(int=2**128 - 1)}")).json()) == 1


@pytest.mark.parametrize(
    ("accept", "yaml"),
    [
        ("application/yaml", True),
        ("application/x-yaml", True),
        ("text/yaml, */*;q=0.1", True),
        ("application/json;q=0.5, application/yaml", True),
        ("application/yaml, application/json", True),
        ("application/json, application/yaml", False),
        ("application/yaml;q=0.5, application/json", False),
        ("*/*", False),
        ("", False),
        ("application/yaml;q=0", False),
        ("text/html", False),
        ("application/yaml;q=high", False),
    ],
)
def test_yaml_is_answered_where_it_is_wanted_most(*, accept: str, yaml: bool) -> None:
    assert prefers(accept, YAML_TYPES) is yaml


async def test_an_export_posts_back_to_the_same_definition(client: httpx.AsyncClient) -> None:
    for text in (ECHO_YAML.encode(), CHATBOT):
        app = await create_yaml(client, text)
        export = await client.get(path(app), headers={"Accept": "application/yaml"})
        again = await create_yaml(client, export.content)

        assert export.headers["content-type"] == "application/yaml"
        assert load_yaml(export.content) == load_yaml(text)
        for key in ("uuid", "created_at", "updated_at"):
            del app[key], again[key]
        assert again == app


async def test_the_schema_describes_both_sides_of_a_run(client: httpx.AsyncClient) -> None:
    app = await create_yaml(client, CHATBOT)
    schema = (await client.get(f"{path(app)}/schema")).json()

    assert schema["input"]["required"] == ["question"]
    assert schema["input"]["properties"]["question"] == {"type": "string", "title": "Question"}
    assert schema["output"]["properties"]["output"]["type"] == "string"
    assert schema["output"]["additionalProperties"] is False


async def test_processors_are_listed_with_their_schemas(client: httpx.AsyncClient) -> None:
    processors = {item["name"]: item for item in (await client.get("/api/processors")).json()}

    echo = processors["promptly/echo"]
    assert (echo["provider_slug"], echo["slug"]) == ("promptly", "echo")
    assert echo["description"]
    assert "input_str" in echo["input"]["properties"]
    assert "output_str" in echo["output"]["properties"]
    assert processors["openai/chatgpt"]["config"]["properties"]["temperature"]["default"] == 0.7
