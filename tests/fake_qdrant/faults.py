"""What a server can do instead of answering."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

Kind = Literal["status", "hang", "truncate", "garbage", "empty", "reset", "reset-after", "unfinished"]
ABRUPT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """`reset-after` does what was asked before the connection breaks; `hang` never answers."""

    kind: Kind = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Service internal error: scripted"


async def play(
    fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, abort: Callable[[], None]
) -> None:
    """Do that instead of answering; `abort` resets the connection."""
    match fault.kind:
        case "status":
            body = orjson.dumps({"status": {"error": fault.message}, "time": 0.0})
            await _answer(send, fault.status, body, headers=fault.headers)
        case "garbage":
            await _answer(send, 200, b"<html>It works!</html>")
        case "empty":
            await _answer(send, 200, b'{"status":"ok"}')
        case "unfinished":
            result = {"operation_id": 1, "status": "wait_timeout"}
            await _answer(send, 200, orjson.dumps({"status": "ok", "time": 0.0, "result": result}))
        case "truncate":
            await _answer(send, 200, b'{"status":"ok","result":{', length=1000)
            abort()
        case "hang":
            while (await receive())["type"] != "http.disconnect":
                continue
        case "reset":
            abort()
        case "reset-after":
            await app(scope, receive, _drop)
            abort()


async def _answer(
    send: Send, status: int, body: bytes, *, headers: dict[str, str] | None = None, length: int | None = None
) -> None:
    given = {"content-type": "application/json", "content-length": str(length or len(body))} | (headers or {})
    pairs = [(name.encode(), value.encode()) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body, "more_body": length is not None})


async def _drop(message: object) -> None:
    del message


def reset(transport: asyncio.Transport) -> None:
    """Break a connection as a dying host does."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPT)
    transport.abort()
