"""`promptly/http_api_processor` before a real web site."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject, Ports
from llmstack_api.engine.runner import ActiveRun, Limits, RunRequest
from llmstack_api.errors import AddressRefusedError, HttpCallError, ProcessorInputError
from llmstack_api.outbound import Egress, parse_egress
from llmstack_api.processors.http_api import HttpApi
from llmstack_api.tools.http import open_http_caller
from tests.fake_model.wire import Exchange
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import redirect, reply
from tests.ports import make_ports
from tests.processors.steps import Emitted, run_step

JSON = {"content-type": "application/json"}


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running


@pytest.fixture
async def ports() -> AsyncGenerator[Ports]:
    async with open_http_caller(parse_egress("127.0.0.1")) as http:
        yield make_ports(http=http)


def parameters(**located: str) -> list[JsonObject]:
    return [{"name": name, "location": location} for name, location in located.items()]


async def test_every_kind_of_parameter_goes_where_it_belongs(ports: Ports, site: FakeSite) -> None:
    url = "/v1/users/a%2Fb%20c?q=x%26y&tag=1&tag=2"
    site.page(url, reply('{"id": 7}', headers=JSON))
    output = await run_step(
        HttpApi,
        ports,
        {
            "input_data": {
                "id": "a/b c",
                "q": "x&y",
                "tag": [1, 2],
                "X-Trace": "t",
                "sid": "s1",
                "name": "Ann",
                "age": "41",
            }
        },
        {
            "url": site.url("/v1/") + " ",
            "path": "/users/{id}",
            "method": "post",
            "parameters": parameters(
                id="path", q="query", tag="query", sid="cookie", **{"X-Trace": "header"}
            ),
            "request_body": {
                "parameters": [
                    {"name": "name"},
                    {"name": "age", "type": "integer"},
                    {"name": "n", "required": False},
                ]
            },
            "connection_id": "",
        },
    )
    received = site.requests[0]
    assert (received.method, received.path) == ("POST", url)
    assert received.body == {"name": "Ann", "age": 41}
    assert received.headers["x-trace"] == "t"
    assert received.headers["cookie"] == "sid=s1"
    assert received.headers["content-type"] == "application/json"
    assert output.pop("elapsed") > 0
    assert output == {
        "code": 200,
        "is_ok": True,
        "url": site.url(url),
        "headers": {"Content-Length": "9", "Content-Type": "application/json"},
        "cookies": {},
        "encoding": "utf-8",
        "content_json": {"id": 7},
        "text": '{"id": 7}',
    }


async def test_the_input_may_be_json_text_and_defaults_fill_it_up(ports: Ports, site: FakeSite) -> None:
    site.page("/a?lang=en&q=tea", reply("ok"))
    config = {
        "url": site.url("/a?lang=en"),
        "parameters": [
            {"name": "q", "location": "query", "value": "tea"},
            {"name": "page", "location": "query", "required": False},
        ],
    }
    for given in ({}, {"input_data": '{"page": null, "q": ""} '}):
        assert (await run_step(HttpApi, ports, given, config))["text"] == "ok"


async def test_a_missing_parameter_is_named(ports: Ports, site: FakeSite) -> None:
    config = {"url": site.url("/"), "path": "/{id}", "parameters": parameters(id="path")}
    with pytest.raises(ProcessorInputError, match=r"'id' is required \(path\)"):
        await run_step(HttpApi, ports, {}, config)
    body = {"url": site.url("/"), "method": "PUT", "request_body": {"parameters": [{"name": "note"}]}}
    with pytest.raises(ProcessorInputError, match=r"'note' is required \(body\)"):
        await run_step(HttpApi, ports, {"input_data": {"other": 1}}, body)
    assert site.requests == []


@pytest.mark.parametrize("value", ["..", ".", "%2e%2E"])
async def test_a_value_in_the_path_cannot_climb(ports: Ports, site: FakeSite, value: str) -> None:
    config = {"url": site.url("/users"), "path": "/{id}/x", "parameters": parameters(id="path")}
    if value.startswith("%"):
        site.page("/users/%252e%252E/x", reply("no climbing"))
        assert (await run_step(HttpApi, ports, {"input_data": {"id": value}}, config))["code"] == 200
        config["path"] = f"/{value}/x"
    with pytest.raises(ProcessorInputError, match=r"`\.\.`"):
        await run_step(HttpApi, ports, {"input_data": {"id": value}}, config)


async def test_the_path_and_the_payload_may_be_templates_over_the_parameters(
    ports: Ports, site: FakeSite
) -> None:
    site.page("/items/a%20b", reply("made", status=201))
    output = await run_step(
        HttpApi,
        ports,
        {"input_data": {"id": "a b", "title": 'He said "{{ 7 | times: 7 }}"'}},
        {
            "url": site.url(""),
            "path": "/items/{{_parameters.id}}",
            "method": "PATCH",
            "parameters": parameters(id="path"),
            "request_body": {
                "parameters": [{"name": "title"}],
                "payload": '{"data": {"title": {{_parameters.title | tojson}}}}',
            },
        },
    )
    assert output["code"] == 201
    assert site.requests[0].body == {"data": {"title": 'He said "{{ 7 | times: 7 }}"'}}


async def test_a_form_is_sent_as_a_form(ports: Ports, site: FakeSite) -> None:
    await run_step(
        HttpApi,
        ports,
        {"input_data": {"a": "1 & 2", "b": "true"}},
        {
            "url": site.url("/"),
            "method": "POST",
            "content_type": "application/x-www-form-urlencoded",
            "request_body": {"parameters": [{"name": "a"}, {"name": "b", "type": "boolean"}]},
        },
    )
    assert site.requests[0].body == "a=1%20%26%202&b=true"


async def test_a_body_parameter_of_another_type_is_refused(ports: Ports, site: FakeSite) -> None:
    for kind, value in (("integer", "4.5"), ("number", True), ("array", "{}"), ("boolean", "yes")):
        body = {"parameters": [{"name": "a", "type": kind}]}
        config = {"url": site.url("/"), "method": "POST", "request_body": body}
        with pytest.raises(ProcessorInputError, match=f"of the type {kind}"):
            await run_step(HttpApi, ports, {"input_data": {"a": value}}, config)


async def test_a_status_is_data(ports: Ports, site: FakeSite) -> None:
    site.page("/gone", reply("no such thing", status=404))
    output = await run_step(HttpApi, ports, {}, {"url": site.url("/gone")})
    assert (output["code"], output["is_ok"], output["text"]) == (404, False, "no such thing")
    assert output["content_json"] is None


async def test_cookies_and_repeated_headers_are_told(ports: Ports, site: FakeSite) -> None:
    async def play(exchange: Exchange) -> None:
        exchange.raw(
            b"HTTP/1.1 200 OK\r\nset-cookie: a=1; Path=/\r\nset-cookie: b=2; HttpOnly\r\n"
            b"x-part: 1\r\nX-Part: 2\r\ncontent-length: 0\r\n\r\n"
        )
        exchange.close()

    output = await run_step(HttpApi, ports, {}, {"url": site.page("/", play)})
    assert output["cookies"] == {"a": "1", "b": "2"}
    assert output["headers"]["X-Part"] == "1, 2"
    assert output["text"] == ""


@pytest.mark.parametrize(
    ("body", "kind", "text", "value"),
    [
        ("Grüße".encode("latin-1"), "text/plain; charset=latin-1", "Grüße", None),
        (b"\xef\xbb\xbf[1]", "application/json", "[1]", [1]),
        (b"\x89PNG\r\n\x00\x00", "image/png", "", None),
        (b"caf\xe9", "text/plain", "caf\ufffd", None),
        (b"[" * 100 + b"]" * 100, "application/json", "[" * 100 + "]" * 100, None),
        (b'{"a": "\\u0000"}', "application/json", '{"a": "\\u0000"}', None),
    ],
)
async def test_what_a_body_is_is_told_truly(
    ports: Ports, site: FakeSite, body: bytes, kind: str, text: str, value: object
) -> None:
    url = site.page("/", reply(body, headers={"content-type": kind}))
    output = await run_step(HttpApi, ports, {}, {"url": url})
    assert (output["text"], output["content_json"]) == (text, value)


async def test_a_long_text_streams(ports: Ports, site: FakeSite) -> None:
    emitted = Emitted()
    url = site.page("/", reply("[" + "1," * 40_000 + "1]"))
    output = await run_step(HttpApi, ports, {}, {"url": url}, emitted)
    assert emitted.paths.count(("text",)) == 5
    assert len(output["content_json"]) == 40_001


async def test_redirects_are_followed_or_not(ports: Ports, site: FakeSite) -> None:
    site.page("/new", reply("here"))
    url = site.page("/old", redirect("/new"))
    assert (await run_step(HttpApi, ports, {}, {"url": url}))["url"] == site.url("/new")
    output = await run_step(HttpApi, ports, {}, {"url": url, "allow_redirects": False})
    assert output["code"] == 302


async def test_private_addresses_are_refused(site: FakeSite) -> None:
    async with open_http_caller(Egress()) as http:
        for url in (site.url("/"), "http://169.254.169.254/latest/", site.url("/", host="localhost")):
            with pytest.raises(AddressRefusedError):
                await run_step(HttpApi, make_ports(http=http), {}, {"url": url})
    assert site.accepted == 0


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"url": "  "},
        {"url": "http://x/", "parameters": [{"name": "Host", "location": "header", "value": "y"}]},
        {"url": "http://x/", "parameters": [{"name": "A", "location": "header", "value": "1\r\nB: 2"}]},
        {"url": "http://x/", "parameters": [{"name": "a", "location": "cookie", "value": "1; b=2"}]},
        {"url": "http://x/", "parameters": [{"name": "a=b", "location": "cookie", "value": "1"}]},
    ],
)
async def test_what_cannot_be_sent_is_refused(ports: Ports, config: JsonObject) -> None:
    with pytest.raises(ProcessorInputError):
        await run_step(HttpApi, ports, {}, config)


async def test_a_call_without_an_answer_is_an_error(ports: Ports) -> None:
    with pytest.raises(HttpCallError, match="cannot be reached"):
        await run_step(HttpApi, ports, {}, {"url": "http://127.0.0.1:1/"})


def test_a_definition_of_upstreams_loads() -> None:
    step: dict[str, Any] = {
        "id": "api",
        "provider_slug": "promptly",
        "processor_slug": "http_api_processor",
        "input": {"input_data": "{{_inputs0.data}} "},
        "config": {
            "url": "https://api.example.com",
            "path": "/users/{{_parameters.id}}",
            "method": "GET",
            "content_type": "application/json",
            "parameters": [
                {"name": "id", "location": "path", "required": True, "description": None, "value": None}
            ],
            "request_body": None,
            "connection_id": "",
            "openapi_spec": None,
            "openapi_spec_url": "",
            "parse_openapi_spec": True,
            "allow_redirects": True,
            "timeout": 5,
        },
    }
    app: dict[str, Any] = {
        "name": "Users",
        "input_fields": [{"name": "data"}],
        "processors": [step],
        "output_template": {"markdown": "{{api.text}} {{api.content_json.name}}"},
    }
    plan, findings = compile_app(app, {"promptly/http_api_processor": HttpApi})
    assert plan is not None, findings.faults
    assert ("processors[0].config.url", "https://api.example.com") in findings.addresses
    step["config"]["path"] = "/{{_parameters.id}}/{{_inputs0.data}}"
    _, findings = compile_app(app, {"promptly/http_api_processor": HttpApi})
    assert [fault.loc for fault in findings.faults] == ["processors[0].config.path"]


async def test_an_app_fills_templates_of_both_kinds(ports: Ports, site: FakeSite) -> None:
    site.page("/v2/items/a%2F7", reply('{"name": "Tea"}', headers=JSON))
    app: JsonObject = {
        "name": "Item",
        "input_fields": [{"name": "base"}, {"name": "id"}],
        "processors": [
            {
                "id": "api",
                "provider_slug": "promptly",
                "processor_slug": "http_api_processor",
                "input": {"input_data": {"id": "{{_inputs0.id}}"}},
                "config": {
                    "url": "{{_inputs0.base}} ",
                    "path": "/items/{{_parameters.id}}",
                    "parameters": parameters(id="path"),
                },
            }
        ],
        "output": {"name": "{{api.content_json.name}}", "text": "{{api.text}}", "code": "{{api.code}}"},
    }
    plan, findings = compile_app(app, {"promptly/http_api_processor": HttpApi})
    assert plan is not None, findings.faults
    limits = Limits(run_timeout=10, step_timeout=10, max_output_chars=100_000)
    inputs = {"base": site.url("/v2"), "id": "a/7"}
    run = ActiveRun(RunRequest(plan=plan, inputs=inputs, ports=ports, limits=limits), streamed=False)
    outcome = await run.finish()
    assert outcome.errors == ()
    assert outcome.output == {"name": "Tea", "text": '{"name": "Tea"}', "code": 200}


def test_a_tool_asks_for_the_parameters_that_its_config_names() -> None:
    config = {
        "parameters": [
            {"name": "city", "description": "Where"},
            {"name": "unit", "location": "query", "value": "C"},
            {"name": "{{_inputs0.x}}", "location": "query", "required": False},
        ],
        "request_body": {"parameters": [{"name": "days", "type": "integer"}]},
    }
    assert HttpApi.shapes(config) == {
        "input_data": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where"},
                "days": {"type": "integer"},
            },
            "required": ["city", "days"],
        }
    }
    assert HttpApi.shapes({"parameters": "nonsense"}) == {}
