"""The processor: typed input and config in, chunks of named output fields out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal, Protocol, TypeVar, get_args

from llmstack_api.engine.ports import Json, JsonObject, Ports, Toolbox, Usage
from llmstack_api.engine.strict import StrictModel

FieldPath = tuple[str | int, ...]
"""Place inside a step's output: `("choices", 0, "content")`."""


class ProcessorModel(StrictModel):
    """Base of input, config and output models: unknown fields are refused, some are kept without effect."""

    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Upstream's fields that have no meaning here: accepted, with a warning at save."""


InputT = TypeVar("InputT", bound=ProcessorModel)
ConfigT = TypeVar("ConfigT", bound=ProcessorModel)


class Emit(Protocol):
    """Where a processor puts its output. Waits only while a slow reader holds the run back."""

    async def chunk(self, path: str | FieldPath, text: str) -> None:
        """Append text to the string at `path`."""
        ...

    async def item(self, path: str | FieldPath, element: Json) -> None:
        """Append one element to the array at `path`."""
        ...

    async def value(self, path: str | FieldPath, value: Json) -> None:
        """Set the value at `path`, whole and once."""
        ...

    def usage(self, usage: Usage) -> None:
        """Add to the tokens this step used."""
        ...


@dataclass(slots=True)
class StepMemory:
    """What one step remembers within a session."""

    history: tuple[JsonObject, ...] = ()
    """Messages of earlier turns, oldest first."""
    learned: list[JsonObject] = field(default_factory=list[JsonObject])
    """Messages of this turn; stored only when the processor completed."""

    def remember(self, *messages: JsonObject) -> None:
        """Add messages to be kept for the next turn."""
        self.learned.extend(messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What surrounds one execution of a step."""

    step_id: str
    ports: Ports
    memory: StepMemory
    tools: Toolbox | None = None
    """The other processors of the app; an agent alone has them."""


class Processor(ABC, Generic[InputT, ConfigT]):
    """One kind of step. Subclasses are `class Echo(Processor[EchoInput, EchoConfig])`."""

    provider_slug: ClassVar[str]
    slug: ClassVar[str]
    Input: ClassVar[type[ProcessorModel]]
    Config: ClassVar[type[ProcessorModel]]
    Output: ClassVar[type[ProcessorModel]]
    """Describes the fields of the output; a template that names another field is refused at save."""
    aliases: ClassVar[Mapping[FieldPath, FieldPath]] = {}
    """Second name of an output field -> the path that it repeats; emit only the latter."""
    addresses: ClassVar[frozenset[str]] = frozenset({"base_url"})
    """Config fields that hold an address to be called: a literal one is judged at save."""
    references: ClassVar[Mapping[str, Literal["datasource", "app"]]] = {}
    """Config fields that name something of the account by its id, or a list of ids: checked at save."""
    recorded: ClassVar[frozenset[str]] = frozenset()
    """Output fields that are kept in the run's record."""
    own_names: ClassVar[frozenset[str]] = frozenset()
    """Names in templates of the config that it fills itself: it gets each of these as an `OwnTemplate`."""

    def __init__(self, input_: InputT, config: ConfigT, context: StepContext) -> None:
        self.input = input_
        self.config = config
        self.context = context

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Take Input and Config from the type arguments."""
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            arguments = get_args(base)
            if len(arguments) == 2 and isinstance(arguments[0], type):  # noqa: PLR2004 # input and config
                cls.Input, cls.Config = arguments

    @classmethod
    def adapt(cls, config: JsonObject) -> JsonObject:
        """Rewrite a config that is written in another form, before its templates are compiled; never fails."""
        return config

    @classmethod
    def shapes(cls, config: JsonObject) -> Mapping[str, JsonObject]:
        """Say, by input field, what JSON Schema a tool's config makes of it; never fails."""
        del config
        return {}

    @abstractmethod
    async def run(self, emit: Emit) -> None:
        """Do the work and emit the output.

        Raises:
            RunError: what the user is told; its `processor` is filled in by the runner.
        """
