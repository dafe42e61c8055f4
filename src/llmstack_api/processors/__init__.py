"""The registry of processors: ours, explicit; third parties' by entry point."""

from collections.abc import Mapping

from llmstack_api.engine.processor import Processor
from llmstack_api.processors.echo import Echo

ProcessorType = type[Processor]  # type: ignore[type-arg] # of any input and config
