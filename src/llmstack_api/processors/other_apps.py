"""What the processors that run other apps share: which app it is, and what its answer comes to."""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, cast

import orjson
from pydantic import Field

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import ProcessorModel
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import Text

APP: Final = "promptly_app"
"""The config field that names the app."""

REFERENCES: Final[Mapping[str, Literal["datasource", "app"]]] = {APP: "app"}

_IN_UPSTREAMS_FORM: Final = frozenset(
    {
        "promptly_app_published_uuid",
        "promptly_app_version",
        "promptly_app_input_fields",
        "promptly_output_template",
    }
)


class OtherAppConfig(ProcessorModel):
    """Which app is run."""

    without_effect: ClassVar[frozenset[str]] = _IN_UPSTREAMS_FORM | {"objref"}

    promptly_app: Text = ""
    """Id of an app of the account; its current version is run."""
    input: JsonObject = Field(default_factory=dict[str, Json])
    """Input fields of the app that are the same for each of its runs."""

    def app(self) -> str:
        """Give the app's id."""
        app = self.promptly_app.strip()
        if not app:
            raise ProcessorInputError(f"config.{APP}: there is no app to run.")
        return app


def adapt(config: JsonObject) -> JsonObject:
    """Take a config apart that has all about the app in one object, or in its JSON, as upstream writes it."""
    given = config.get(APP)
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError:
            return config
    if not isinstance(given, dict):
        return config
    named = dict(cast("JsonObject", given))
    app = named.pop("promptly_app_uuid", "")
    inputs: Json = named.pop("input", None) or {}
    own: Json = config.get("input") or {}
    if isinstance(inputs, dict) and isinstance(own, dict):
        inputs = {**cast("JsonObject", inputs), **cast("JsonObject", own)}
    rest = {key: value for key, value in named.items() if key in _IN_UPSTREAMS_FORM}
    return {**config, **rest, APP: app, "input": inputs}


def result_of(output: JsonObject) -> Json:
    """Give what an app answered: the value of its one output key, or all of them."""
    return next(iter(output.values())) if len(output) == 1 else output
