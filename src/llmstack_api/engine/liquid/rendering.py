"""Rendering that pays for what it does, waits for values still in the making and lets other tasks run."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from io import StringIO
from typing import Protocol, TextIO, TypeVar, cast

from liquid import BoundTemplate, Expression, Node, RenderContext, Token
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError, LiquidInterrupt
from liquid.undefined import UNDEFINED, Undefined
from liquid.utils import ReadOnlyChainMap

from llmstack_api.engine.liquid.budget import Budget, width_of
from llmstack_api.engine.liquid.filters import call_filter
from llmstack_api.errors import TemplateError

_SEGMENT = 700
"""Work of following a path by one segment."""
PROPERTIES = frozenset({"size", "first", "last"})
"""Segments that every array has, and some objects of their own."""
Segment = TypeVar("Segment")
_NOTHING = Undefined("")
"""What every path that leads nowhere evaluates to."""


class Pending(Protocol):
    """A value of a scope that is still in the making."""

    async def read(self, path: tuple[str | int, ...]) -> object:
        """Wait for what stands at a path inside it, `()` being all of it; None where there is nothing."""
        ...


class Buffer(StringIO):
    """Gathers what nodes print; every write is paid for."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget
        self._parts: list[str] = []
        self._length = 0
        self._width = 1
        """Bytes that each character fills in the text that all parts make together."""

    def write(self, text: str, /) -> int:
        """Append a text."""
        width = width_of(text)
        if width > self._width:
            self._budget.make(self._length * (width - self._width))
            self._width = width
        self._budget.make(len(text) * self._width)
        self._length += len(text)
        self._parts.append(text)
        return len(text)

    def getvalue(self) -> str:
        """Return all of it as one text."""
        return "".join(self._parts)


class Context(RenderContext):
    """The variables of one rendering, over a scope that is only read, and the budget that pays for it."""

    __slots__ = ("budget",)

    def __init__(self, template: BoundTemplate, scope: Mapping[str, object], budget: Budget) -> None:
        super().__init__(template, globals=scope)
        # without python-liquid's `now` and `today`, which read the machine's local time
        self.scope = ReadOnlyChainMap(self.locals, scope, self.counters)
        self.budget = budget

    async def get_async(
        self, path: list[object], *, token: Token | None, default: object = UNDEFINED
    ) -> object:
        """Return what a path leads to, waiting for it where it is pending; nothing is no error."""
        del token, default  # nobody asks for another default, and errors name no path
        self.budget.spend(_SEGMENT * len(path))
        root, *rest = spelled_out(tuple(path))
        try:
            value = self.scope[cast("str", root)]
        except (KeyError, TypeError):
            return _NOTHING
        if hasattr(value, "read"):
            known = _known(rest)
            value = await cast("Pending", value).read(tuple(known))
            rest = rest[len(known) :]
        for segment in rest:
            try:
                value = await self.get_item_async(value, segment)
            except (LookupError, TypeError):
                return _NOTHING
        return value

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """Return a filter that pays from the budget."""

        def apply(value: object, *arguments: object, **keywords: object) -> object:
            try:
                return call_filter(name, self.budget, value, arguments, keywords)
            except TemplateError as error:
                raise TemplateError(f"{line_of(token)}{error}") from error.__cause__

        return apply

    def stopindex(self, key: str, index: int | None = None) -> int:
        """Pay for the elements that a loop skips or copies; python-liquid calls this before it does."""
        if index is not None:
            self.budget.spend(20 * index)
        return super().stopindex(key, index)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """Return a buffer for what a tag captures."""
        del buf
        return Buffer(self.budget)


def _known(path: list[object]) -> list[str | int]:
    """Return the beginning of a path that names one place, whatever the values on the way are."""
    known: list[str | int] = []
    for segment in path:
        if isinstance(segment, str):
            if known and segment in PROPERTIES:
                break
        elif not isinstance(segment, int) or segment < 0:
            break
        known.append(segment)
    return known


def spelled_out(path: tuple[Segment, ...]) -> tuple[Segment | str, ...]:
    """Return a path with the older spelling `_inputs[1].x` replaced by `_inputs1.x`."""
    if len(path) > 1 and path[0] == "_inputs" and isinstance(path[1], int):
        return (f"_inputs{path[1]}", *path[2:])
    return path


def line_of(token: Token | None) -> str:
    """Return `line 3: ` for a token in a source of several lines, else nothing."""
    if token is None or token.start_index < 0 or "\n" not in token.source.rstrip("\n"):
        return ""
    return f"line {token.source.count(chr(10), 0, token.start_index) + 1}: "


def _budget(context: RenderContext) -> Budget:
    return cast("Context", context).budget


class Toll(Node):
    """Stands first in every block: pays for one pass through it, and lets other tasks run."""

    __slots__ = ("cost",)

    def __init__(self, token: Token, cost: int) -> None:
        super().__init__(token)
        self.cost = cost

    def __str__(self) -> str:
        return ""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Pay."""
        del buffer
        _budget(context).spend(self.cost)
        return 0

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        """Pay, and let other tasks run when it is their turn."""
        count = self.render_to_output(context, buffer)
        await _budget(context).rest()
        return count


class Weighed(Expression):
    """An operand of what python-liquid does on its own, such as a comparison: pays for the value's size."""

    __slots__ = ("inner", "kept", "rate")

    def __init__(self, inner: Expression, *, rate: int = 0, kept: bool = False) -> None:
        super().__init__(inner.token)
        self.inner = inner
        self.rate = rate
        """Work for each character, beside reading it."""
        self.kept = kept
        """Whether a text of the value is made and kept."""

    def __str__(self) -> str:
        return str(self.inner)

    def evaluate(self, context: RenderContext) -> object:
        """Evaluate the operand."""
        return self._paid(self.inner.evaluate(context), _budget(context))

    async def evaluate_async(self, context: RenderContext) -> object:
        """Evaluate the operand."""
        return self._paid(await self.inner.evaluate_async(context), _budget(context))

    def _paid(self, value: object, budget: Budget) -> object:
        size = budget.read(value)
        budget.spend(size * self.rate)
        if self.kept:
            budget.make(100 + 4 * size)
        return value

    def children(self) -> list[Expression]:
        """Return the operand."""
        return [self.inner]


class PricedOutput(OutputNode):
    """An output that pays for turning its value into text."""

    __slots__ = ()

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        """Print the value."""
        value = await self.expression.evaluate_async(context)
        return buffer.write(value if isinstance(value, str) else _budget(context).text_of(value))


@contextmanager
def reporting(token: Token) -> Generator[None]:
    """Turn whatever goes wrong while a node is rendered into a TemplateError; other RunErrors pass."""
    try:
        yield
    except LiquidError as error:
        raise TemplateError(f"{line_of(error.token or token)}{error.message}") from error
    except LiquidInterrupt as error:
        raise TemplateError(f"{line_of(token)}'{error}' stands outside of a loop") from error
    except RecursionError as error:
        raise TemplateError(f"{line_of(token)}the template or a value in it is nested too deep") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise TemplateError(f"{line_of(token)}{error}") from error
