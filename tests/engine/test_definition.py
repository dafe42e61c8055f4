from typing import Any

import pytest

from llmstack_api.engine.definition import (
    MAX_FINDINGS,
    AppDefinition,
    Findings,
    known_keys,
    listed,
    message,
    place,
)
from llmstack_api.engine.reading import read_definition

STEP: dict[str, Any] = {"provider_slug": "promptly", "processor_slug": "echo"}


def read(**keys: Any) -> tuple[AppDefinition | None, Findings]:
    findings = Findings()
    definition = read_definition({"name": "App", "output": {"answer": "yes"}, **keys}, findings)
    return definition, findings


def faults(**keys: Any) -> dict[str, str]:
    _, findings = read(**keys)
    return {fault.loc: fault.msg for fault in findings.faults}


def warnings(**keys: Any) -> list[str]:
    definition, findings = read(**keys)
    assert definition is not None
    assert findings.faults == []
    return [warning.loc for warning in findings.warnings]


def test_a_name_and_an_output_are_all_a_definition_needs() -> None:
    definition, findings = read()

    assert definition is not None
    assert findings == Findings()
    assert definition.type_slug == "web"
    assert definition.output_keys() == {"answer": "yes"}


def test_upstreams_single_output_becomes_the_key_output() -> None:
    definition, findings = read(output=None, output_template={"markdown": "{{_inputs0.q}}"})

    assert definition is not None
    assert findings.faults == []
    assert definition.output_keys() == {"output": "{{_inputs0.q}}"}


@pytest.mark.parametrize("raw", [None, [], "name: x", 5, True])
def test_what_is_no_object_is_refused(raw: Any) -> None:
    findings = Findings()

    assert read_definition(raw, findings) is None
    assert findings.faults[0].msg == "an app definition is an object"


@pytest.mark.parametrize("name", ["", None, "x" * 201, 7, ["a"]])
def test_a_name_has_1_to_200_characters(name: Any) -> None:
    assert list(faults(name=name)) == ["name"]


def test_a_missing_name_is_named() -> None:
    findings = Findings()
    read_definition({"output": {"a": "b"}}, findings)

    assert [(fault.loc, fault.msg) for fault in findings.faults] == [("name", "required")]


def test_names_are_kept_in_any_script() -> None:
    definition, _ = read(name="  Ünïcødé 名前 🤖  ")

    assert definition is not None
    assert definition.name == "  Ünïcødé 名前 🤖  "


def test_null_and_the_empty_string_in_an_optional_field_mean_absent() -> None:
    definition, findings = read(
        type_slug="",
        description=None,
        config="",
        input_fields=[
            {"name": "q", "title": "", "type": None, "required": "", "default": "", "options": None}
        ],
        processors=[{**STEP, "id": "", "input": None, "config": "", "timeout": "", "on_error": None}],
    )

    assert findings == Findings()
    assert definition is not None
    assert definition.type_slug == "web"
    assert definition.input_fields[0].type == "string"
    assert definition.processors[0].id == "_inputs1"
    assert definition.processors[0].on_error == "fail"


def test_unknown_keys_are_refused_everywhere_and_the_known_ones_named() -> None:
    found = faults(
        colour="red",
        nothing=None,
        input_fields=[{"name": "q", "mandatory": True}],
        processors=[STEP, {**STEP, "retries": 3}],
    )

    assert found["colour"].startswith("unknown key; known are name, type_slug, description")
    assert found["nothing"].startswith("unknown key")
    assert "required" in found["input_fields[0].mandatory"]
    assert "on_error" in found["processors[1].retries"]
    assert len(found) == 4


def test_unknown_keys_inside_output_template_and_options_name_theirs() -> None:
    found = faults(
        output=None,
        output_template={"html": "x"},
        input_fields=[{"name": "q", "type": "select", "options": [{"value": "a", "text": "A"}]}],
    )

    assert found == {
        "output_template.html": "unknown key; known are markdown",
        "input_fields[0].options[0].text": "unknown key; known are label, value",
    }


def test_every_fault_of_the_shape_is_told_at_once() -> None:
    found = faults(
        name="",
        type_slug="voice",
        description=5,
        config=[],
        input_fields=[{"type": "date"}, "question"],
        processors=[
            {"provider_slug": "promptly", "timeout": 0, "on_error": "retry"},
            "echo",
            {**STEP, "input": "text", "id": 7},
        ],
    )

    assert sorted(found) == [
        "config",
        "description",
        "input_fields[0].name",
        "input_fields[0].type",
        "input_fields[1]",
        "name",
        "processors[0].on_error",
        "processors[0].processor_slug",
        "processors[0].timeout",
        "processors[1]",
        "processors[2].id",
        "processors[2].input",
        "type_slug",
    ]


def test_output_and_output_template_exclude_each_other() -> None:
    assert faults(output_template={"markdown": "x"}) == {
        "output": "give either output or output_template, not both"
    }
    assert faults(output=None) == {
        "output": "missing: give output (keys and their templates) or output_template"
    }
    assert list(faults(output={})) == ["output"]


@pytest.mark.parametrize("key", ["session", "run", "errors", "done"])
def test_keys_of_the_stream_itself_are_reserved(key: str) -> None:
    found = faults(output={key: "x", "answer": "y"})

    assert list(found) == [f"output.{key}"]
    assert "reserved" in found[f"output.{key}"]


def test_output_keys_have_1_to_200_characters() -> None:
    assert faults(output={"ä ö.ü": "fine", "x" * 200: "fine"}) == {}
    assert len(faults(output={"": "x", "y" * 201: "x"})) == 2


@pytest.mark.parametrize(
    ("ids", "faulty"),
    [
        (["a", "b", "a"], {"processors[2].id": "'a' is used twice"}),
        (
            ["9", "b"],
            {"processors[0].id": "an id is a letter or _ and then up to 63 letters, digits, _ or -"},
        ),
        (["a b"], {"processors[0].id": "an id is a letter or _ and then up to 63 letters, digits, _ or -"}),
        (["_inputs2", "x"], {"processors[0].id": "'_inputs2' names another place; this one is _inputs1"}),
        (["_inputs0"], {"processors[0].id": "'_inputs0' names another place; this one is _inputs1"}),
        (["_inputs"], {"processors[0].id": "'_inputs' names another place; this one is _inputs1"}),
        (["true"], {"processors[0].id": "'true' is a word of Liquid's own"}),
        (["_inputs1", None, "my-step_3"], {}),
    ],
)
def test_step_ids_are_unique_and_can_be_named_in_templates(ids: list[Any], faulty: dict[str, str]) -> None:
    assert faults(processors=[{**STEP, "id": step_id} for step_id in ids]) == faulty


@pytest.mark.parametrize("timeout", [0, -1, 3601, "5", True])
def test_a_timeout_is_a_number_of_seconds_up_to_an_hour(timeout: Any) -> None:
    assert list(faults(processors=[{**STEP, "timeout": timeout}])) == ["processors[0].timeout"]


def test_timeout_and_on_error_are_taken() -> None:
    definition, _ = read(processors=[{**STEP, "timeout": 1.5, "on_error": "continue"}])

    assert definition is not None
    assert (definition.processors[0].timeout, definition.processors[0].on_error) == (1.5, "continue")


def test_input_fields_are_declared_once() -> None:
    assert faults(input_fields=[{"name": "q"}, {"name": "Q"}, {"name": "q"}]) == {
        "input_fields[2].name": "'q' is declared twice"
    }


def test_a_select_needs_options() -> None:
    assert list(faults(input_fields=[{"name": "q", "type": "select"}])) == ["input_fields[0].options"]


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        ({"type": "number", "default": "5"}, "must be a number"),
        ({"type": "number", "default": True}, "must be a number"),
        ({"type": "boolean", "default": 1}, "must be true or false"),
        ({"type": "string", "default": 5}, "must be a string"),
        (
            {"type": "select", "default": "c", "options": [{"value": "a"}, {"value": 2}]},
            "must be one of 'a', 2",
        ),
        ({"type": "number", "default": 0}, None),
        ({"type": "boolean", "default": False}, None),
        ({"type": "select", "default": 2, "options": [{"value": "a"}, {"value": 2}]}, None),
    ],
)
def test_a_default_fits_its_field(field: dict[str, Any], fault: str | None) -> None:
    expected = {"input_fields[0].default": fault} if fault else {}

    assert faults(input_fields=[{"name": "q", **field}]) == expected


def test_options_keep_the_type_of_their_value() -> None:
    values: list[Any] = ["a", 1, 2.5, True, 2**53 + 1]
    definition, _ = read(
        input_fields=[{"name": "q", "type": "select", "options": [{"value": value} for value in values]}]
    )

    assert definition is not None
    kept = [option.value for option in definition.input_fields[0].options or ()]
    assert kept == values
    assert [type(value) for value in kept] == [type(value) for value in values]


@pytest.mark.parametrize("value", [["a"], {"a": 1}, None])
def test_an_option_is_a_single_value(value: Any) -> None:
    found = faults(input_fields=[{"name": "q", "type": "select", "options": [{"value": value}]}])

    assert found == {"input_fields[0].options[0].value": "must be a string, a number, true or false"}


def test_presentation_fields_of_upstream_are_kept_with_a_warning_each() -> None:
    assert warnings(
        slug="website-chatbot",
        icon="",
        category_slugs=["a"],
        config={"layout": "x", "theme": 1},
        web_config={"domain": "https://example.com"},
        input_fields=[{"name": "q", "placeholder": "Ask"}],
        processors=[{**STEP, "icon": None, "output_template": {"markdown": "{{answer}}"}}],
        output=None,
        output_template={"markdown": "x", "jsonpath": "$.a"},
    ) == [
        "slug",
        "icon",
        "category_slugs",
        "web_config",
        "processors[0].icon",
        "input_fields[0].placeholder",
        "output_template.jsonpath",
        "config.layout",
        "config.theme",
        "processors[0].output_template",
    ]


@pytest.mark.parametrize(
    "secret",
    [
        {"config": {"api_key": "sk-1"}},
        {"config": {"connection": [{"openai_api_key": "sk-1"}]}},
        {"web_config": {"API-KEY": "sk-1"}},
        {"processors": [{**STEP, "config": {"api_key": "{{_inputs0.key}}"}}]},
        {"processors": [{**STEP, "input": {"headers": {"x-api-key": "k"}}}]},
        {"api_key": "sk-1"},
    ],
)
def test_an_api_key_is_refused_at_any_depth_with_a_pointer_to_the_settings(secret: dict[str, Any]) -> None:
    found = faults(**secret)

    assert len(found) == 1
    assert "set the key in the provider's settings" in next(iter(found.values()))


def test_an_output_key_may_be_called_api_key() -> None:
    assert faults(output={"api_key": "{{_inputs0.q}}"}) == {}


def test_findings_are_bounded_in_number_and_length() -> None:
    _, findings = read(**{f"{number}{'x' * 1000}": 1 for number in range(500)})

    assert len(findings.faults) == MAX_FINDINGS + 1
    assert findings.faults[-1].msg == "there is more; these are the first 100"
    assert max(len(fault.loc) for fault in findings.faults) == 200


def test_too_many_values_or_too_much_liquid_are_refused_before_anything_is_compiled() -> None:
    assert "values" in faults(web_config={"list": [0] * 30_000})[""]
    assert "Liquid" in faults(output={"a": "{{x}}" * 10_000})[""]
    assert "Liquid" in faults(output={"a": "{{" + "x" * 70_000})[""]
    assert faults(description="x" * 200_000) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [("processors", [STEP] * 101), ("input_fields", [{"name": "q"}] * 101), ("processors", {})],
)
def test_lists_of_the_wrong_kind_or_length_are_told_and_nothing_beyond(key: str, value: Any) -> None:
    assert list(faults(**{key: value})) == [key]


def test_places_are_written_as_users_read_them() -> None:
    assert place(("processors", 1, "input", "question")) == "processors[1].input.question"
    assert place(()) == ""


def test_long_lists_of_names_are_cut() -> None:
    assert listed([]) == "none"
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(25)]).endswith("18, 19 and 5 more")


def test_messages_drop_what_pydantic_puts_before_them() -> None:
    assert message({"type": "value_error", "msg": "Value error, must be even"}) == "must be even"
    assert message({"type": "extra_forbidden", "msg": "x"}) == "x"


def test_known_keys_are_those_of_the_model_that_holds_the_place() -> None:
    assert known_keys(AppDefinition, ("input_fields", 3, "options", 0, "x")) == ["label", "value"]
    assert known_keys(AppDefinition, ("output_template", "x")) == ["markdown"]
