"""What MCP servers say, brought into our shapes and bounds: their tools and what these answer."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog
from mcp import types

from llmstack_api.engine.ports import JsonObject, ToolSpec
from llmstack_api.engine.toolbox import cut

MAX_TOOLS: Final = 128
"""Tools of one server; further ones are left out."""

MAX_DESCRIPTION: Final = 1024
"""Characters of a tool's description."""

MAX_SCHEMA: Final = 65_536
"""Bytes of the schema of a tool's arguments; a tool with a larger one is left out."""

MAX_NOTE: Final = 300
"""Characters of the note that stands for a file."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_NAME_LENGTH: Final = 64

_log = structlog.get_logger()


def shape_tools(tools: Sequence[types.Tool]) -> dict[str, tuple[str, ToolSpec]]:
    """Give the tools by a name that models take, each with the name that its server knows it by."""
    shaped: dict[str, tuple[str, ToolSpec]] = {}
    for tool in tools:
        if len(shaped) == MAX_TOOLS:
            _log.warning("tools_left_out", most=MAX_TOOLS)
            break
        name = _free_name(tool.name, shaped)
        parameters = _parameters(tool.input_schema)
        if parameters is None:
            _log.warning("tool_left_out", tool=name, reason="schema")
            continue
        description = (tool.description or tool.title or "").replace("\0", "").strip()[:MAX_DESCRIPTION]
        shaped[name] = (tool.name, ToolSpec(name=name, description=description, parameters=parameters))
    return shaped


def _free_name(wanted: str, taken: dict[str, tuple[str, ToolSpec]]) -> str:
    """Give a name of the allowed characters that no other tool has."""
    plain = _NOT_IN_NAMES.sub("_", wanted[: 4 * _NAME_LENGTH])[:_NAME_LENGTH] or "tool"
    name, number = plain, 1
    while name in taken:
        number += 1
        end = f"_{number}"
        name = plain[: _NAME_LENGTH - len(end)] + end
    return name


def _parameters(schema: dict[str, Any]) -> JsonObject | None:
    """Give the schema of an object; None for one that no model could be told."""
    try:
        size = len(orjson.dumps(schema))
    except orjson.JSONEncodeError:
        return None
    if size > MAX_SCHEMA:
        return None
    given: JsonObject = {
        "properties": {}
    }  # the protocol makes sure of the type, and some models ask for both
    return given | schema


def shape_result(result: types.CallToolResult) -> str:
    """Give what a tool answered as the text that the model is told."""
    said = [told for part in result.content if (told := _told(part))]
    if result.structured_content is not None and not any(
        isinstance(part, types.TextContent) for part in result.content
    ):
        # The standard library's: orjson refuses integers of more than 64 bits.
        said.append(json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":")))
    return cut("\n".join(said).replace("\0", ""))


def _told(part: types.ContentBlock) -> str:
    match part:
        case types.TextContent():
            return part.text
        case types.ImageContent():
            return _note("image", part.mime_type)
        case types.AudioContent():
            return _note("audio", part.mime_type)
        case types.ResourceLink():
            return _note("resource", part.name, part.uri, part.mime_type)
        case types.EmbeddedResource():
            held = part.resource
            note = _note("resource", held.uri, held.mime_type)
            return f"{note}\n{held.text}" if isinstance(held, types.TextResourceContents) else note


def _note(kind: str, *about: str | None) -> str:
    """Name what is no text."""
    return f"[{kind}: {', '.join(filter(None, about))}"[: MAX_NOTE - 1] + "]"
