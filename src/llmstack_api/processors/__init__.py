"""The registry of processors: ours, explicit; third parties' by entry point."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from llmstack_api.engine.processor import Processor
from llmstack_api.processors.echo import Echo
from llmstack_api.processors.openai_chatgpt import ChatGPT

Registry = Mapping[str, type[Processor[Any, Any]]]
"""Processor classes by `provider_slug/slug`."""

_OURS: tuple[type[Processor[Any, Any]], ...] = (Echo, ChatGPT)

REGISTRY: Registry = MappingProxyType({f"{kind.provider_slug}/{kind.slug}": kind for kind in _OURS})
