"""Base of the models that people fill in: unknown keys are refused, an empty optional one is none."""

from typing import cast

from pydantic import BaseModel, ConfigDict, model_validator

from llmstack_api.engine.ports import Json, JsonObject


def is_absent(value: object) -> bool:
    """Tell whether a value means, where it is optional, that there is none."""
    return value is None or value == ""


class StrictModel(BaseModel):
    """Null and the empty string mean absent where a key is optional; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _drop_absent(cls, data: Json) -> Json:
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {
            key: value
            for key, value in cast("JsonObject", data).items()
            if not is_absent(value) or key not in fields or fields[key].is_required()
        }
