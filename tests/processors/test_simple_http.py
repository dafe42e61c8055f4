"""`promptly/simple_http` before a real web site."""

from collections.abc import AsyncGenerator

import pytest

from llmstack_api.engine.ports import JsonObject, Ports
from llmstack_api.errors import AddressRefusedError, HttpCallError, ProcessorInputError
from llmstack_api.outbound import Egress, parse_egress
from llmstack_api.processors.simple_http import SimpleHttp
from llmstack_api.tools.http import open_http_caller
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import reply
from tests.ports import make_ports
from tests.processors.steps import run_step


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running


@pytest.fixture
async def ports() -> AsyncGenerator[Ports]:
    async with open_http_caller(parse_egress("127.0.0.1")) as http:
        yield make_ports(http=http)


async def test_a_request_goes_as_it_is_written(ports: Ports, site: FakeSite) -> None:
    site.page("/a?x=1&y=2&z=3", reply('[{"a": 1}]', headers={"content-type": "application/json"}))
    output = await run_step(
        SimpleHttp,
        ports,
        {"url": f"{site.url('/a?x=1')} ", "query_params": '{"z": 3}'},
        {
            "query_params": [{"key": "y", "value": "2"}, {"key": "z", "value": "2"}],
            "headers": [{"key": "X-Trace", "value": "t"}, {"key": "user-agent", "value": "old"}],
            "cookies": [
                {"name": "a", "value": "1"},
                {"name": "b", "value": "2", "domain": "127.0.0.1"},
                {"name": "c", "value": "3", "domain": "example.com"},
            ],
            "user_agent": "mine/1",
        },
    )
    received = site.requests[0]
    assert (received.method, received.body) == ("GET", None)
    assert received.headers["x-trace"] == "t"
    assert received.headers["cookie"] == "a=1; b=2"
    assert received.headers["user-agent"] == "mine/1"
    assert output.pop("time") > 0
    assert output == {
        "code": 200,
        "headers": {"Content-Length": "10", "Content-Type": "application/json"},
        "size": 10,
        "response_json": {"data": [{"a": 1}]},
        "response": '[{"a": 1}]',
    }


@pytest.mark.parametrize(
    ("fixed", "given", "kind", "received", "sent_as"),
    [
        ('{"a": 1}', '{"b": "x y"}', None, "a=1&b=x%20y", "application/x-www-form-urlencoded"),
        ('{"a": 1}', '{"a": 2}', "application/json", {"a": 2}, "application/json"),
        ('{"a": 1}', "", "application/vnd.api+json", {"a": 1}, "application/vnd.api+json"),
        ("", "[1, 2]", None, [1, 2], "application/json"),
        ('{"a": 1}', "plain words", None, "plain words", "text/plain; charset=utf-8"),
        ("", "", None, None, "application/octet-stream"),
    ],
)
async def test_a_body_is_made_of_both_sides(
    ports: Ports,
    site: FakeSite,
    fixed: str,
    given: str,
    kind: str | None,
    received: object,
    sent_as: str,
) -> None:
    headers = [{"key": "Content-Type", "value": kind}] if kind else []
    config: JsonObject = {"method": "POST", "body": fixed, "headers": headers}
    await run_step(SimpleHttp, ports, {"url": site.url("/"), "body": given}, config)
    assert site.requests[0].body == received
    assert site.requests[0].headers["content-type"] == sent_as


async def test_a_get_sends_no_body_and_a_head_gets_none(ports: Ports, site: FakeSite) -> None:
    url = site.page("/", reply("body"))
    await run_step(SimpleHttp, ports, {"url": url, "body": '{"a": 1}'}, {"method": "GET"})
    assert site.requests[0].body is None
    output = await run_step(SimpleHttp, ports, {"url": url}, {"method": "head"})
    assert (output["response"], output["size"]) == ("", 0)


async def test_a_body_may_be_given_as_a_data_uri(ports: Ports, site: FakeSite) -> None:
    url = site.page("/", reply(b"\x89PNG\0", headers={"content-type": "image/png"}))
    output = await run_step(SimpleHttp, ports, {"url": url}, {"output_type": "OBJECT"})
    assert output["response"] == "data:image/png;base64,iVBORwA="


async def test_what_cannot_be_asked_is_refused(ports: Ports, site: FakeSite) -> None:
    with pytest.raises(ProcessorInputError, match="no address"):
        await run_step(SimpleHttp, ports, {"url": " "})
    with pytest.raises(HttpCallError, match="cannot be reached"):
        await run_step(SimpleHttp, ports, {"url": "http://127.0.0.1:1/"})
    async with open_http_caller(Egress()) as http:
        for url in (site.url("/"), "http://[::1]/", "http://169.254.169.254/", "file:///etc/passwd"):
            with pytest.raises(AddressRefusedError):
                await run_step(SimpleHttp, make_ports(http=http), {"url": url})
    assert site.accepted == 0
