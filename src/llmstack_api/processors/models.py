"""What is known of models by their names: names that age, so all in one place."""

from typing import Final

DEFAULT_MODELS: Final = {"openai": "gpt-4o-mini"}
"""The model of each provider where an app names none."""

_REASONING: Final = ("o1", "o3", "o4", "gpt-5")


def is_reasoning(model: str) -> bool:
    """Tell whether a model takes `max_completion_tokens`, not `max_tokens`, and only its own temperature."""
    name = model.rpartition("/")[2]
    return any(name == known or name.startswith((f"{known}-", f"{known}.")) for known in _REASONING)
