"""What processors of models have in common that do not converse: where a model is called, and for how long."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from pydantic import Field

from llmstack_api.engine.ports import MAX_TOKENS, Capability, File, Json, JsonObject, ModelCall, Usage
from llmstack_api.engine.processor import ProcessorModel, StepContext
from llmstack_api.errors import ProcessorInputError, StepTimeoutError

_Result = TypeVar("_Result")

NOTHING: Final[tuple[Json, ...]] = (None, "", [], {})
"""Values that stand for a field that is not set."""


class ModelConfig(ProcessorModel):
    """Which model is called, and where."""

    provider: str = "openai"
    """Provider whose address and key are used."""
    base_url: str | None = None
    """Another address to call, without any key."""
    model: str | None = None
    """Name of the model; where it is left out, the provider's default model for this."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that the call may take."""


def address_of(base_url: str | None) -> str | None:
    """Return the address that an app gives; None where it is blank."""
    return (base_url or "").strip() or None


def default_of(context: StepContext, capability: Capability, *, provider: str, named: str | None) -> str:
    """Return the model that an app names, or the provider's default for a capability.

    Raises:
        ProcessorInputError: there is neither.
    """
    model = (named or "").strip() or context.ports.chat.default_model(provider, capability)
    if model is None:
        raise ProcessorInputError(
            f"config.model: the provider {provider!r} has no default model for this; name one."
        )
    return model


async def within(seconds: float | None, work: Awaitable[_Result]) -> _Result:
    """Wait for a call of a model.

    Raises:
        StepTimeoutError: it took longer.
    """
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            return await work
    except TimeoutError:
        if not deadline.expired():
            raise
        raise StepTimeoutError(f"The model took longer than config.timeout, {seconds:g} s.") from None


async def call_model(
    context: StepContext,
    config: ModelConfig,
    *,
    path: str,
    fields: JsonObject,
    file: File | None = None,
) -> File:
    """Call an operation that answers in one piece; fields that are not set are not sent."""
    call = ModelCall(
        provider=config.provider,
        path=path,
        fields={name: value for name, value in fields.items() if value not in NOTHING},
        files={"file": file} if file else {},
        base_url=address_of(config.base_url),
    )
    return await within(config.timeout, context.ports.models.call(call))


def usage_of(answer: JsonObject) -> Usage:
    """Read the tokens that an operation tells of; those of speech and images are not told by every server."""
    counts = answer.get("usage")
    if not isinstance(counts, dict):
        return Usage()
    return Usage(_count(counts.get("input_tokens")), _count(counts.get("output_tokens")))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] # JSON


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None
