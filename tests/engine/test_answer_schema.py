"""Checking answers against the JSON Schemas of apps."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmstack_api.engine.answer_schema import MAX_SCHEMA, answer_schema
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.schema_work import MAX_DEPTH, MAX_SCHEMAS, SchemaWork

PERSON: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "home": {"$ref": "#/$defs/place"},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}}}},
}
TREE: JsonObject = {
    "type": "object",
    "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}},
    "additionalProperties": False,
}


def mismatch(schema: JsonObject, answer: Json) -> str | None:
    return answer_schema(schema).mismatch(answer, name="parsed")


@pytest.mark.parametrize(
    "answer",
    [{"name": "A"}, {"name": "A", "age": None, "tags": ["a", "b"], "home": {"city": "Ulm", "more": 1}}],
)
def test_an_answer_that_fits_is_let_through(answer: Json) -> None:
    assert mismatch(PERSON, answer) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, 'parsed: "name" is a required property'),
        (
            {"name": "A", "age": "x"},
            'parsed.age: the value is not of types "null", "integer" (it is "x")',
        ),
        ({"name": "A", "age": -1}, "parsed.age: the value is less than the minimum of 0 (it is -1)"),
        ({"name": "A", "tags": ["a", "c"]}, "parsed.tags[1]: the value is not one of"),
        ({"name": "A", "home": {"city": "ulm"}}, 'parsed.home.city: the value does not match "^[A-Z]"'),
        ({"name": "A", "b": 1}, "parsed: Additional properties are not allowed ('b' was unexpected)"),
        ([1], 'parsed: the value is not of type "object" (it is an array of 1)'),
    ],
)
def test_the_place_and_what_is_wrong_are_named(answer: Json, said: str) -> None:
    found = mismatch(PERSON, answer)
    assert found is not None
    assert said in found


def test_what_is_said_is_short() -> None:
    person = {key: value for key, value in PERSON.items() if key != "$defs"}
    person["properties"] = {**person["properties"], "home": {}}
    long: list[Json] = [{"name": "", "age": "x" * 5000, "tags": [str(n) for n in range(100)]}, {}] * 10
    said = mismatch({"type": "array", "items": {"$ref": "#/$defs/person"}, "$defs": {"person": person}}, long)
    assert said is not None
    assert said.count("; ") == 2
    assert len(said) < 900


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "is no JSON Schema: type:"),
        ({"properties": {"a": {"minimum": "x"}}}, "is no JSON Schema: properties.a.minimum:"),
        ({"properties": {"a": {"pattern": "("}}}, "is no JSON Schema: properties.a.pattern:"),
        ({"pattern": "(?=a)"}, "is no JSON Schema"),
        ({"pattern": r"(\w{1,999}){1,999}"}, "is no JSON Schema"),
        ({"$schema": "https://example.com/mine"}, "is no JSON Schema"),
        ({"$ref": "https://example.com/s"}, "only a place inside"),
        ({"$ref": "file:///etc/passwd"}, "only a place inside"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "only a place inside"),
        ({"$ref": "#here"}, "only a place inside"),
        ({"$ref": "#/$defs/none"}, "where there is no schema"),
        ({"$ref": "#/properties", "properties": {}}, "where there is no schema"),
        ({"$ref": "#"}, "refers in a circle"),
        ({"anyOf": [{"not": {"$ref": "#/anyOf/0"}}]}, "refers in a circle"),
        ({"properties": {"a": {"$id": "https://example.com/a"}}}, "properties.a.$id, which is not taken"),
        ({"properties": {"a": {"unevaluatedProperties": False}}}, "is not taken"),
        ({"$dynamicRef": "#x"}, "is not taken"),
        ({"anyOf": [{"pattern": "a"}] * 33}, "more than 32 patterns"),
        ({"patternProperties": {f"{n}": True for n in range(33)}}, "more than 32 patterns"),
        ({"anyOf": [True] * MAX_SCHEMAS}, f"more than {MAX_SCHEMAS} schemas"),
        ({"description": "x" * MAX_SCHEMA}, "are the most"),
        ({"x": 2**70}, "is no JSON Schema"),
    ],
)
def test_a_schema_that_is_none_or_is_not_taken_is_refused(schema: JsonObject, said: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|refers)") as caught:
        answer_schema(schema)
    assert said in str(caught.value)


def test_members_may_be_called_as_keywords_are() -> None:
    schema = {"properties": {"$id": {"type": "string"}, "$ref": {"type": "integer"}, "$dynamicRef": True}}
    assert mismatch(schema, {"$id": "x", "$ref": 1}) is None
    assert mismatch(schema, {"$ref": "x"})


def test_a_schema_nested_too_deep_is_refused() -> None:
    schema: JsonObject = {}
    for _ in range(MAX_DEPTH):
        schema = {"not": schema}
    assert answer_schema(schema)
    with pytest.raises(ValueError, match="nested more than"):
        answer_schema({"not": schema})
    for _ in range(300):
        schema = {"not": schema}
    with pytest.raises(ValueError, match="is no JSON Schema"):
        answer_schema(schema)


def test_references_with_escapes_and_into_lists_are_followed() -> None:
    schema: JsonObject = {
        "properties": {"a": {"$ref": "#/$defs/x~1y%20z"}, "b": {"$ref": "#/properties/c/anyOf/1"}},
        "$defs": {"x/y z": {"type": "string"}},
    }
    schema["properties"]["c"] = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert mismatch(schema, {"a": "x", "b": None}) is None
    assert mismatch(schema, {"a": 1})
    assert mismatch(schema, {"b": 1})


def test_a_schema_may_refer_to_itself_where_the_value_ends() -> None:
    answer: JsonObject = {"n": 1}
    for _ in range(20):
        answer = {"left": answer, "right": {"n": 2}}
    assert mismatch(TREE, answer) is None
    answer["right"] = {"n": "x"}
    assert mismatch(TREE, answer) == 'parsed.right.n: the value is not of type "integer" (it is "x")'


def doubled(count: int) -> JsonObject:
    definitions: JsonObject = {"a0": {"type": "string"}}
    for number in range(1, count):
        definitions[f"a{number}"] = {"anyOf": [{"$ref": f"#/$defs/a{number - 1}"}] * 2}
    return {"$defs": definitions, "$ref": f"#/$defs/a{count - 1}"}


def nested(depth: int) -> JsonObject:
    answer: JsonObject = {}
    for _ in range(depth):
        answer = {"c": answer}
    return answer


BRANCHING: JsonObject = {
    "anyOf": [
        {"properties": {"c": {"$ref": "#"}}, "required": ["never"]},
        {"properties": {"c": {"$ref": "#"}}, "required": ["neither"]},
    ]
}


@pytest.mark.parametrize(
    ("schema", "answer"), [(doubled(60), 3), (BRANCHING, nested(60)), ({"enum": [0] * 9000}, [3])]
)
def test_no_schema_keeps_the_server_busy(schema: JsonObject, answer: Json) -> None:
    assert mismatch(schema, answer)


def test_where_too_many_ways_lead_nowhere_the_place_is_not_looked_for() -> None:
    assert mismatch(doubled(14), 3) == "parsed: it does not fit the schema"
    assert mismatch(BRANCHING, nested(3))
    said = mismatch(BRANCHING, nested(60))
    assert said is not None
    assert "too long" in said


def test_patterns_take_linear_time() -> None:
    assert mismatch({"pattern": "^(a+)+$"}, "a" * 100_000 + "b")


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_the_work_on_a_simple_schema_is_at_most_its_size_for_every_value(value: Any) -> None:
    work = SchemaWork({"items": {"items": True}, "additionalProperties": {"type": "string"}})
    assert 1 <= work.of(value, limit=10**9) <= 2 * len(repr(value))
