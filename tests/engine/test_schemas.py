from typing import Any

import pytest
from pydantic import Field

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.processor import ProcessorModel
from llmstack_api.engine.schemas import DIALECT, describe_processor, input_schema, output_schema
from llmstack_api.engine.shapes import ANYTHING, NoSuchFieldError, at, shape_of
from tests.engine.typed import REGISTRY, Typed, TypedOutput, app, typed

CITATION = shape_of(TypedOutput)["properties"]["citations"]["items"]


class Tree(ProcessorModel):
    name: str
    children: list["Tree"] = Field(default_factory=list["Tree"])


def output_of(template: Any, **step: Any) -> JsonObject:
    plan, findings = compile_app(app(typed(**step), output={"answer": template}), REGISTRY)
    assert plan is not None, findings.faults
    return output_schema(plan)["properties"]["answer"]


def test_the_input_schema_describes_every_kind_of_field() -> None:
    plan, _ = compile_app(
        app(
            input_fields=[
                {"name": "q", "title": "Question", "description": "What to ask", "required": True},
                {"name": "n", "type": "number", "default": 0, "required": True},
                {"name": "f", "type": "file"},
                {"name": "c", "type": "select", "options": [{"value": "a"}, {"value": 1}]},
                {"name": "m", "type": "multi"},
            ]
        ),
        REGISTRY,
    )
    assert plan is not None

    assert input_schema(plan.input_fields) == {
        "$schema": DIALECT,
        "type": "object",
        "properties": {
            "q": {"type": "string", "title": "Question", "description": "What to ask"},
            "n": {"type": "number", "title": "n", "default": 0},
            "f": {
                "type": "string",
                "format": "data-url",
                "title": "f",
                "description": "The file as a data URI: `data:<mime>;name=<file name>;base64,<data>`.",
            },
            "c": {"title": "c", "enum": ["a", 1]},
            "m": {"type": ["string", "array", "object"], "title": "m"},
        },
        "additionalProperties": False,
        "required": ["q"],
    }


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({"type": "file"}, {}),
        ({"type": "file", "accept": [".csv"], "max_bytes": 5}, {"x-accept": [".csv"], "x-max-bytes": 5}),
        ({"type": "voice"}, {"x-accept": ["audio/*", "video/webm"]}),
        ({"type": "multi", "accept": ["image/*"]}, {"x-accept": ["image/*"]}),
        ({"type": "string", "accept": ["image/*"]}, {}),
    ],
)
def test_the_schema_of_a_file_says_what_the_field_takes(given: JsonObject, limits: JsonObject) -> None:
    plan, _ = compile_app(app(input_fields=[{"name": "f", **given}]), REGISTRY)
    assert plan is not None
    schema = input_schema(plan.input_fields)["properties"]["f"]

    assert {key: value for key, value in schema.items() if key.startswith("x-")} == limits


def test_the_output_schema_has_every_key() -> None:
    plan, _ = compile_app(app(output={"a": "x", "b": "{{_inputs0.q}}!"}), REGISTRY)
    assert plan is not None

    assert output_schema(plan) == {
        "$schema": DIALECT,
        "type": "object",
        "properties": {"a": {"const": "x"}, "b": {"type": "string"}},
        "additionalProperties": False,
        "required": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("template", "schema"),
    [
        ("{{_inputs1.answer}}", {"type": "string", "title": "Answer"}),
        ("{{_inputs1.answer | upcase}}", {"type": "string"}),
        ("{{_inputs1.answer}}.", {"type": "string"}),
        ("{{_inputs1.citations}}", {"type": "array", "title": "Citations", "items": CITATION}),
        ("{{_inputs1.citations[0]}}", CITATION),
        ("{{_inputs1.citations[0].score}}", {"type": "number", "title": "Score"}),
        ("{{_inputs1.citations.size}}", {"type": "string"}),
        ("{{_inputs1.parsed}}", {"title": "Parsed", "default": None}),
        ("{{_inputs1.parsed.deep}}", {}),
        ("{{_inputs1}}", shape_of(TypedOutput)),
        ("{{_inputs0.n}}", {"type": "number", "title": "n", "default": 3}),
        ("{{_inputs0.q}}", {"type": "string", "title": "q"}),
        ("{{_inputs0.q.deep}}", {}),
        ("{{_inputs0.nobody}}", {"const": ""}),
        ("{{_inputs0}}", {"type": "object"}),
        (5, {"const": 5}),
        ([1, 2], {"const": [1, 2]}),
        (
            ["{{_inputs1.answer}}", 1],
            {
                "type": "array",
                "prefixItems": [{"type": "string", "title": "Answer"}, {"const": 1}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (
            {"text": "{{_inputs1.codes}}"},
            {
                "type": "object",
                "properties": {"text": {"type": "array", "items": {"type": "integer"}, "title": "Codes"}},
                "required": ["text"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_a_bare_variable_has_the_schema_of_what_it_names(template: Any, schema: JsonObject) -> None:
    assert output_of(template) == schema


def test_a_field_of_a_step_that_may_fail_may_be_null() -> None:
    assert output_of("{{_inputs1.answer}}", on_error="continue") == {
        "anyOf": [{"type": "string", "title": "Answer"}, {"type": "null"}]
    }


def test_a_shape_has_no_references_and_ends_where_it_holds_itself() -> None:
    tree = shape_of(Tree)

    assert "$ref" not in str(tree)
    assert at(tree, ("name",)) == {"type": "string", "title": "Name"}
    assert at(tree, ("children", 0, "children", "last", "whatever")) == ANYTHING


def test_an_optional_part_of_an_output_can_be_entered() -> None:
    shape = shape_of(TypedOutput)

    assert at(shape, ("best", "score")) == {"type": "number", "title": "Score"}
    with pytest.raises(NoSuchFieldError, match="there is no field 'txt'"):
        at(shape, ("best", "txt"))


def test_a_processor_is_described_by_its_three_sides() -> None:
    described = describe_processor(Typed)

    assert described["name"] == "test/typed"
    assert described["description"] == "Answers a question."
    assert described["input"]["required"] == ["question"]
    assert described["config"]["properties"]["k"]["maximum"] == 10
    assert "citations" in described["output"]["properties"]
