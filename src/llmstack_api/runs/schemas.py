"""Bodies of the run endpoints."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from llmstack_api.engine.ports import Json
from llmstack_api.models import SESSION_ID_LENGTH, RunStatus
from llmstack_api.web.routing import RequestModel

SESSION_ID_PATTERN = rf"^[A-Za-z0-9._:-]{{1,{SESSION_ID_LENGTH}}}$"
SessionId = Annotated[
    str,
    Field(
        pattern=SESSION_ID_PATTERN,
        description="Chosen by the caller; 1-128 characters of `[A-Za-z0-9._:-]`.",
        examples=["visitor-42"],
    ),
]


class RunIn(RequestModel):
    """What to run an app with."""

    input: dict[str, Any] = Field(
        default_factory=dict[str, Any], examples=[{"question": "What is a session?"}]
    )
    """Values of the app's input fields; files as data URIs."""
    stream: Annotated[bool, Field(strict=True)] = False
    """Whether the output is streamed as it is made."""
    session_id: SessionId | None = None
    """The session to go on with; here or in the path."""


class _Out(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, from_attributes=True)


class SessionRef(_Out):
    """Which session."""

    id: str
    """Give it to the next run to go on with the conversation."""


class UsageOut(_Out):
    """Tokens as the model servers counted them; null where none said."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class RunRef(_Out):
    """Which run, and how it ended."""

    id: UUID
    status: RunStatus


class RunAnswer(_Out):
    """Answer of a blocking run."""

    session: SessionRef
    output: dict[str, Any]
    """One value per output key of the app."""
    run: RunRef
    usage: UsageOut


class ErrorOut(_Out):
    """One thing that went wrong in a run."""

    code: str
    """The slug that the problem's `type` ends in."""
    message: str
    processor: str | None = None
    """Id of the step that failed."""


class StepOut(_Out):
    """How one step went; times in milliseconds since the run began."""

    id: str
    processor: str
    """`provider_slug/processor_slug`."""
    status: str
    """`succeeded`, `failed`, `cancelled`, or `skipped` when the run ended before it began."""
    started_ms: float | None = None
    first_output_ms: float | None = None
    finished_ms: float | None = None
    usage: UsageOut = UsageOut()
    error: Json = None
    steps: list[dict[str, Any]] | None = None
    """Of an agent alone: its steps, each with what the model said and the tool calls, their arguments, results,
    errors and times."""


class RunSummary(_Out):
    """One run, without its input and output."""

    id: UUID
    status: RunStatus
    app: UUID
    version: int
    """Version of the app that ran."""
    session: SessionRef
    stream: bool
    usage: UsageOut
    errors: list[ErrorOut]
    created_at: datetime
    finished_at: datetime | None
    """Null while it is running."""


class RunOut(RunSummary):
    """One run."""

    input: dict[str, Any]
    """As it was sent; in place of a file stands `{"name", "media_type", "size", "sha256"}`, its size in bytes."""
    output: dict[str, Any] | None
    """What had been made; partial unless the run succeeded, null while it is running."""
    steps: list[StepOut]


class SessionSummary(_Out):
    """One session of an app."""

    id: str
    created_at: datetime
    updated_at: datetime


class SessionOut(SessionSummary):
    """One session and what its processors remember."""

    messages: dict[str, list[Json]]
    """Messages by processor id, oldest first."""
