"""Values with Liquid in them: compiled once, rendered whole for a step or streamed to an output key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from llmstack_api.engine.definition import Findings
from llmstack_api.engine.liquid import (
    Bare,
    Budget,
    Buffer,
    Template,
    TemplateSyntaxError,
    Text,
    new_context,
    parse,
    render_node,
    to_text,
)
from llmstack_api.engine.output import Receiver, StepOutput, lookup
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import FieldPath
from llmstack_api.engine.textfilters import TextFilter, text_filter
from llmstack_api.errors import Fault, TemplateError

_FILTERED = 20
"""Work of a filter for each character."""

_ANY_STEP = ("_inputs",)
"""What `{{_inputs[n].x}}` names: a step that is known only at run."""

MAX_DEPTH = 32
"""Deepest nesting of arrays and objects around a template."""


@dataclass(frozen=True, slots=True)
class Use:
    """One mention of a name in a template."""

    loc: str
    path: FieldPath


class Scope(Mapping[str, object]):
    """What templates of one run see: the input and the steps, by id and by position."""

    def __init__(
        self, inputs: JsonObject, steps: Mapping[str, StepOutput], bare: Mapping[str, object] | None = None
    ) -> None:
        """Steps are given by id, in order. `bare` are further names, over which the others win."""
        self._names: dict[str, object] = {**(bare or {}), "_inputs0": inputs}
        for position, (step_id, output) in enumerate(steps.items(), start=1):
            self._names[f"_inputs{position}"] = output
            self._names[step_id] = output

    def __getitem__(self, name: str) -> object:
        return self._names[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    async def read(self, path: FieldPath) -> Json:
        """Wait for the value at a path and return it; None where there is nothing."""
        root = self._names.get(cast("str", path[0]))
        if isinstance(root, StepOutput):
            return await root.read(path[1:])
        return _input(root, path[1:])

    async def follow(self, path: FieldPath, receiver: Receiver) -> None:
        """Hand the value at a path over as it grows."""
        root = self._names.get(cast("str", path[0]))
        if isinstance(root, StepOutput):
            await root.follow(path[1:], receiver)
        else:
            receiver.value(_input(root, path[1:]))


def _input(inputs: object, path: FieldPath) -> Json:
    """Return an input; one that is not set renders empty."""
    value = lookup(inputs, path)
    return "" if value is None else value


class ValueTemplate(Protocol):
    """A JSON value in which strings may be templates."""

    async def render(self, scope: Scope, budget: Budget) -> Json:
        """Wait for what it names and return the value.

        Raises:
            TemplateError: a template failed or went over its budget.
        """
        ...

    async def stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        """Hand the value over as it is made; stitched, it is what `render` returns."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """A value without templates."""

    value: Json

    async def render(self, scope: Scope, budget: Budget) -> Json:
        """See `ValueTemplate`."""
        del scope, budget
        return self.value

    async def stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        """See `ValueTemplate`."""
        del scope, budget
        receiver.value(self.value)


@dataclass(frozen=True, slots=True)
class Variable:
    """A string that is one bare variable: the value keeps its JSON type."""

    path: FieldPath

    async def render(self, scope: Scope, budget: Budget) -> Json:
        """See `ValueTemplate`."""
        del budget
        return await scope.read(self.path)

    async def stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        """See `ValueTemplate`."""
        del budget
        await scope.follow(self.path, receiver)


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A string with Liquid in it."""

    template: Template
    loc: str
    """Where it stands in the definition."""

    async def render(self, scope: Scope, budget: Budget) -> Json:
        """See `ValueTemplate`."""
        gathered = _Gathered()
        await self.stream(gathered, scope, budget)
        return "".join(gathered.parts)

    async def stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        """See `ValueTemplate`."""
        try:
            await self._stream(receiver, scope, budget)
        except TemplateError as error:
            fault = Fault(self.loc, str(error))
            raise TemplateError(f"{fault.loc}: {fault.msg}", faults=(fault,)) from error

    async def _stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        context = new_context(self.template, scope, budget)
        for node in self.template.nodes:
            if isinstance(node, Text):
                receiver.text(budget.make_text(node.text))
            elif isinstance(node, Bare):
                filters = [text_filter(call.name, *await call.evaluate(context)) for call in node.filters]
                following = _Following(receiver, filters, budget)
                await scope.follow(node.path, following)
                following.end()
            else:
                buffer = Buffer(budget)
                await render_node(node, context, buffer)
                receiver.text(buffer.getvalue())


class _Gathered:
    """A receiver that keeps the text."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def text(self, chunk: str) -> None:
        self.parts.append(chunk)

    def items(self, elements: list[Json]) -> None:
        self.parts.append(to_text(elements))

    def value(self, value: Json) -> None:
        self.parts.append(to_text(value))


class _Following:
    """Passes a growing field on as text, through filters that work on a text while it comes."""

    def __init__(self, receiver: Receiver, filters: list[TextFilter], budget: Budget) -> None:
        self._receiver = receiver
        self._filters = filters
        self._budget = budget

    def text(self, chunk: str) -> None:
        for item in self._filters:
            self._budget.spend(_FILTERED * len(chunk))
            chunk = item.feed(chunk)
        if chunk:
            self._receiver.text(self._budget.make_text(chunk))

    def items(self, elements: list[Json]) -> None:
        self.text(to_text(elements))

    def value(self, value: Json) -> None:
        falsy = value is False or value == {}
        self.text("" if falsy and self._filters and self._filters[0].is_default else to_text(value))

    def end(self) -> None:
        """Let every filter give what it held back."""
        for position, item in enumerate(self._filters):
            rest = item.end()
            for later in self._filters[position + 1 :]:
                rest = later.feed(rest)
            if rest:
                self._receiver.text(self._budget.make_text(rest))


@dataclass(frozen=True, slots=True)
class Elements:
    """An array with templates in it."""

    elements: tuple[ValueTemplate, ...]

    async def render(self, scope: Scope, budget: Budget) -> Json:
        """See `ValueTemplate`."""
        return [await element.render(scope, budget) for element in self.elements]

    async def stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        """See `ValueTemplate`."""
        for element in self.elements:
            receiver.items([await element.render(scope, budget)])


@dataclass(frozen=True, slots=True)
class Members:
    """An object with templates in it."""

    members: tuple[tuple[str, ValueTemplate], ...]

    async def render(self, scope: Scope, budget: Budget) -> Json:
        """See `ValueTemplate`."""
        return {key: await member.render(scope, budget) for key, member in self.members}

    async def stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        """See `ValueTemplate`."""
        receiver.value(await self.render(scope, budget))


@dataclass(frozen=True, slots=True)
class OwnTemplate:
    """A template with names of a processor's own, which the processor fills."""

    template: ValueTemplate

    async def fill(self, names: Mapping[str, Json], budget: Budget) -> Json:
        """Render it; raises as `ValueTemplate.render` does."""
        return await self.template.render(Scope({}, {}, names), budget)


@dataclass(frozen=True, slots=True)
class _Handed:
    """Hands a template to its processor as it is."""

    own: OwnTemplate

    async def render(self, scope: Scope, budget: Budget) -> Json:
        """See `ValueTemplate`."""
        del scope, budget
        return self.own

    async def stream(self, receiver: Receiver, scope: Scope, budget: Budget) -> None:
        """See `ValueTemplate`."""
        del scope, budget
        receiver.value(self.own)


def is_templated(value: Json) -> bool:
    """Tell whether a value is a string with Liquid in it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def compile_value(
    value: Json,
    loc: str,
    findings: Findings,
    *,
    trimmed: bool = False,
    own: frozenset[str] = frozenset(),
) -> tuple[ValueTemplate, tuple[Use, ...]]:
    """Compile a value; report every template that cannot be, and return what the others name.

    With `trimmed`, blanks around a bare variable do not turn its value into text. A template that has a name
    of `own` becomes an `OwnTemplate`.
    """
    compiler = _Compiler(findings, trimmed=trimmed, own=own)
    template = compiler.compile(value, loc, 0)
    return template, tuple(compiler.uses)


class _Compiler:
    def __init__(self, findings: Findings, *, trimmed: bool, own: frozenset[str]) -> None:
        self._findings = findings
        self._trimmed = trimmed
        self._own = own
        self.uses: list[Use] = []

    def compile(self, value: Json, loc: str, depth: int) -> ValueTemplate:
        if depth > MAX_DEPTH:
            self._findings.fault(loc, f"nested deeper than {MAX_DEPTH} levels")
            return Constant(None)
        if is_templated(value):
            return self._text(cast("str", value), loc)
        if isinstance(value, dict):
            members = [
                (key, self.compile(member, f"{loc}.{key}", depth + 1))
                for key, member in cast("JsonObject", value).items()
            ]
            if all(isinstance(member, Constant) for _, member in members):
                return Constant(value)
            return Members(tuple(members))
        if isinstance(value, list):
            elements = [
                self.compile(element, f"{loc}[{index}]", depth + 1)
                for index, element in enumerate(cast("list[Json]", value))
            ]
            if all(isinstance(element, Constant) for element in elements):
                return Constant(value)
            return Elements(tuple(elements))
        return Constant(value)

    def _text(self, source: str, loc: str) -> ValueTemplate:
        try:
            template = parse(source)
        except TemplateSyntaxError as error:
            self._findings.fault(loc, str(error))
            return Constant(None)
        uses = [
            Use(loc, reference.path)
            for reference in template.references
            if not (reference.dynamic and reference.path == _ANY_STEP)
        ]
        if self._own and any(use.path[0] in self._own for use in uses):
            return self._handed(template, loc, uses)
        self.uses.extend(uses)
        return self._rendered(template, loc)

    def _handed(self, template: Template, loc: str, uses: list[Use]) -> ValueTemplate:
        others = [str(use.path[0]) for use in uses if use.path[0] not in self._own]
        if others:
            known = ", ".join(sorted(self._own))
            self._findings.fault(loc, f"{others[0]!r} cannot stand in one template with {known}")
        return _Handed(OwnTemplate(self._rendered(template, loc)))

    def _rendered(self, template: Template, loc: str) -> ValueTemplate:
        nodes = template.nodes
        if self._trimmed:
            nodes = tuple(node for node in nodes if not (isinstance(node, Text) and not node.text.strip()))
        if len(nodes) == 1 and isinstance(nodes[0], Bare) and not nodes[0].filters:
            return Variable(nodes[0].path)
        return TextTemplate(template, loc)
