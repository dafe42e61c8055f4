"""App definitions as their authors write them, and what can be said of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from llmstack_api.engine.filetypes import read_kinds
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.strict import StrictModel
from llmstack_api.errors import Fault

MAX_STEPS = 100
MAX_OUTPUT_KEYS = 100
MAX_INPUT_FIELDS = 100
MAX_OPTIONS = 1000
MAX_KINDS = 50
MAX_KIND = 200
NAME_LENGTH = 200
NAME = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]

MAX_FINDINGS = 100
"""Faults, and warnings, that are told of one definition."""
_LOC_LENGTH = 200
_MSG_LENGTH = 500
_LISTED = 20

AGENT = "agent"
"""The one step of an agent app, which calls its processors."""

AGENT_OUTPUT = "{{agent.content}}"
"""The output of an agent that declares none."""

InputType = Literal["string", "text", "number", "boolean", "file", "select", "multi", "voice"]
FILE_TYPES = frozenset({"file", "voice", "multi"})
"""Types of fields that hold files."""

Kinds = Annotated[
    tuple[Annotated[str, Field(max_length=MAX_KIND)], ...], Field(min_length=1, max_length=MAX_KINDS)
]


class _Part(StrictModel):
    model_config = ConfigDict(frozen=True)


def _scalar(value: Json) -> Json:
    if isinstance(value, str | int | float):
        return value
    raise ValueError("must be a string, a number, true or false")


class Option(_Part):
    """One choice of a `select` field."""

    label: str = ""
    """What a person sees."""
    value: Annotated[
        Json,
        AfterValidator(_scalar),
        WithJsonSchema({"type": ["string", "number", "boolean"], "title": "Value"}),
    ]
    """What the app gets."""


class InputField(_Part):
    """One input of the app, available to templates as `{{_inputs0.<name>}}`."""

    name: NAME
    title: str = ""
    """What a person sees; the name by default."""
    description: str | None = None
    type: InputType = "string"
    required: Annotated[bool, Field(strict=True)] = False
    default: Json = None
    """Taken where a run leaves the field out."""
    options: Annotated[list[Option], Field(max_length=MAX_OPTIONS)] | None = None
    """Choices of a `select` field."""
    accept: Annotated[Kinds | None, BeforeValidator(read_kinds)] = Field(
        default=None, validation_alias=AliasChoices("accept", "filesAccept")
    )
    """Files that a `file`, `voice` or `multi` field takes: media types, wildcards, endings of names
    (`["application/pdf", "image/*", ".csv"]`); by default any, for `voice` audio."""
    max_bytes: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None, validation_alias=AliasChoices("max_bytes", "maxSize", "filesMaxSize")
    )
    """Largest file that the field takes; by default and at most what fits into a request."""


class OutputTemplate(_Part):
    """Upstream's single output."""

    markdown: str = ""
    """Liquid template; the app's one output key is `output`."""


class StepDefinition(_Part):
    """One processor of the chain."""

    id: str = ""
    """Name that templates use; `_inputs<position>` by default."""
    provider_slug: NAME
    processor_slug: NAME
    name: str | None = None
    description: str | None = None
    input: JsonObject = Field(default_factory=dict[str, Any])
    """Input fields of the processor; strings in it are Liquid templates."""
    config: JsonObject = Field(default_factory=dict[str, Any])
    """Settings of the processor; strings in it are Liquid templates too."""
    output_template: JsonObject = Field(default_factory=dict[str, Any])
    """What an agent gets back from this tool."""
    timeout: Annotated[float, Field(gt=0, le=3600, strict=True)] | None = None
    """Seconds the step may take."""
    on_error: Literal["fail", "continue"] = "fail"
    """`continue`: a failed step's fields are null and the run goes on."""


def _identified(step: Json, position: int) -> Json:
    if not isinstance(step, dict):
        return step
    given = cast("JsonObject", step)
    return {**given, "id": given.get("id") or f"_inputs{position}"}


class AppDefinition(_Part):
    """An app: inputs, a chain of processors, and templates that make the output."""

    name: NAME
    """What people call it; need not be unique."""
    type_slug: Literal["web", "text-chat", "agent"] = "web"
    """In an `agent` a model decides which processors are called, as its tools; in the others they are a chain."""
    description: str | None = None
    config: JsonObject = Field(default_factory=dict[str, Any])
    """Settings of the app type; an agent's are those of the processor `builtin/agent`."""
    input_fields: Annotated[list[InputField], Field(max_length=MAX_INPUT_FIELDS)] = Field(
        default_factory=list[InputField]
    )
    output_template: OutputTemplate | None = None
    """Upstream's form of one output key, `output`."""
    output: Annotated[dict[str, Any], Field(min_length=1, max_length=MAX_OUTPUT_KEYS)] | None = None
    """Output keys and their templates; in place of `output_template`."""
    processors: Annotated[list[StepDefinition], Field(max_length=MAX_STEPS)] = Field(
        default_factory=list[StepDefinition]
    )

    @model_validator(mode="before")
    @classmethod
    def _number_steps(cls, data: Json) -> Json:
        """Give every step without an id its positional one."""
        if not isinstance(data, dict):
            return data
        definition = cast("JsonObject", data)
        steps = definition.get("processors")
        if not isinstance(steps, list):
            return definition
        return {
            **definition,
            "processors": [
                _identified(step, position)
                for position, step in enumerate(cast("list[Json]", steps), start=1)
            ],
        }

    def output_keys(self) -> Mapping[str, Json]:
        """Return the output keys and their templates, whichever way they were written."""
        if self.output is not None:
            return self.output
        if self.output_template is None and self.is_agent:
            return {"output": AGENT_OUTPUT}
        return {"output": self.output_template.markdown if self.output_template else ""}

    @property
    def is_agent(self) -> bool:
        """Whether a model decides which processors are called."""
        return self.type_slug == "agent"


# --- findings --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """Something of the account that a definition names by its id."""

    loc: str
    kind: Literal["datasource", "app"]
    id: str


@dataclass(slots=True)
class Findings:
    """Faults that refuse a definition, and warnings that do not."""

    faults: list[Fault] = field(default_factory=list[Fault])
    warnings: list[Fault] = field(default_factory=list[Fault])
    addresses: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Constant addresses and their places, for the outbound guard to judge."""
    references: list["Reference"] = field(default_factory=list["Reference"])
    """Things of the account that are named by their ids."""

    @property
    def full(self) -> bool:
        """Whether further faults are no longer told."""
        return len(self.faults) > MAX_FINDINGS

    def fault(self, loc: str, msg: str) -> None:
        """Add what is wrong at a place."""
        _add(self.faults, loc, msg)

    def warn(self, loc: str, msg: str) -> None:
        """Add what has no effect at a place."""
        _add(self.warnings, loc, msg)


def _add(findings: list[Fault], loc: str, msg: str) -> None:
    if len(findings) < MAX_FINDINGS:
        findings.append(Fault(_cut(loc, _LOC_LENGTH), _cut(msg, _MSG_LENGTH)))
    elif len(findings) == MAX_FINDINGS:
        findings.append(Fault("", f"there is more; these are the first {MAX_FINDINGS}"))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def listed(names: Sequence[str]) -> str:
    """Name what is known, but not without end."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "") or "none"


def place(loc: tuple[str | int, ...]) -> str:
    """Write a place as a user reads it: `processors[1].input.question`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def message(error: Mapping[str, Any], known: Sequence[str] | None = None) -> str:
    """Say one Pydantic error as a user reads it."""
    match error["type"]:
        case "extra_forbidden" if known:
            return f"unknown key; known are {listed(known)}"
        case "missing":
            return "required"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Return the keys that a model, or the one inside it where a place lies, takes."""
    holders = [model]
    for part in loc[:-1]:
        fields = [holder.model_fields[part] for holder in holders if part in holder.model_fields]
        inner = [found for item in fields for found in _models_in(item.annotation)]
        holders = inner or holders
    return list(dict.fromkeys(name for holder in holders for name in holder.model_fields))


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    arguments = get_args(annotation)
    if not arguments and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in arguments:
        yield from _models_in(argument)
