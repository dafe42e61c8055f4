"""The command `llmstack-api apps` as tests call it, and what they write for it."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmstack_api.apps.yaml import dump_yaml

TWO_KEYS: dict[str, Any] = {
    "name": "Two",
    "input_fields": [{"name": "who", "type": "text"}, {"name": "times", "type": "number", "default": 1}],
    "processors": [
        {
            "id": "echo",
            "provider_slug": "promptly",
            "processor_slug": "echo",
            "input": {"input_str": "Hi {{_inputs0.who}}"},
        }
    ],
    "output": {"text": "{{echo.output_str}}", "times": "{{_inputs0.times}}"},
}


@dataclass(frozen=True)
class Shown:
    code: int
    out: str
    err: str


Command = Callable[..., Awaitable[Shown]]


def write(definition: Any, name: str = "app.yaml") -> Path:
    path = Path(name)
    text = json.dumps(definition) if name.endswith(".json") else dump_yaml(definition)
    path.write_text(text, encoding="utf-8")
    return path
