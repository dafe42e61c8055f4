"""A session with an MCP server: connected, its tools listed, kept until it is left. Imports the SDK."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, cast

from mcp import types
from mcp.client import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter, ValidationError

from llmstack_api import __version__
from llmstack_api.egress import parse_url
from llmstack_api.engine.ports import JsonObject, Toolbox, ToolSpec
from llmstack_api.errors import AddressRefusedError, RunError, ToolServerError
from llmstack_api.outbound import Egress, guarded_client
from llmstack_api.tools.mcp_shapes import MAX_TOOLS, shape_result, shape_tools
from llmstack_api.tools.mcp_transport import FAILED, MAX_ANSWER, REFUSED, open_client

MAX_ERROR: Final = 4096
"""Characters of what a tool says of its failure."""

NO_SENSE: Final = "answered what makes no sense"

_ABOUT_US: Final = types.Implementation(name="llmstack-api", version=__version__)
_RESULT: Final = TypeAdapter[types.CallToolResult | types.InputRequiredResult](
    types.CallToolResult | types.InputRequiredResult
)

for _name in ("mcp", "client", "httpx2"):
    # They log whole answers, addresses and session ids; what failed is told by our errors.
    logging.getLogger(_name).setLevel(logging.CRITICAL)


async def serve(url: str, *, egress: Egress, ready: asyncio.Future[Toolbox], leave: asyncio.Event) -> None:
    """Connect, hand over the tools by `ready`, and keep the connection until `leave` is set.

    Raises what the SDK's task groups raise; `explain` tells it.
    """
    async with (
        guarded_client(egress) as ours,
        open_client(ours) as http,
        Client(
            streamable_http_client(url, http_client=http, max_sse_event_size=MAX_ANSWER),
            client_info=_ABOUT_US,
            cache=None,
        ) as client,
    ):
        ready.set_result(McpToolbox(client.session, url=url, tools=await _list_tools(client)))
        await leave.wait()


async def _list_tools(client: Client) -> list[types.Tool]:
    """Ask for the pages of the list, as far as there may be tools."""
    tools: list[types.Tool] = []
    cursor: str | None = None
    for _ in range(MAX_TOOLS):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor or len(tools) > MAX_TOOLS:
            break
    return tools


class McpToolbox:
    """The tools of a server, while the session with it is kept."""

    def __init__(self, session: ClientSession, *, url: str, tools: Sequence[types.Tool]) -> None:
        self._session = session
        self._url = url
        self._tools = shape_tools(tools)

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """The tools."""
        return [spec for _, spec in self._tools.values()]

    async def call(self, name: str, arguments: JsonObject) -> str:
        """Call a tool and return what the model is told.

        Raises:
            ToolServerError: the tool failed, or the server did.
            AddressRefusedError: the server's name now leads to an address that may not be reached.
        """
        if name not in self._tools:
            raise ToolServerError(f"The tool server has no tool {name!r}.")
        params = types.CallToolRequestParams(name=self._tools[name][0], arguments=arguments)
        try:
            # Not by the SDK's `call_tool`: it checks results by the server's own schema, in this loop, and patterns
            # in it can take for ever.
            result = await self._session.send_request(types.CallToolRequest(params=params), _RESULT)
        except (MCPError, ValidationError) as error:
            raise explain(error, self._url) from None
        if isinstance(result, types.InputRequiredResult):
            raise ToolServerError("The tool asks for further input, which nobody can give here.")
        told = shape_result(result)
        if result.is_error:
            raise ToolServerError(told[:MAX_ERROR] or "The tool failed and does not say why.")
        return told


def explain(error: BaseException, url: str) -> RunError:
    """Say what ended a call, or a connection."""
    cause = _cause(error)
    said = NO_SENSE
    if isinstance(cause, MCPError):
        if cause.code == REFUSED:
            return AddressRefusedError(cause.message)
        said = _said(cause)
    address = parse_url(url)
    return ToolServerError(f"The tool server {address.scheme}://{address.netloc.decode()} {said}.")


def _cause(error: BaseException) -> BaseException:
    """Take the first error out of the groups that the SDK's task groups put it into."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error


def _said(error: MCPError) -> str:
    """Tell an error in the words of whoever raised it, but for the SDK's, which quote answers."""
    match error.code:
        case _ if error.code == FAILED:
            return error.message
        case types.CONNECTION_CLOSED:
            return "ended the answer before it was whole"
        case types.PARSE_ERROR:
            return NO_SENSE
        case _:
            return f"refused: {error.message[:MAX_ERROR].rstrip('.')}"
