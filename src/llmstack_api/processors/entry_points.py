"""Processors of other packages, by the entry points of a group."""

import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from types import MappingProxyType
from typing import Any, Final, cast

from llmstack_api.engine.plan import Registry
from llmstack_api.engine.processor import Processor, ProcessorModel
from llmstack_api.engine.schemas import describe_processor
from llmstack_api.errors import StartError

GROUP: Final = "llmstack_api.processors"

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SIDES: Final = ("Input", "Config", "Output")
_MAX_REASON: Final = 300
"""Characters of what a package says of its failure."""


def with_third_parties(ours: Registry) -> Registry:
    """Add the processors of installed packages to ours: all of them, or none.

    Raises:
        StartError: one line that names the package and the entry point.
    """
    found = entry_points(group=GROUP)
    return MappingProxyType({**ours, **_load_all(found, ours)}) if found else ours


def _load_all(found: Iterable[EntryPoint], ours: Registry) -> Registry:
    loaded: dict[str, type[Processor[Any, Any]]] = {}
    origins: dict[str, str] = {}
    for point in found:
        origin = _origin(point)
        kind = _load(point)
        name = f"{kind.provider_slug}/{kind.slug}"
        if name in ours or name in loaded:
            first = "this server itself" if name in ours else origins[name]
            raise StartError(f"{origin}: the processor {name} is there already, from {first}")
        loaded[name], origins[name] = kind, origin
    return loaded


def _origin(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "unknown"
    return f"package {package}, entry point {point.name!r} of {GROUP}"


def _load(point: EntryPoint) -> type[Processor[Any, Any]]:
    """Import a class and see that everything a server asks of it is there."""
    try:
        loaded: object = point.load()
        if isinstance(loaded, type) and issubclass(loaded, Processor):
            kind = cast("type[Processor[Any, Any]]", loaded)
            if (fault := _fault(kind)) is None:
                describe_processor(kind)
                return kind
        else:
            fault = "is no subclass of llmstack_api.engine.processor.Processor"
        reason = f"{point.value} {fault}"
    except Exception as error:  # noqa: BLE001 # a foreign module may raise anything; here it becomes the one line
        said = " ".join(str(error).split())[:_MAX_REASON]
        reason = f"{point.value} cannot be loaded: {type(error).__name__}: {said}"
    raise StartError(f"{_origin(point)}: {reason}")


def _fault(kind: type[Processor[Any, Any]]) -> str | None:
    """Say what a class lacks."""
    if isabstract(kind):
        return "does not say how it runs: it has no method run"
    for name in ("provider_slug", "slug"):
        slug = getattr(kind, name, None)
        if not (isinstance(slug, str) and _SLUG.fullmatch(slug)):
            return f"has no {name} of lower-case letters, digits, '_' and '-'"
    for name in _SIDES:
        side = getattr(kind, name, None)
        if not (isinstance(side, type) and issubclass(side, ProcessorModel)):
            return f"has no {name} that is a ProcessorModel"
    return None if (kind.__doc__ or "").strip() else "has no docstring, which says what it does"
