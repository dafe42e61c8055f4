from typing import Any

import pytest

from llmstack_api.engine.definition import InputField
from llmstack_api.engine.inputs import check_inputs
from llmstack_api.errors import InvalidInputError

OPTIONS = [{"label": "A", "value": "a"}, {"label": "One", "value": 1}, {"label": "Yes", "value": True}]


def field(name: str = "q", **more: Any) -> InputField:
    return InputField.model_validate({"name": name, **more})


def faults(given: dict[str, Any], *fields: InputField) -> dict[str, str]:
    with pytest.raises(InvalidInputError) as caught:
        check_inputs(fields, given)
    return {fault.loc: fault.msg for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "a"),
        ("string", "{{ 7 | times: 7 }}"),
        ("text", "a\nb"),
        ("number", 1),
        ("number", -2.5),
        ("boolean", False),
        ("file", "data:text/plain;base64,aGk="),
        ("voice", "data:audio/wav;base64,aGk="),
        ("multi", "text"),
        ("multi", ["text", {"a": 1}]),
        ("multi", {"text": "a", "files": []}),
        ("select", "a"),
        ("select", 1),
        ("select", 1.0),
        ("select", True),
    ],
)
def test_a_value_of_the_fields_type_is_taken_as_it_is(kind: str, value: Any) -> None:
    options = OPTIONS if kind == "select" else None

    assert check_inputs([field(type=kind, options=options)], {"q": value}) == {"q": value}


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        ("string", 1, "must be a string"),
        ("text", ["a"], "must be a string"),
        ("number", "1", "must be a number"),
        ("number", True, "must be a number"),
        ("boolean", 1, "must be true or false"),
        ("boolean", "true", "must be true or false"),
        ("file", {"name": "a"}, "must be a string (a data URI)"),
        ("multi", 5, "must be a string, an array or an object"),
        ("select", "b", "must be one of 'a', 1, True"),
        ("select", "1", "must be one of 'a', 1, True"),
        ("select", ["a"], "must be one of 'a', 1, True"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(kind: str, value: Any, fault: str) -> None:
    options = OPTIONS if kind == "select" else None

    assert faults({"q": value}, field(type=kind, options=options)) == {"input.q": fault}


def test_true_is_not_one_of_the_numbers_of_a_select_nor_one_of_its_truths() -> None:
    number = field(type="select", options=[{"value": 1}])
    truth = field(type="select", options=[{"value": True}])

    assert faults({"q": True}, number) == {"input.q": "must be one of 1"}
    assert faults({"q": 1}, truth) == {"input.q": "must be one of True"}


def test_every_fault_is_told_at_once() -> None:
    found = faults(
        {"n": "x", "stranger": 1, "other": 2},
        field("q", required=True),
        field("n", type="number"),
    )

    assert found == {
        "input.q": "required",
        "input.n": "must be a number",
        "input.stranger": "no such input; the app has q, n",
        "input.other": "no such input; the app has q, n",
    }


def test_an_app_without_inputs_takes_none() -> None:
    assert check_inputs([], {}) == {}
    assert faults({"q": 1}) == {"input.q": "no such input; the app has none"}


@pytest.mark.parametrize("absent", [{}, {"q": None}, {"q": ""}])
def test_null_and_the_empty_string_in_an_optional_field_mean_absent(absent: dict[str, Any]) -> None:
    assert check_inputs([field(type="number")], absent) == {}
    assert check_inputs([field(type="number", default=0)], absent) == {"q": 0}
    assert check_inputs([field(type="boolean", default=False)], absent) == {"q": False}


def test_a_required_field_takes_the_empty_string_but_not_null() -> None:
    assert check_inputs([field(required=True)], {"q": ""}) == {"q": ""}
    assert faults({"q": None}, field(required=True)) == {"input.q": "required"}


def test_a_default_stands_in_for_a_required_value() -> None:
    assert check_inputs([field(required=True, default="hi")], {}) == {"q": "hi"}


def test_many_unknown_names_and_long_ones_are_told_in_a_bounded_answer() -> None:
    found = faults(
        {f"{number}{'x' * 500}": 1 for number in range(10_000)}, *[field(f"f{n}") for n in range(90)]
    )

    assert len(found) == 100
    assert max(map(len, found)) == 200
    assert next(iter(found.values())).endswith("f19 and 70 more")


def test_the_detail_names_the_first_fault() -> None:
    with pytest.raises(InvalidInputError, match=r"^input\.q: required$"):
        check_inputs([field(required=True)], {"x": 1})
