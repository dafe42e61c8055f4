"""Engine options that both databases share."""

from typing import Any

import orjson


def dumps(value: object) -> str:
    """Write JSON."""
    return orjson.dumps(value).decode()


ENGINE_OPTIONS: dict[str, Any] = {
    "json_serializer": dumps,
    "json_deserializer": orjson.loads,
    "hide_parameters": True,  # or an error's text, which is logged, holds users' content
}
