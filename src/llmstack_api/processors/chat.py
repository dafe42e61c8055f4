"""What chat processors take and give: messages, functions and choices as apps write and read them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from llmstack_api.engine.jsontext import read_json
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import ProcessorModel
from llmstack_api.processors.values import as_text


def _as_object(value: Json) -> Json:
    """Take an object that is written as JSON text; blank is none."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return read_json(value)
    except ValueError as error:
        raise ValueError(f"must be an object or its JSON: {error}") from None


Text = Annotated[str, BeforeValidator(as_text)]
Object = Annotated[JsonObject | None, BeforeValidator(_as_object)]


class FunctionCall(ProcessorModel):
    """A call that the model asked for."""

    name: Text = ""
    """Of the function."""
    arguments: Text = ""
    """JSON, as text."""


class Message(ProcessorModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "function"] = "user"
    """Who says it."""
    content: Text = ""
    """The text."""
    name: Text = ""
    """Of the function, in a message of the role `function`; else of the author."""
    function_call: FunctionCall | None = None
    """In a message of the assistant that asked for a call; an empty object is none."""

    @property
    def says_something(self) -> bool:
        """It has a text, or a call, or is a function's result, which may be empty."""
        called = self.function_call is not None and bool(self.function_call.name)
        return bool(self.content.strip()) or called or self.role == "function"

    def wire(self) -> JsonObject:
        """Give it in the provider's form."""
        wire: JsonObject = {"role": self.role, "content": self.content}
        if self.name:
            wire["name"] = self.name
        if self.function_call and self.function_call.name:
            wire["function_call"] = self.function_call.model_dump()
        return wire


class Function(ProcessorModel):
    """A function that the model may ask to have called."""

    name: Text = ""
    """1-64 letters, digits, `_` and `-`; a function without one is left out."""
    description: Text = ""
    """What it does, for the model."""
    parameters: Object = None
    """JSON Schema of its arguments."""

    def wire(self) -> JsonObject:
        """Give it in the provider's form."""
        wire: JsonObject = {
            "name": self.name,
            "parameters": self.parameters or {"type": "object", "properties": {}},
        }
        return wire | {"description": self.description} if self.description else wire


class Choice(ProcessorModel):
    """One answer."""

    role: str = "assistant"
    """Who says it."""
    content: str = ""
    """The text; streams."""
    function_call: FunctionCall | None = None
    """The call that the model asks for."""


class AnswerOutput(ProcessorModel):
    """What the model answered."""

    reasoning: str = ""
    """What a reasoning model lets be seen of its thoughts; streams."""
    parsed: Any = None
    """The answer as JSON, where `response_schema` is set; streams member by member."""
    finish_reason: str | None = None
    """Why the answer ended: `stop`, `length`, ..."""
