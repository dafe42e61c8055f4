"""Definitions that tests of apps save."""

from typing import Any

ECHO: dict[str, Any] = {
    "name": "Echo",
    "input_fields": [{"name": "question"}],
    "processors": [
        {
            "provider_slug": "promptly",
            "processor_slug": "echo",
            "input": {"input_str": "{{_inputs0.question}}"},
        }
    ],
    "output": {"answer": "{{_inputs1.output_str}}"},
}


def fixed(name: str = "Fixed", **more: Any) -> dict[str, Any]:
    """A definition without processors."""
    return {"name": name, "output": {"answer": "yes"}, **more}
