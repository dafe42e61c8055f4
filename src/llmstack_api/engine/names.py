"""What templates may name, and from where."""

from collections.abc import Iterable, Mapping

from llmstack_api.engine.definition import AGENT, AppDefinition, Findings, listed
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.reading import POSITIONAL_ID
from llmstack_api.engine.shapes import NoSuchFieldError, at
from llmstack_api.engine.template import Use

INPUTS = "_inputs0"
"""What the app was given."""


class ChainNames:
    """Names in a chain: the input, and of the steps those that stand earlier."""

    def __init__(self, definition: AppDefinition, shapes: Iterable[JsonObject | None]) -> None:
        """`shapes` are those of the steps' outputs; None where the processor is not known."""
        self._inputs = {item.name for item in definition.input_fields}
        self._shapes = list(shapes)
        self._steps: dict[str, int] = {}
        for index, step in enumerate(definition.processors):
            self._steps[f"_inputs{index + 1}"] = index
            self._steps.setdefault(step.id, index)

    def check(self, uses: tuple[Use, ...], before: int, findings: Findings) -> None:
        """Report every name that is not there for a template which sees the steps before a position."""
        for use in uses:
            root = str(use.path[0])
            if root == INPUTS:
                _check_input(use, self._inputs, findings)
                continue
            index = self._steps.get(root)
            if index is None:
                findings.fault(use.loc, self._unknown(root))
            elif index >= before:
                findings.fault(use.loc, f"{root!r} is not an earlier step; a step sees those before it only")
            elif (shape := self._shapes[index]) is not None:
                _check_field(use, shape, findings)

    def _unknown(self, root: str) -> str:
        match = POSITIONAL_ID.fullmatch(root)
        if match and match[1]:
            return f"unknown step {root!r}: the app has {len(self._shapes)} processors"
        return f"unknown name {root!r}; known are {listed([INPUTS, *self._steps])}"


class AgentNames:
    """Names in an agent: the input, whose fields may also stand bare, and what the place adds."""

    def __init__(self, definition: AppDefinition) -> None:
        self._inputs = {item.name for item in definition.input_fields}

    def check(
        self, uses: tuple[Use, ...], findings: Findings, *, also: Mapping[str, JsonObject], of: str
    ) -> None:
        """Report every name that is not there; `also` has the shapes of further names, told as those `of` it."""
        for use in uses:
            root = str(use.path[0])
            if root in also:
                _check_field(use, also[root], findings)
            elif root == INPUTS:
                _check_input(use, self._inputs, findings)
            elif root not in self._inputs:
                known = listed([INPUTS, *sorted(self._inputs), *also])
                findings.fault(use.loc, f"unknown name {root!r}; {of} sees {known}")

    def check_output(self, uses: tuple[Use, ...], shape: JsonObject, findings: Findings) -> None:
        """Report every name that is not there for an output of the app."""
        self.check(uses, findings, also={AGENT: shape}, of="the output of an agent")


def _check_input(use: Use, declared: set[str], findings: Findings) -> None:
    if len(use.path) > 1 and use.path[1] not in declared:
        findings.warn(use.loc, f"{use.path[1]!r} is no declared input; it renders empty")


def _check_field(use: Use, shape: JsonObject, findings: Findings) -> None:
    try:
        at(shape, use.path[1:])
    except NoSuchFieldError as error:
        findings.fault(use.loc, f"step {use.path[0]!r}: {error}")
