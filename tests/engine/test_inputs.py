import base64
import hashlib
from typing import Any

import pytest

from llmstack_api.engine.definition import InputField
from llmstack_api.engine.inputs import MAX_FILES, check_inputs, recorded_input
from llmstack_api.engine.ports import File
from llmstack_api.engine.sent import LONG, FormText, SentFile, read_files
from llmstack_api.errors import InvalidInputError

HOW = "data:<mime>;name=<file name>;base64,<data>"
HELLO = "data:text/plain;name=a.txt;base64,aGVsbG8="
HELLO_FACTS = {
    "name": "a.txt",
    "media_type": "text/plain",
    "size": 5,
    "sha256": hashlib.sha256(b"hello").hexdigest(),
}
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
        ("file", {"name": "a"}, "must be a string, a data URI: data:<mime>;name=<file name>;base64,<data>"),
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


# --- files -----------------------------------------------------------------------------------------------


def uri(size: int, media_type: str = "application/pdf", name: str = "") -> str:
    """Write a file of so many bytes as a data URI."""
    named = f";name={name}" if name else ""
    return f"data:{media_type}{named};base64,{base64.b64encode(b'x' * size).decode()}"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("hello", f"must be a data URI: {HOW}"),
        (
            " https://example.com/a.pdf",
            f"takes the file itself, not its address: write a data URI, {HOW}, or send a form",
        ),
        ("data:text/plain;base64,aGVs*bG8=", "is no base64"),
        ("data:text/plain", f"is no data URI: write {HOW}"),
        ("data:text/plain;name=a.txt;base64,", "the file is empty"),
        (5, f"must be a string, a data URI: {HOW}"),
    ],
)
def test_what_is_no_file_is_refused_with_what_to_send(value: Any, fault: str) -> None:
    for given in (value, read_files(value), FormText(str(value))):
        if isinstance(given, FormText) and not isinstance(value, str):
            continue
        assert faults({"q": given}, field(type="file")) == {"input.q": fault}


@pytest.mark.parametrize(
    "absent", [None, "", "  ", "data:,", "data:;base64,", FormText(""), SentFile.of(File(b""))], ids=str
)
def test_no_file_is_absent(absent: Any) -> None:
    for kind in ("file", "voice"):
        assert check_inputs([field(type=kind)], {"q": absent}) == {}
        assert check_inputs([field(type=kind, default=HELLO, accept=["text/*"])], {"q": absent}) == {
            "q": HELLO
        }
        assert faults({"q": absent}, field(type=kind, required=True)) == {"input.q": "required"}


def test_a_file_of_a_kind_that_the_field_does_not_take_is_refused_with_those_it_takes() -> None:
    picture = field(type="file", accept=["image/*", ".pdf"])

    assert check_inputs([picture], {"q": uri(3)}) == {"q": uri(3)}
    assert faults({"q": HELLO}, picture) == {
        "input.q": "must be a file of image/* or .pdf; it is text/plain, 'a.txt'"
    }
    assert faults({"q": "data:;base64,aGk="}, picture) == {
        "input.q": "must be a file of image/* or .pdf; it is of a type that it does not say"
    }
    assert faults({"q": uri(3)}, field(type="voice")) == {
        "input.q": "must be a file of audio/* or video/webm; it is application/pdf"
    }


def test_a_file_larger_than_the_field_takes_is_refused_with_both_sizes() -> None:
    small = field(type="file", max_bytes=2000)

    assert check_inputs([small], {"q": uri(2000)}) == {"q": uri(2000)}
    for sent in (uri(2001), read_files(uri(2001)), SentFile.of(File(b"x" * 2001))):
        assert faults({"q": sent}, small) == {
            "input.q": "must be a file of at most 2,000 bytes; it has 2,001"
        }


def test_a_field_of_text_takes_a_data_uri_as_text_and_no_file_of_a_form() -> None:
    long = uri(LONG)

    assert check_inputs([field()], {"q": read_files(long)}) == {"q": long}
    assert check_inputs([field()], {"q": "data: what is it?"}) == {"q": "data: what is it?"}
    for kind in ("string", "text", "number", "boolean", "select"):
        options = OPTIONS if kind == "select" else None
        assert faults({"q": SentFile.of(File(b"hello"))}, field(type=kind, options=options)) == {
            "input.q": "takes no file; send it as a part without a file name"
        }


@pytest.mark.parametrize(
    "value",
    [
        {"text": "a", "files": [{"data": HELLO, "name": "b", "size": 5, "type": "text/plain"}]},
        {"text": "a", "files": [HELLO, {"data": None}, {"data": "objref://1"}, 5]},
        {"text": "a", "files": None},
        {"files": HELLO, "other": [HELLO]},
        HELLO,
        [HELLO],
    ],
    ids=str,
)
def test_a_multi_field_takes_what_upstreams_clients_send(value: Any) -> None:
    assert check_inputs([field(type="multi")], {"q": value}) == {"q": value}
    long = {"text": "a", "files": [{"data": uri(LONG)}]}
    assert check_inputs([field(type="multi")], {"q": read_files(long)}) == {"q": long}


def test_the_files_of_a_multi_field_are_checked_one_by_one() -> None:
    picture = field(type="multi", filesAccept="image/*", filesMaxSize=2000)
    broken = {"data": "data:image/png;base64,*"}

    assert faults({"q": {"files": ["", broken]}}, picture) == {"input.q": "files[1]: is no base64"}
    assert faults({"q": {"files": [HELLO]}}, picture) == {
        "input.q": "files[0]: must be a file of image/*; it is text/plain, 'a.txt'"
    }
    assert faults({"q": {"files": [{"data": uri(2001, "image/png")}]}}, picture) == {
        "input.q": "files[0]: must be a file of at most 2,000 bytes; it has 2,001"
    }
    unnamed = {"data": "data:;base64,aGk=", "name": "a.png"}
    assert check_inputs([picture], {"q": {"files": [unnamed]}}) == {"q": {"files": [unnamed]}}
    assert faults({"q": {"files": [""] * (MAX_FILES + 1)}}, picture) == {"input.q": "has more than 100 files"}


def test_the_file_of_a_form_is_put_into_a_multi_field_as_upstreams_clients_do() -> None:
    file = SentFile.of(File(b"hello", "a.txt", "text/plain"))

    assert check_inputs([field(type="multi")], {"q": file}) == {
        "q": {"text": "", "files": [{"data": HELLO, "name": "a.txt", "size": 5, "type": "text/plain"}]}
    }


# --- forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        ("string", FormText("1", 1), "1"),
        ("text", FormText('{"a": 1}', {"a": 1}), '{"a": 1}'),
        ("file", FormText(HELLO), HELLO),
        ("number", FormText(" 1.5 ", 1.5), 1.5),
        ("boolean", FormText("true", value=True), True),
        ("boolean", FormText("False"), False),
        ("select", FormText("a"), "a"),
        ("select", FormText('"a"', "a"), "a"),
        ("select", FormText("1", 1), 1),
        ("select", FormText("true", value=True), True),
        ("multi", FormText("[urgent] help"), "[urgent] help"),
        ("multi", FormText("5", 5), "5"),
        ("multi", FormText('["a"]', ["a"]), ["a"]),
    ],
)
def test_a_text_of_a_form_is_read_by_the_type_of_its_field(kind: str, sent: FormText, value: Any) -> None:
    options = OPTIONS if kind == "select" else None

    assert check_inputs([field(type=kind, options=options)], {"q": sent}) == {"q": value}


@pytest.mark.parametrize(
    ("kind", "sent", "fault"),
    [
        ("number", FormText("a"), "must be a number"),
        ("number", FormText("true", value=True), "must be a number"),
        ("number", FormText("9" * 30, fault="is an integer beyond 64 bits"), "is an integer beyond 64 bits"),
        ("boolean", FormText("1", 1), "must be true or false"),
        ("select", FormText("b"), "must be one of 'a', 1, True"),
        ("multi", FormText("[", fault="is nested deeper than 64 levels"), "is nested deeper than 64 levels"),
    ],
)
def test_a_text_of_a_form_that_its_field_cannot_take_is_refused(
    kind: str, sent: FormText, fault: str
) -> None:
    options = OPTIONS if kind == "select" else None

    assert faults({"q": sent}, field(type=kind, options=options)) == {"input.q": fault}


def test_a_text_field_does_not_mind_that_its_text_is_no_good_json() -> None:
    sent = FormText("9" * 30, fault="is an integer beyond 64 bits")

    assert check_inputs([field()], {"q": sent}) == {"q": "9" * 30}


# --- the record ------------------------------------------------------------------------------------------


def test_a_record_has_of_files_what_they_were() -> None:
    fields = [field("f", type="file"), field("v", type="voice"), field("m", type="multi"), field("q")]
    long = uri(LONG, name="long.pdf")
    facts = {
        "name": "long.pdf",
        "media_type": "application/pdf",
        "size": LONG,
        "sha256": hashlib.sha256(b"x" * LONG).hexdigest(),
    }
    given = {"f": HELLO, "v": long, "m": {"text": "a", "files": [{"data": HELLO}, long]}, "q": long}
    recorded = {
        "f": HELLO_FACTS,
        "v": facts,
        "m": {"text": "a", "files": [{"data": HELLO_FACTS}, facts]},
        "q": facts,
    }

    assert recorded_input(fields, given) == recorded
    assert recorded_input(fields, {name: read_files(value) for name, value in given.items()}) == recorded


def test_a_record_keeps_what_is_no_file_as_it_was_sent() -> None:
    fields = [field("q"), field("n", type="number"), field("t", type="text"), field("f", type="file")]
    given = {
        "q": HELLO,
        "n": FormText("5", 5),
        "t": "data:text/plain, a long text; with commas, " + "and words " * 200,
        "f": "",
    }

    assert recorded_input(fields, given) == {**given, "n": 5, "f": None}
    for value in ([1, {"a": "b"}], "data: a, b", {"text": "data: a, b"}):
        assert recorded_input([field("m", type="multi")], {"m": value}) == {"m": value}


def test_a_record_of_a_form_is_what_was_meant() -> None:
    fields = [field("m", type="multi"), field("f", type="file"), field("b", type="boolean")]
    file = SentFile.of(File(b"hello", "a.txt", "text/plain"))

    assert recorded_input(fields, {"m": file, "f": file, "b": FormText("True")}) == {
        "m": {"text": "", "files": [{"data": HELLO_FACTS, "name": "a.txt", "size": 5, "type": "text/plain"}]},
        "f": HELLO_FACTS,
        "b": True,
    }
