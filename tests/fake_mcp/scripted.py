"""A server of tools that does by script what a real one would not."""

import json
from typing import Any

import orjson

from tests.fake_model.wire import Exchange
from tests.fake_site.answers import Play, reply

JSON = {"content-type": "application/json"}
HELLO: dict[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "scripted", "version": "1"},
}


def by_method(**plays: Play) -> Play:
    """Do what stands for the MCP method of a request (`tools/call` is `tools_call`), else refuse it."""

    async def play(exchange: Exchange) -> None:
        body: dict[str, Any] = exchange.received.body or {}
        method = str(body.get("method")).replace("/", "_")
        if method in plays:
            await plays[method](exchange)
        elif "id" in body:
            await error(-32601, "Method not found")(exchange)
        else:
            await reply(status=202)(exchange)

    return play


def talker(**plays: Play) -> Play:
    """Shake hands as a server of 2025 with the tool `t`, and do what stands for other methods."""
    tools = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
    return by_method(**({"initialize": result(HELLO), "tools_list": result(tools)} | plays))


def result(value: Any, *, session: str | None = None) -> Play:
    """Answer a request with a result, and perhaps begin a session."""

    async def play(exchange: Exchange) -> None:
        # The standard library's, which writes integers of any size.
        answer = json.dumps({"jsonrpc": "2.0", "id": exchange.received.body["id"], "result": value})
        await reply(answer, headers=JSON | ({"mcp-session-id": session} if session else {}))(exchange)

    return play


def error(code: int, message: str, *, status: int = 200) -> Play:
    """Answer a request with an error."""

    async def play(exchange: Exchange) -> None:
        told = {"code": code, "message": message}
        answer = {"jsonrpc": "2.0", "id": exchange.received.body["id"], "error": told}
        await reply(orjson.dumps(answer), status=status, headers=JSON)(exchange)

    return play


def events(*lines: str, then_abort: bool = False) -> Play:
    """Answer with events, and break off or end."""

    async def play(exchange: Exchange) -> None:
        exchange.start(headers={"content-type": "text/event-stream"})
        for line in lines:
            exchange.send(f"{line}\n\n".encode())
            await exchange.drain()
        if then_abort:
            exchange.abort()
        else:
            exchange.end()

    return play
