"""How much work it is to check a value against a JSON Schema: references can make it grow beyond all bounds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import unquote

import orjson

from llmstack_api.engine.definition import place
from llmstack_api.engine.ports import Json, JsonObject

MAX_DEPTH: Final = 64
MAX_SCHEMAS: Final = 1000
"""Schemas inside a schema."""

MAX_PATTERNS: Final = 32
_MAX_CLOSURES: Final = 20_000
_SMALL: Final = 5_000_000
"""Bytes of a value times schemas, where none is applied to the same value twice."""

_COMPARED: Final = 16
"""Values of an enumeration that count as one more application."""

_LONG: Final = 1000
"""Characters of a string that count as one more application."""

_SAME_VALUE: Final = frozenset({"not", "if", "then", "else"})
_SAME_VALUE_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf"})
_SAME_VALUE_MAPS: Final = frozenset({"dependentSchemas", "dependencies"})
_EVERY_MEMBER: Final = frozenset({"additionalProperties", "propertyNames"})
_EVERY_ELEMENT: Final = frozenset({"additionalItems", "contains", "items"})
_DEFINITIONS: Final = frozenset({"$defs", "definitions"})
_REFUSED: Final = frozenset({
    "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "unevaluatedItems",
    "unevaluatedProperties",
})  # fmt: skip

_Loc = tuple[str | int, ...]


@dataclass(slots=True)
class _Node:
    """One schema, and which others it applies to what, by their numbers."""

    loc: _Loc
    weight: int = 1
    reference: str | None = None
    same: list[int] = field(default_factory=list[int])
    properties: dict[str, int] = field(default_factory=dict[str, int])
    members: list[int] = field(default_factory=list[int])
    """Applied to every member, whether or not they would be: an estimate may be too high."""
    prefix: list[int] = field(default_factory=list[int])
    elements: list[int] = field(default_factory=list[int])

    def for_member(self, key: str) -> Iterable[int]:
        own = self.properties.get(key)
        return self.members if own is None else (own, *self.members)

    def for_element(self, index: int) -> Iterable[int]:
        return (*self.prefix[index : index + 1], *self.elements) if self.prefix else self.elements


class SchemaWork:
    """The schemas of a schema. Making one refuses what cannot be estimated."""

    def __init__(self, schema: JsonObject) -> None:
        """Take a schema apart.

        Raises:
            ValueError: too deep or too large, or it refers to somewhere else, or to itself without end.
        """
        self._nodes: list[_Node] = []
        self._numbers: dict[_Loc, int] = {}
        self._patterns = 0
        self._add(schema, ())
        self._refers = any(node.reference is not None for node in self._nodes)
        for node in self._nodes:
            if node.reference is not None:
                node.same.append(self._target(node.reference))
        self._closures: list[Mapping[int, int]] = []
        self._close()

    def is_small(self, value: Json) -> bool:
        """Tell, without looking closely, whether checking a value is little work for certain."""
        return not self._refers and len(orjson.dumps(value)) * len(self._nodes) <= _SMALL

    def of(self, value: Json, *, limit: int) -> int:
        """Return how often schemas are applied while a value is checked, at most; or more than `limit`."""
        work = 0
        todo: list[tuple[Json, Mapping[int, int]]] = [(value, {0: 1})]
        while todo and work <= limit:
            value, given = todo.pop()
            active = self._active(given)
            length = 1 + len(value) // _LONG if isinstance(value, str) else 1
            work += length * sum(self._nodes[number].weight * times for number, times in active.items())
            for part, applied in self._parts(value, active):
                if applied:
                    todo.append((part, applied))
                else:
                    work += 1
        return work

    def _active(self, given: Mapping[int, int]) -> Mapping[int, int]:
        if len(given) == 1:
            [(number, times)] = given.items()
            if times == 1:
                return self._closures[number]
        active: dict[int, int] = {}
        for number, times in given.items():
            for other, more in self._closures[number].items():
                active[other] = active.get(other, 0) + times * more
        return active

    def _parts(self, value: Json, active: Mapping[int, int]) -> Iterator[tuple[Json, Mapping[int, int]]]:
        """Give each member or element, and the schemas that are applied to it."""
        nodes = [(self._nodes[number], times) for number, times in active.items()]
        if isinstance(value, dict):
            for key, member in cast("JsonObject", value).items():
                yield member, _applied(nodes, lambda node, key=key: node.for_member(key))
        elif isinstance(value, list):
            for index, element in enumerate(cast("list[Json]", value)):
                yield element, _applied(nodes, lambda node, index=index: node.for_element(index))

    # --- taking a schema apart

    def _add(self, schema: Json, loc: _Loc) -> int:
        """Take in a schema and those inside it; what is none is for the validator to tell."""
        if len(loc) > MAX_DEPTH:
            raise ValueError(f"is nested more than {MAX_DEPTH} deep")
        if len(self._nodes) >= MAX_SCHEMAS:
            raise ValueError(f"has more than {MAX_SCHEMAS} schemas inside")
        number = self._numbers[loc] = len(self._nodes)
        node = _Node(loc)
        self._nodes.append(node)
        if isinstance(schema, dict):
            for key, value in cast("JsonObject", schema).items():
                self._take(node, key, value)
        return number

    def _take(self, node: _Node, key: str, value: Json) -> None:
        if key in _REFUSED or (key == "$id" and node.loc):
            raise ValueError(f"has {place((*node.loc, key))}, which is not taken")
        match value:
            case str() if key == "$ref":
                node.reference = value
            case str() if key == "pattern":
                self._count_patterns(1)
            case list():
                self._take_list(node, key, cast("list[Json]", value))
            case dict() | bool():
                self._take_one_or_map(node, key, cast("JsonObject | bool", value))
            case _:
                pass

    def _take_one_or_map(self, node: _Node, key: str, value: JsonObject | bool) -> None:  # noqa: FBT001 # a schema
        if key in _SAME_VALUE:
            node.same.append(self._add(value, (*node.loc, key)))
        elif key in _EVERY_MEMBER:
            node.members.append(self._add(value, (*node.loc, key)))
        elif key in _EVERY_ELEMENT:
            node.elements.append(self._add(value, (*node.loc, key)))
        elif isinstance(value, dict):
            self._take_map(node, key, value)

    def _take_list(self, node: _Node, key: str, schemas: list[Json]) -> None:
        if key in _SAME_VALUE_LISTS:
            node.same += [self._add(schema, (*node.loc, key, index)) for index, schema in enumerate(schemas)]
        elif key == "enum":
            node.weight += len(schemas) // _COMPARED
        elif key in {"prefixItems", "items"}:
            node.prefix += [
                self._add(schema, (*node.loc, key, index)) for index, schema in enumerate(schemas)
            ]

    def _take_map(self, node: _Node, key: str, schemas: JsonObject) -> None:
        if key == "properties":
            for name, schema in schemas.items():
                node.properties[name] = self._add(schema, (*node.loc, key, name))
        elif key == "patternProperties":
            self._count_patterns(len(schemas))
            for name, schema in schemas.items():
                node.members.append(self._add(schema, (*node.loc, key, name)))
        elif key in _SAME_VALUE_MAPS:
            for name, schema in schemas.items():
                node.same.append(self._add(schema, (*node.loc, key, name)))
        elif key in _DEFINITIONS:
            for name, schema in schemas.items():
                self._add(schema, (*node.loc, key, name))

    def _count_patterns(self, more: int) -> None:
        self._patterns += more
        if self._patterns > MAX_PATTERNS:
            raise ValueError(f"has more than {MAX_PATTERNS} patterns")

    def _target(self, reference: str) -> int:
        """Find the schema that is referred to."""
        if reference != "#" and not reference.startswith("#/"):
            raise ValueError(f"refers to {reference[:_LONG]!r}; only a place inside it may be referred to")
        loc: list[Any] = []
        for token in unquote(reference[2:]).split("/") if reference != "#" else ():
            name = token.replace("~1", "/").replace("~0", "~")
            in_list = bool(loc) and loc[-1] in (*_SAME_VALUE_LISTS, "prefixItems", "items")
            loc.append(int(name) if in_list and name.isdecimal() else name)
        number = self._numbers.get(tuple(loc))
        if number is None:
            raise ValueError(f"refers to {reference[:_LONG]!r}, where there is no schema")
        return number

    def _close(self) -> None:
        """Find for every schema those that are applied to the same value with it, and how often."""
        found: dict[int, dict[int, int]] = {}
        total = 0
        for start in range(len(self._nodes)):
            going: list[int] = [start]
            inside: set[int] = set()
            while going:
                number = going[-1]
                if number in found:
                    going.pop()
                    continue
                missing = [other for other in self._nodes[number].same if other not in found]
                if not missing:
                    going.pop()
                    inside.discard(number)
                    found[number] = self._closure(number, found)
                    total += len(found[number])
                    continue
                inside.add(number)
                if any(other in inside for other in missing):
                    raise ValueError(f"refers in a circle at {place(self._nodes[number].loc) or 'its top'}")
                going += missing
            if total > _MAX_CLOSURES:
                raise ValueError("refers to itself in too many ways")
        self._closures = [found[number] for number in range(len(self._nodes))]

    def _closure(self, number: int, found: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
        closure = {number: 1}
        for other in self._nodes[number].same:
            for inner, times in found[other].items():
                closure[inner] = closure.get(inner, 0) + times
        return closure


def _applied(
    nodes: Sequence[tuple[_Node, int]], inner: Callable[[_Node], Iterable[int]]
) -> Mapping[int, int]:
    applied: dict[int, int] = {}
    for node, times in nodes:
        for number in inner(node):
            applied[number] = applied.get(number, 0) + times
    return applied
