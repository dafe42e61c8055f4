"""The port `ToolServers`, against a server made with the SDK."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator

import pytest

from llmstack_api.errors import ProviderNotConfiguredError, ToolServerError
from llmstack_api.tools import mcp, mcp_transport
from tests.fake_mcp import RealServer, mcp_server
from tests.tools.connecting import SERVERS, GivenUpCall, failure, leaving_no_task


@pytest.fixture(autouse=True)
async def _nothing_left() -> AsyncGenerator[None]:
    async with leaving_no_task():
        yield


@pytest.fixture(params=["new", "old"])
async def real(request: pytest.FixtureRequest) -> AsyncGenerator[RealServer]:
    async with mcp_server(old=request.param == "old") as server:
        yield server


async def test_tools_of_a_server_are_listed_and_called_over_few_connections(real: RealServer) -> None:
    async with SERVERS.connect(real.url) as box:
        names = [spec.name for spec in box.specs]
        assert names == ["add", "fail", "wait", "mixed_parts_", "long"]
        add, _, _, mixed, _ = box.specs
        assert add.description == "Add two numbers."
        assert add.parameters["properties"]["a"]["type"] == "integer"
        assert mixed.description == "d" * 1024
        answers = [await box.call("add", {"a": number, "b": 1}) for number in range(5)]
        assert real.connections <= 2
    assert answers == ["1", "2", "3", "4", "5"]
    await real.until(lambda: real.connections == 0)


async def test_texts_are_joined_and_files_are_named(real: RealServer) -> None:
    async with SERVERS.connect(real.url) as box:
        told = await box.call("mixed_parts_", {})
    assert told.splitlines() == [
        "one",
        "[image: image/png]",
        "[resource: report, https://example.com/r]",
        "[resource: file:///a.txt, text/plain]",
        "what it holds",
        "two",
    ]


async def test_a_tool_that_fails_says_why(real: RealServer) -> None:
    async with SERVERS.connect(real.url) as box:
        with pytest.raises(ToolServerError, match="the moon is down"):
            await box.call("fail", {})
        with pytest.raises(ToolServerError, match="no tool 'nothing'"):
            await box.call("nothing", {})
        assert await box.call("add", {"a": 1, "b": 2}) == "3"


async def test_a_long_result_is_cut(real: RealServer) -> None:
    async with SERVERS.connect(real.url) as box:
        assert await box.call("long", {"size": 65_536}) == "x" * 65_536
        told = await box.call("long", {"size": 65_537})
    assert told.startswith("x" * 65_536 + "\n[... cut")


async def test_calls_go_side_by_side_and_the_callers_timeout_ends_one_at_the_server(real: RealServer) -> None:
    async with SERVERS.connect(real.url) as box:
        waits = [GivenUpCall(box, "wait") for _ in range(3)]
        await real.until(lambda: real.waiting == 3)
        sums = await asyncio.gather(*(box.call("add", {"a": n, "b": n}) for n in range(4)))
        assert sums == ["0", "2", "4", "6"]
        await waits[0].give_up()
        await real.until(lambda: real.waiting == 2)
        await asyncio.gather(*(wait.give_up() for wait in waits[1:]))
        await real.until(lambda: real.waiting == 0)
        assert await box.call("add", {"a": 1, "b": 2}) == "3"
    await real.until(lambda: real.connections == 0)


async def test_a_server_hears_that_we_leave_although_a_call_was_just_given_up(
    real: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_transport, "PARTING_TIMEOUT", 5.0)
    monkeypatch.setattr(mcp, "CLOSE_TIMEOUT", 10.0)
    for _ in range(5):
        async with SERVERS.connect(real.url) as box:
            call = GivenUpCall(box, "wait")
            await real.until(lambda: real.waiting == 1)
            await call.give_up()
        await real.until(lambda: real.waiting == 0)
    assert sum(method == "DELETE" for method, _ in real.requests) == (5 if real.old else 0)
    await real.until(lambda: real.connections == 0)


async def test_a_cancelled_caller_leaves_nothing_behind(real: RealServer) -> None:
    async def use() -> None:
        async with SERVERS.connect(real.url) as box:
            await box.call("wait", {})

    using = asyncio.create_task(use())
    await real.until(lambda: real.waiting == 1)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    await real.until(lambda: real.connections == 0)
    await real.until(lambda: real.waiting == 0)


async def test_an_error_of_the_caller_comes_out_as_it_is(real: RealServer) -> None:
    with pytest.raises(ZeroDivisionError):
        async with SERVERS.connect(real.url):
            raise ZeroDivisionError
    await real.until(lambda: real.connections == 0)


async def test_several_servers_are_connected_to_at_once(real: RealServer) -> None:
    async with mcp_server() as other, SERVERS.connect(real.url) as one, SERVERS.connect(other.url) as two:
        assert await one.call("add", {"a": 1, "b": 2}) == await two.call("add", {"a": 2, "b": 1}) == "3"


async def test_a_toolbox_that_is_left_calls_nothing_more(real: RealServer) -> None:
    async with SERVERS.connect(real.url) as box:
        pass
    with pytest.raises(ToolServerError):
        await box.call("add", {"a": 1, "b": 2})


async def test_without_the_sdk_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.delitem(sys.modules, "llmstack_api.tools.mcp_session", raising=False)
    told = await failure("http://127.0.0.1:9/mcp")
    assert isinstance(told, ProviderNotConfiguredError)
    assert "pip install 'llmstack-api[mcp]'" in str(told)


def test_the_sdk_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, llmstack_api.tools.mcp; sys.exit(sum(name in sys.modules for name in ('mcp', 'httpx2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0  # noqa: S603 # ours
