"""Writes docs/processor-reference.md: `python -m tests.processor_table > docs/processor-reference.md`."""

import sys
from collections.abc import Iterator
from typing import Any

from llmstack_api.engine.schemas import describe_processor
from llmstack_api.processors import REGISTRY

HEAD = """\
# Processors

What apps are made of. A step names one by `provider_slug` and `processor_slug`. `GET /api/processors` has the
same with full JSON Schemas. Fields in bold are required. Every text that a model or a file gives streams.
This page is made from the code.
"""


def table() -> Iterator[str]:
    """Give the page, line by line."""
    yield HEAD
    for name in sorted(REGISTRY):
        described = describe_processor(REGISTRY[name])
        yield f"## `{name}`\n"
        yield f"{described['description']}\n"
        for part in ("input", "config", "output"):
            fields = described[part].get("properties", {})
            required: list[str] = described[part].get("required", []) if part != "output" else []
            if fields:
                yield f"| {part} | |\n|---|---|"
                yield from (_row(field, fields[field], required=field in required) for field in fields)
                yield ""


def _row(field: str, schema: dict[str, Any], *, required: bool) -> str:
    text = " ".join(str(schema.get("description", "")).split()).replace("|", "\\|")
    default = schema.get("default")
    if default not in (None, "", [], {}) and len(str(default)) <= 40:
        shown = str(default).lower() if isinstance(default, bool) else default
        text += f" Default: `{shown}`."
    return f"| {f'**`{field}`**' if required else f'`{field}`'} | {text} |"


def render() -> str:
    """Return the page."""
    return "\n".join(table()).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
