"""Bodies of the app endpoints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from llmstack_api.engine.definition import NAME, AppDefinition, InputField


class SchemaOf:
    """Marks a JSON value that is documented as a model but not validated by it."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


AppChanges = create_model(
    "AppChanges",
    __base__=AppDefinition,
    __doc__="Keys of a definition to replace; null or the empty string takes an optional one away.",
    name=(NAME, Field(default="", description="What people call it; need not be unique.")),
)


class AppOut(AppDefinition):
    """An app: its definition's keys and what the server adds. Keys kept without effect are there too."""

    model_config = ConfigDict(extra="allow")

    uuid: UUID
    version: int
    """1 at first; each change makes the next one."""
    created_at: datetime
    updated_at: datetime
    """When this version was saved."""


class WarningOut(BaseModel):
    """Something that was saved and has no effect."""

    loc: str
    msg: str


class SavedAppOut(AppOut):
    """An app that was just saved."""

    warnings: list[WarningOut]
    """What was kept without effect, and templates that name an undeclared input."""


class VersionOut(BaseModel):
    """One version of an app, without its definition."""

    version: int
    created_at: datetime


class AppSchemaOut(BaseModel):
    """JSON Schemas of an app's two sides."""

    input: dict[str, Any]
    output: dict[str, Any]


class ProcessorOut(BaseModel):
    """A processor, and the JSON Schemas of its three sides."""

    provider_slug: str
    slug: str
    name: str
    description: str
    input: dict[str, Any]
    config: dict[str, Any]
    output: dict[str, Any]


class NeedsOut(BaseModel):
    """What has to be there before an app can do its work."""

    model_config = ConfigDict(from_attributes=True)

    model: bool
    """A model provider, see `GET /api/providers`."""
    datasource: bool
    """A datasource, see `POST /api/datasources`."""
    web_search: bool
    """A search engine, which the operator sets."""


class TemplateOut(BaseModel):
    """An app to begin with."""

    slug: str
    """Names the template."""
    name: str
    description: str
    type_slug: str
    needs: NeedsOut
    input_fields: list[InputField]
    """What a run of the app takes."""
    definition: dict[str, Any]
    """To be posted to `/api/apps` as it is, or after changes."""
