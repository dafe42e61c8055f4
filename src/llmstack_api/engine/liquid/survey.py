"""Walks a parsed template once: checks it, finds what it refers to, and puts a price on every part of it."""

import re
from bisect import bisect_left
from difflib import get_close_matches

from liquid import BlockNode, BoundTemplate, Expression, Node, RenderContext
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import Filter, FilteredExpression, KeywordArgument, Path, StringLiteral
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import MultiExpressionBlockNode
from liquid.builtin.tags.cycle_tag import CycleNode
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode
from liquid.builtin.tags.ifchanged_tag import IfChangedNode
from liquid.builtin.tags.tablerow_tag import TablerowNode

from llmstack_api.engine.liquid.filters import FILTERS
from llmstack_api.engine.liquid.rendering import PROPERTIES, Toll, Weighed, line_of, spelled_out
from llmstack_api.engine.liquid.template import (
    Bare,
    FilterCall,
    Reference,
    Template,
    TemplateNode,
    TemplateSyntaxError,
    Text,
)
from llmstack_api.engine.processor import FieldPath

MAX_TERMS = 100
"""Deepest nesting within one expression; each `and` and `or` is a level."""
STREAMED = frozenset({"append", "default", "downcase", "escape", "prepend", "upcase"})
"""Filters that can work on a text while it comes."""

_NODE = 2_500
_CELL = 12_000
"""Work of what a `tablerow` prints around each of its elements."""
_EXPRESSION = 2_500
_CHARACTER = 10
"""Work for each character of a path or a literal text."""
_SEARCH = 100
"""Work for each character in which `contains` looks for another text, at worst."""
_COSTS: dict[type[Node], int] = {
    ForNode: 15_000,
    TablerowNode: 15_000,
    CaptureNode: 5_000,
    IfChangedNode: 5_000,
}

_Comparison = (
    EqExpression
    | NeExpression
    | LtExpression
    | LeExpression
    | GtExpression
    | GeExpression
    | ContainsExpression
)


def survey(bound: BoundTemplate) -> Template:
    """Return what python-liquid parsed as a template of ours.

    Raises:
        TemplateSyntaxError: a filter is unknown or takes other arguments, or something is nested too deep.
    """
    surveyor = _Surveyor(bound)
    nodes = tuple(surveyor.top_level(node) for node in bound.nodes)
    return Template(nodes=nodes, references=tuple(surveyor.references), bound=bound)


class _Surveyor:
    def __init__(self, bound: BoundTemplate) -> None:
        self.references: list[Reference] = []
        self._context = RenderContext(bound)
        source = bound.nodes[0].token.source if bound.nodes else ""
        self._lines = [match.start() for match in re.finditer("\n", source)]
        self._made: set[str] = set()
        """Names assigned or captured so far."""
        self._scopes: list[frozenset[str]] = []
        """Names of the loops around."""

    def top_level(self, node: Node) -> TemplateNode:
        bare = self._bare(node.expression) if isinstance(node, OutputNode) else None
        cost = self._node(node, loops=0)
        if isinstance(node, ContentNode):
            return Text(node=node, cost=cost, text=node.text)
        if bare is not None:
            path, filters = bare
            return Bare(node=node, cost=cost, path=path, filters=filters)
        return TemplateNode(node=node, cost=cost)

    def _bare(self, expression: Expression) -> tuple[FieldPath, tuple[FilterCall, ...]] | None:
        """Return the variable and the filters of an output that can be followed while its text comes."""
        if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
            return None
        path, dynamic = _constant(expression.left)
        filters = expression.filters or []
        if dynamic or not path or self._is_local(path[0]):
            return None
        if any(segment in PROPERTIES or (isinstance(segment, int) and segment < 0) for segment in path[1:]):
            return None
        calls: list[FilterCall] = []
        for item in filters:
            if item.name not in STREAMED or any(isinstance(each, KeywordArgument) for each in item.args):
                return None
            calls.append(FilterCall(name=item.name, arguments=tuple(each.value for each in item.args)))
        return path, tuple(calls)

    def _is_local(self, root: object) -> bool:
        return root in self._made or any(root in scope for scope in self._scopes)

    def _node(self, node: Node, *, loops: int) -> int:
        """Check a node; return the work of rendering it, what stands in its blocks apart."""
        if not loops and isinstance(node, BreakNode | ContinueNode):
            raise TemplateSyntaxError(f"{line_of(node.token)}'{node.token.value}' stands outside of a loop")
        cost = _COSTS.get(type(node), _NODE)
        for expression in node.expressions():
            cost += self._expression(expression, 0)
        _weigh(node)
        self._made.update(node.template_scope())
        self._scopes.append(frozenset(node.block_scope()))
        loops += isinstance(node, ForNode | TablerowNode)
        for child in node.children(self._context):
            if isinstance(child, BlockNode):
                self._block(child, loops, _CELL if isinstance(node, TablerowNode) else _NODE)
            else:
                cost += self._node(child, loops=loops)
        self._scopes.pop()
        return cost

    def _block(self, block: BlockNode, loops: int, entry: int) -> None:
        cost = entry + sum([self._node(node, loops=loops) for node in block.nodes])
        block.nodes.insert(0, Toll(block.token, cost))

    def _expression(self, expression: Expression, depth: int) -> int:
        """Check an expression; return the work of evaluating it."""
        if depth > MAX_TERMS:
            raise TemplateSyntaxError(
                f"{line_of(expression.token)}an expression has more than {MAX_TERMS} levels"
            )
        cost = _EXPRESSION
        if isinstance(expression, Path):
            self._refer(expression)
            cost += sum(_CHARACTER * len(segment) for segment in expression.path if isinstance(segment, str))
        elif isinstance(expression, StringLiteral):
            cost += _CHARACTER * len(expression.value)
        elif isinstance(expression, FilteredExpression):
            for item in expression.filters or ():
                _check_filter(item)
        for child in expression.children():
            cost += self._expression(child, depth + 1)
        if isinstance(expression, _Comparison):
            rate = _SEARCH if isinstance(expression, ContainsExpression) else 0
            expression.left = Weighed(expression.left, rate=rate)
            expression.right = Weighed(expression.right)
        return cost

    def _refer(self, path: Path) -> None:
        constant, dynamic = _constant(path)
        if not constant or not isinstance(constant[0], str):
            raise TemplateSyntaxError(f"{line_of(path.token)}a variable starts with its name")
        if not self._is_local(constant[0]):
            self.references.append(
                Reference(constant, dynamic, bisect_left(self._lines, path.token.start_index) + 1)
            )


def _constant(path: Path) -> tuple[FieldPath, bool]:
    """Return a path as far as it is constant, and whether it goes on."""
    constant: list[str | int] = []
    for segment in path.path:
        if isinstance(segment, Path):
            return spelled_out(tuple(constant)), True
        constant.append(segment)
    return spelled_out(tuple(constant)), False


def _weigh(node: Node) -> None:
    """Let the values that python-liquid itself compares or prints be paid for."""
    if isinstance(node, MultiExpressionBlockNode):
        node.expression.left = Weighed(node.expression.left)
        node.expression.expressions[:] = [Weighed(each) for each in node.expression.expressions]
    elif isinstance(node, CycleNode):
        node.group = node.group and Weighed(node.group, kept=True)
        node.args[:] = [Weighed(each, kept=True) for each in node.args]


def _check_filter(item: Filter) -> None:
    known = FILTERS.get(item.name)
    if known is None:
        close = get_close_matches(item.name, FILTERS, n=1, cutoff=0.7)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise TemplateSyntaxError(f"{line_of(item.token)}unknown filter '{item.name}'{hint}")
    keywords = [each.name for each in item.args if isinstance(each, KeywordArgument)]
    try:
        known.check(item.name, len(item.args) - len(keywords), keywords)
    except TypeError as error:
        raise TemplateSyntaxError(f"{line_of(item.token)}{error}") from None
