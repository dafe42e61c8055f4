"""Checks a model's answer against a JSON Schema of an app: no schema takes more than a bounded time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from llmstack_api.engine.definition import place
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.schema_work import SchemaWork

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

MAX_SCHEMA: Final = 64 * 1024
"""Bytes of a schema, as JSON."""

MAX_WORK: Final = 300_000
"""Applications of a schema to a value in one check; some 0.1 s."""

_MAX_EXPLAINED: Final = 5_000
"""Likewise, where what does not fit is looked for: each takes many times longer then."""

_MAX_REGEX: Final = 64 * 1024
"""Bytes of a compiled regular expression."""

_FAULTS: Final = 3
_MESSAGE: Final = 200
_SHOWN: Final = 60
_VALUE: Final = "the value"
_CHECKERS: Final = 32
"""Compiled schemas that are kept."""


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """A JSON Schema that can be checked."""

    _validator: "Validator"
    _work: SchemaWork

    def mismatch(self, answer: Json, *, name: str) -> str | None:
        """Say where and how an answer does not fit; None where it does. `name` is what the answer is called."""
        if not self._work.is_small(answer) and self._work.of(answer, limit=MAX_WORK) > MAX_WORK:
            return f"{name}: checking it would take too long; the schema offers too many ways to read it"
        if self._validator.is_valid(answer):
            return None
        if self._work.of(answer, limit=_MAX_EXPLAINED) > _MAX_EXPLAINED:
            return f"{name}: it does not fit the schema"
        return "; ".join(_said(error, name) for error in islice(self._validator.iter_errors(answer), _FAULTS))


def answer_schema(schema: JsonObject) -> AnswerSchema:
    """Compile a schema, or take it from those that were compiled lately.

    References must be to a place inside the schema. `format` is an annotation, as JSON Schema has it by default.

    Raises:
        ValueError: it is no JSON Schema, or one that is not taken; the message says why.
    """
    try:
        written = orjson.dumps(schema)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"is no JSON Schema: {error}") from None
    if len(written) > MAX_SCHEMA:
        raise ValueError(f"is a schema of {len(written):,} bytes; {MAX_SCHEMA:,} are the most")
    return _compiled(written)


@lru_cache(maxsize=_CHECKERS)
def _compiled(written: bytes) -> AnswerSchema:
    import jsonschema_rs  # noqa: PLC0415 # slow to import, not always needed

    schema: JsonObject = orjson.loads(written)
    work = SchemaWork(schema)
    try:
        validator = jsonschema_rs.validator_for(
            schema,
            validate_formats=False,
            mask=_VALUE,
            # Linear in the text, unlike the default.
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_MAX_REGEX, dfa_size_limit=_MAX_REGEX),
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise ValueError(f"is no JSON Schema: {_said(error, '')}") from None
    except ValueError as error:
        raise ValueError(f"is no JSON Schema: {_cut(str(error))}") from None
    return AnswerSchema(validator, work)


def _said(error: "ValidationError", name: str) -> str:
    where = place((*([name] if name else []), *error.instance_path))
    said = f"{where}: {_cut(error.message)}" if where else _cut(error.message)
    if error.message.startswith(_VALUE):
        said += f" (it is {_shown(error.instance)})"
    return said


def _shown(value: Any) -> str:  # noqa: ANN401 # JSON
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(cast('Sequence[Json]', value))}"
    written = orjson.dumps(value).decode()
    return written if len(written) <= _SHOWN else written[: _SHOWN - 1] + "…"


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE else text[: _MESSAGE - 1] + "…"
