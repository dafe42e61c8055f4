"""A parsed template: its top-level nodes one by one, what it refers to, and how a node is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

from liquid import BoundTemplate, Expression, Node

from llmstack_api.engine.liquid.budget import Budget
from llmstack_api.engine.liquid.filters import plain
from llmstack_api.engine.liquid.rendering import Buffer, Context, reporting
from llmstack_api.engine.processor import FieldPath
from llmstack_api.errors import InvalidDefinitionError


class TemplateSyntaxError(InvalidDefinitionError):
    """A template that cannot be rendered; the message is one line."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One mention of a variable that the template does not make itself."""

    path: FieldPath
    """As far as it is constant; `_inputs[1].x` reads `_inputs1.x`."""
    dynamic: bool = False
    """Whether it goes on with a segment that is known only at run."""
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateNode:
    """One top-level node of a template, to be rendered as a whole."""

    node: Node = field(repr=False)
    cost: int = field(default=0, repr=False)
    """Work of rendering it, what stands in its blocks apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(TemplateNode):
    """Literal text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCall:
    """A filter with its arguments."""

    name: str
    arguments: tuple[Expression, ...] = field(repr=False)

    async def evaluate(self, context: Context) -> tuple[object, ...]:
        """Return the arguments' values, waiting for those that are pending.

        Raises:
            TemplateError: one cannot be evaluated.
        """
        values: list[object] = []
        for argument in self.arguments:
            with reporting(argument.token):
                values.append(plain(await argument.evaluate_async(context)))
        return tuple(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare(TemplateNode):
    """The output of one variable of the scope, through no filters but those that work on a stream."""

    path: FieldPath
    filters: tuple[FilterCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A parsed template; holds no state of a rendering."""

    nodes: tuple[TemplateNode, ...]
    """`Text`, `Bare`, or any other."""
    references: tuple[Reference, ...]
    bound: BoundTemplate = field(repr=False)


def new_context(template: Template, scope: Mapping[str, object], budget: Budget) -> Context:
    """Return a context in which the nodes of one template are rendered in turn.

    A value of the scope is JSON or `Pending`. One budget may serve any number of contexts.
    """
    return Context(template.bound, scope, budget)


async def render_node(node: TemplateNode, context: Context, buffer: TextIO) -> None:
    """Render one node into a buffer, usually a `Buffer`, which pays for what is printed.

    Raises:
        TemplateError: it failed, or went over the budget.
        RunError: what a pending value raised.
    """
    context.budget.spend(node.cost)
    await context.budget.rest()
    with reporting(node.node.token):
        await node.node.render_async(context, buffer)


async def render(template: Template, scope: Mapping[str, object], budget: Budget) -> str:
    """Render a whole template; raises as `render_node` does."""
    context = new_context(template, scope, budget)
    buffer = Buffer(budget)
    for node in template.nodes:
        await render_node(node, context, buffer)
    return buffer.getvalue()
