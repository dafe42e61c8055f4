"""The port `ToolServers`, against a server that misbehaves."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from llmstack_api.errors import AddressRefusedError, ToolServerError
from llmstack_api.outbound import Egress
from llmstack_api.tools import mcp, mcp_transport
from llmstack_api.tools.mcp import McpServers
from tests.fake_mcp import HELLO, error, events, result, talker
from tests.fake_model.wire import Exchange
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import (
    Play,
    drop,
    drop_after_headers,
    endless,
    hang,
    not_http,
    redirect,
    reply,
    truncate,
)
from tests.tools.connecting import SERVERS, GivenUpCall, failure, leaving_no_task

SECRET = "a-key-in-the-address"


@pytest.fixture(autouse=True)
async def _nothing_left() -> AsyncGenerator[None]:
    async with leaving_no_task():
        yield


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running


async def closed(site: FakeSite) -> None:
    """Wait until no connection is open."""
    await site.until(lambda: not site._connections)  # pyright: ignore[reportPrivateUsage] # nobody else asks


SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
LINE = b"data: " + b"x" * 65_536 + b"\n"


CONNECTING: dict[str, tuple[Play, str]] = {
    "401": (reply("who are you", status=401), "answered 401 Unauthorized"),
    "404": (reply("nothing", status=404), "answered 404 Not Found"),
    "html": (
        reply("<html>", headers={"content-type": "text/html"}),
        "refused: Unexpected content type: text/html",
    ),
    "garbage": (reply("}{", headers=JSON), "makes no sense"),
    "nested": (reply("[" * 100_000, headers=JSON), "makes no sense"),
    "compressed": (reply(b"\x1f\x8b", headers={"content-encoding": "gzip"}), "compressed"),
    "compressed events": (reply(b"\x1f\x8b", headers=SSE | {"content-encoding": "gzip"}), "compressed"),
    "202": (reply(status=202), "refused: server answered a request with 202"),
    "error": (error(-1, "closed on Sundays."), "refused: closed on Sundays."),
    "error 400": (error(-1, "closed on Mondays", status=400), "refused: closed on Mondays."),
    "hello without fields": (result({"protocolVersion": "1999-01-01"}), "makes no sense"),
    "unknown version": (
        result({"protocolVersion": "1999-01-01", "capabilities": {}, "serverInfo": {}}),
        "makes no sense",
    ),
    "garbage event": (events("data: }{"), "makes no sense"),
    "no event": (events(": nothing"), "before it was whole"),
    "aborted events": (events(": nothing", then_abort=True), "before it was whole"),
    "redirect to metadata": (
        redirect("http://169.254.169.254/latest/meta-data", status=307),
        "redirects to another address",
    ),
    "malformed redirect": (redirect("http://[", status=307), "redirects to another address"),
    "redirect that loses the message": (redirect("/elsewhere"), "redirects to another address"),
    "endless body": (endless(b"x" * 65_536, headers=JSON), "more than 1048576 bytes"),
    "endless events": (endless(b": x\n" * 9_999, headers=SSE), "more than 1048576 bytes"),
    "endless event": (endless(LINE, headers=SSE), "makes no sense"),
    "dropped": (drop, "broke the connection"),
    "dropped after headers": (drop_after_headers, "broke off"),
    "truncated": (truncate, "broke off"),
    "no http": (not_http, "does not speak HTTP"),
}


@pytest.mark.parametrize(("play", "said"), CONNECTING.values(), ids=CONNECTING)
async def test_a_server_that_makes_no_sense_is_told_without_its_secrets(
    site: FakeSite, play: Play, said: str
) -> None:
    told = await failure(site.page(f"/mcp?key={SECRET}", play))
    assert isinstance(told, ToolServerError)
    assert str(told).startswith(f"The tool server http://127.0.0.1:{site.port} ")
    assert said in str(told)
    assert SECRET not in str(told)
    assert "169.254" not in str(told)
    await closed(site)


async def test_addresses_are_judged_before_anything_is_sent(site: FakeSite) -> None:
    url = site.page("/mcp", talker())
    nobody = McpServers(Egress())
    for address in (url, "ftp://example.com/", "http://169.254.169.254/mcp", "http://u:p@example.com/"):
        with pytest.raises(AddressRefusedError):
            async with nobody.connect(address):
                raise AssertionError("connected")
    assert site.accepted == 0


async def test_a_name_that_leads_to_a_private_address_is_refused(site: FakeSite) -> None:
    with pytest.raises(AddressRefusedError, match="its name leads to one that is not public"):
        async with McpServers(Egress()).connect(f"http://localhost:{site.port}/mcp"):
            raise AssertionError("connected")
    assert site.accepted == 0


async def test_a_port_where_nobody_listens_is_told(site: FakeSite) -> None:
    url = site.url("/mcp").replace(str(site.port), "9")
    assert "cannot be reached" in str(await failure(url))


async def test_a_server_that_hangs_is_left_in_time(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "CONNECT_TIMEOUT", 0.2)
    told = await failure(site.page("/mcp", hang))
    assert str(told) == "The tool server did not answer within 0.2 s."
    await closed(site)


async def test_an_old_server_that_leaves_the_newest_question_unanswered_is_asked_in_its_own_way(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_transport, "PROBE_TIMEOUT", 0.1)
    async with SERVERS.connect(site.page("/mcp", talker(server_discover=hang))) as box:
        assert [spec.name for spec in box.specs] == ["t"]
    await closed(site)


async def test_who_gives_up_while_connecting_leaves_nothing_behind(site: FakeSite) -> None:
    connecting = asyncio.create_task(failure(site.page("/mcp", talker(tools_list=hang))))
    await site.until(lambda: any(seen.body["method"] == "tools/list" for seen in site.requests))
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await closed(site)


async def test_a_redirect_within_the_server_is_followed(site: FakeSite) -> None:
    site.page("/mcp/", talker())
    url = site.page("/mcp", redirect("/mcp/", status=307))
    async with SERVERS.connect(url) as box:
        assert [spec.name for spec in box.specs] == ["t"]


async def test_of_many_tools_the_first_are_taken(site: FakeSite) -> None:
    tools = [{"name": f"t{number}", "inputSchema": {"type": "object"}} for number in range(5000)]
    async with SERVERS.connect(site.page("/mcp", talker(tools_list=result({"tools": tools})))) as box:
        assert [spec.name for spec in box.specs] == [f"t{number}" for number in range(128)]


async def test_a_list_that_never_ends_is_left(site: FakeSite) -> None:
    page = result({"tools": [], "nextCursor": "on"})
    async with SERVERS.connect(site.page("/mcp", talker(tools_list=page))) as box:
        assert box.specs == []
    assert sum(seen.body.get("method") == "tools/list" for seen in site.requests if seen.body) == 128


async def test_names_are_made_fit_and_told_apart_and_schemas_that_no_model_could_take_left_out(
    site: FakeSite,
) -> None:
    plain: dict[str, Any] = {"type": "object"}
    tools: list[dict[str, Any]] = [
        {"name": "find/it", "inputSchema": plain, "title": "Finds"},
        {"name": "find it", "inputSchema": plain},
        {"name": "n" * 70, "inputSchema": plain},
        {"name": "n" * 71, "inputSchema": plain},
        {"name": "", "inputSchema": plain, "description": "a\u0000b"},
        {"name": "large", "inputSchema": plain | {"description": "x" * 65_536}},
        {"name": "huge_number", "inputSchema": plain | {"maxProperties": 2**70}},
    ]
    called = talker(
        tools_list=result({"tools": tools}), tools_call=result({"content": [{"type": "text", "text": "ok"}]})
    )
    async with SERVERS.connect(site.page("/mcp", called)) as box:
        assert [(spec.name, spec.description) for spec in box.specs] == [
            ("find_it", "Finds"),
            ("find_it_2", ""),
            ("n" * 64, ""),
            ("n" * 62 + "_2", ""),
            ("tool", "ab"),
        ]
        assert all(spec.parameters == {"type": "object", "properties": {}} for spec in box.specs)
        assert await box.call("find_it_2", {"a": 1}) == "ok"
    calls = [
        seen.body["params"] for seen in site.requests if seen.body and seen.body["method"] == "tools/call"
    ]
    assert [(call["name"], call["arguments"]) for call in calls] == [("find it", {"a": 1})]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"content": [], "structuredContent": {"b": [1, 2**70]}}, f'{{"b":[1,{2**70}]}}'),
        ({"content": [{"type": "text", "text": "t\0"}], "structuredContent": {"b": 1}}, "t"),
        ({"content": []}, ""),
    ],
)
async def test_structure_is_told_where_there_is_no_text(site: FakeSite, answer: Any, told: str) -> None:
    async with SERVERS.connect(site.page("/mcp", talker(tools_call=result(answer)))) as box:
        assert await box.call("t", {}) == told


async def test_a_result_is_not_matched_with_the_servers_patterns(site: FakeSite) -> None:
    evil = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    tool = {"name": "t", "inputSchema": {"type": "object"}, "outputSchema": evil}
    value: dict[str, Any] = {"content": [], "structuredContent": {"a": "a" * 40 + "!"}}
    play = talker(tools_list=result({"tools": [tool]}), tools_call=result(value))
    async with SERVERS.connect(site.page("/mcp", play)) as box:
        assert "aaaa!" in await box.call("t", {})


CALLING: dict[str, tuple[Play, str]] = {
    "dropped": (drop, "broke the connection"),
    "truncated": (truncate, "broke off"),
    "endless body": (endless(b"x" * 65_536, headers=JSON), "more than 4194304 bytes"),
    "aborted events": (events(": here it comes", then_abort=True), "before it was whole"),
    "garbage": (reply("}{", headers=JSON), "makes no sense"),
    "no content": (result({"no": "content"}), "makes no sense"),
    "unknown content": (result({"content": [{"type": "smell"}]}), "makes no sense"),
    "503": (reply("busy", status=503), "answered 503"),
    "error": (error(-32602, "no such tool"), "refused: no such tool"),
    "silent failure": (result({"content": [], "isError": True}), "does not say why"),
}


@pytest.mark.parametrize(("play", "said"), CALLING.values(), ids=CALLING)
async def test_after_a_call_that_failed_the_next_one_is_answered(
    site: FakeSite, play: Play, said: str
) -> None:
    url = site.page("/mcp", talker(tools_call=play))
    async with SERVERS.connect(url) as box:
        with pytest.raises(ToolServerError, match=said):
            await box.call("t", {})
        site.page("/mcp", talker(tools_call=result({"content": [{"type": "text", "text": "ok"}]})))
        assert await box.call("t", {}) == "ok"
    await closed(site)


async def test_a_server_where_everything_hangs_holds_up_neither_its_callers_nor_who_leaves(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_transport, "PARTING_TIMEOUT", 0.5)
    hello = talker(tools_call=hang, notifications_cancelled=hang)

    async def with_session(exchange: Exchange) -> None:
        if exchange.received.method == "DELETE":
            await hang(exchange)
        elif exchange.received.body["method"] == "initialize":
            await result(HELLO, session="s-1")(exchange)
        else:
            await hello(exchange)

    def methods() -> list[str]:
        return [seen.body["method"] for seen in site.requests]

    async with SERVERS.connect(site.page("/mcp", with_session)) as box:
        calls = [GivenUpCall(box, "t") for _ in range(5)]
        await site.until(lambda: methods().count("tools/call") == 5)
        await asyncio.gather(*(call.give_up() for call in calls))
        await site.until(lambda: methods().count("notifications/cancelled") == 5)
    assert site.requests[-1].method == "DELETE"
    assert site.requests[-1].headers["mcp-session-id"] == "s-1"
    await closed(site)


async def test_an_answer_that_broke_off_is_asked_for_again_where_the_server_can_go_on(site: FakeSite) -> None:
    async def play(exchange: Exchange) -> None:
        if exchange.received.method == "GET":
            key = next(
                seen.body["id"] for seen in site.requests if seen.body and seen.body["method"] == "tools/call"
            )
            answer = {"jsonrpc": "2.0", "id": key, "result": {"content": [{"type": "text", "text": "ok"}]}}
            await events(f"id: 2\ndata: {orjson.dumps(answer).decode()}")(exchange)
        else:
            await talker(tools_call=events("id: 1\nretry: 1\ndata: ", then_abort=True))(exchange)

    async with SERVERS.connect(site.page("/mcp", play)) as box:
        assert await box.call("t", {}) == "ok"
    assert [seen.headers["last-event-id"] for seen in site.requests if seen.method == "GET"] == ["1"]
    await closed(site)


async def test_a_server_that_always_breaks_off_is_given_up(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_transport, "MAX_RESUMPTIONS", 3)
    broken = events("id: 1\nretry: 1\ndata: ")

    async def play(exchange: Exchange) -> None:
        await (broken if exchange.received.method == "GET" else talker(tools_call=broken))(exchange)

    async with SERVERS.connect(site.page("/mcp", play)) as box:
        with pytest.raises(ToolServerError, match="before it was whole"):
            await box.call("t", {})
    assert sum(seen.method == "GET" for seen in site.requests) == 3
    await closed(site)


async def test_what_the_server_asks_of_us_is_refused(site: FakeSite) -> None:
    asks = (
        '{"jsonrpc":"2.0","id":77,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}'
    )
    done = '{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"ok"}]}}'
    replies: list[Any] = []

    async def play(exchange: Exchange) -> None:
        body = exchange.received.body
        if body and body.get("id") == 77:
            replies.append(body)
            await reply(status=202)(exchange)
        elif body and body.get("method") == "tools/call":
            await events(f"data: {asks}", f"data: {done % body['id']}")(exchange)
        else:
            await talker()(exchange)

    async with SERVERS.connect(site.page("/mcp", play)) as box:
        assert await box.call("t", {}) == "ok"
        await site.until(lambda: bool(replies))
    assert "not supported" in replies[0]["error"]["message"].lower()
