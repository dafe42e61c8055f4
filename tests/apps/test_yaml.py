import json
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from llmstack_api.apps.yaml import MAX_BYTES, MAX_DEPTH, MAX_NODES, dump_yaml, load_yaml
from llmstack_api.errors import BodyTooLargeError, MalformedRequestError

DEFINITION = """\
name: Website Chatbot
input_fields:
  - name: question
    required: true
    options: []
output:
  answer: "{{_inputs1.answer}}"
  shout: '{{ _inputs1.answer | append: "!" }}'
processors:
  - id: _inputs1
    config:
      k: 8
      temperature: 0.7
      instructions: |
        Answer from the passages.

          - cite them: [1]
        # never guess
      suffix: |-
        a
        b
"""


TOO_LARGE = "the number does not fit in 64 bits; put quotes around it to make it text"
DIRECTIVE = "directives are not accepted; no line may start with '%'"
NOT_FINITE = "the number is not finite; put quotes around it to make it text"


def refusal(text: str | bytes) -> str:
    with pytest.raises(MalformedRequestError) as caught:
        load_yaml(text.encode() if isinstance(text, str) else text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [x, 2.5]\nc:\n", {"a": 1, "b": ["x", 2.5], "c": None}),
        ("[null, ~, true, FALSE]", [None, None, True, False]),
        ("[yes, no, on, off, y, n]", ["yes", "no", "on", "off", "y", "n"]),
        (
            "[2024-01-01, 12:30:00, 1_000, 0o17, 0x1F, 007, 1.2.3, +, -, .]",
            ["2024-01-01", "12:30:00", "1_000", "0o17", "0x1F", "007", "1.2.3", "+", "-", "."],
        ),
        ("[-1, +1, 0, .5, 1., -1.5e3, 1E+2]", [-1, 1, 0, 0.5, 1.0, -1500.0, 100.0]),
        ("[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        ("{1: a, true: b, 2024-01-01: c}", {"1": "a", "true": "b", "2024-01-01": "c"}),
        ("{'<<': d, ~: e}", {"<<": "d", "~": "e"}),
        ("['1', \"true\", 'null', '']", ["1", "true", "null", ""]),
        ("a: |\n  x\n   y\n\nb: >-\n  x\n  y\n", {"a": "x\n y\n", "b": "x y"}),
        ("--- # comment\na: é\n...\n", {"a": "é"}),
        ("\ufeffa: 1", {"a": 1}),
        ('{"json": ["is", {"yaml": "\\u00e9"}]}', {"json": ["is", {"yaml": "é"}]}),
        ("a: '{{ _inputs1.x | append: \"y\" }}'", {"a": '{{ _inputs1.x | append: "y" }}'}),
        ("text", "text"),
        ("---\n", None),
    ],
)
def test_a_document_is_read_as_json_would_be(text: str, value: Any) -> None:
    assert repr(load_yaml(text.encode())) == repr(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the document is empty"),
        ("# nothing\n", "the document is empty"),
        ("a: [1,\nb: 2", "line 3, column 1: did not find expected ',' or ']'"),
        ("a:\n\t- b", "line 2, column 1: found character that cannot start any token"),
        ("a: &x 1", "line 1, column 4: the anchor '&x' is not accepted"),
        ("a: &x [1]\nb: *x", "line 1, column 4: the anchor '&x' is not accepted"),
        ("a: *x", "line 1, column 4: the alias '*x' is not accepted"),
        ("a:\n  b: !!python/x y", "line 2, column 6: the tag 'tag:yaml.org,2002:python/x' is not accepted"),
        ("! a", "line 1, column 1: the tag '!' is not accepted"),
        ("a: 1\n<<: {b: 2}", "line 2, column 1: merge keys ('<<') are not accepted"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' stands here for the second time"),
        ("1: a\n'1': b", "line 2, column 1: the key '1' stands here for the second time"),
        ("? [a]\n: b", "line 1, column 3: a key has to be text"),
        ("{{ a }}: b", "line 1, column 1: a key has to be text"),
        ("a\n---\nb", "line 2, column 1: a second document begins; one is accepted"),
        ("%YAML 1.1\n---\na", f"line 1, column 1: {DIRECTIVE}"),
        ("a\n...\n%TAG ! x\n---\nb", f"line 3, column 1: {DIRECTIVE}"),
        ("a: .inf", f"line 1, column 4: {NOT_FINITE}"),
        ("a: -.NaN", None),
        ("a: 1e999", f"line 1, column 4: {NOT_FINITE}"),
        ("- 18446744073709551616", f"line 1, column 3: {TOO_LARGE}"),
        ("a: " + "9" * 100_000, f"line 1, column 4: {TOO_LARGE}"),
        ('a: "\\0"', "line 1, column 4: the character U+0000 is not accepted"),
        ('a: "\\ud800"', "line 1, column 7: found invalid Unicode character escape code"),
        ("a:\n  \x07", "line 2, column 3: the character U+0007 is not accepted"),
        (b"a: \xff", "byte 4 is no UTF-8"),
        ("a".encode("utf-16"), "byte 1 is no UTF-8"),
        (b"a: \xed\xa0\x80", "byte 4 is no UTF-8"),
    ],
)
def test_what_json_could_not_hold_is_refused_with_its_place(text: str | bytes, message: str | None) -> None:
    if message is None:
        assert load_yaml(text if isinstance(text, bytes) else text.encode()) == {"a": "-.NaN"}
    else:
        assert refusal(text) == message


def test_a_document_is_bounded_in_depth_values_and_bytes() -> None:
    assert load_yaml(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    assert refusal("[" * 60_000) == "line 1, column 51: the document is nested deeper than 50 levels"
    assert refusal("- " * 60_000) == "line 1, column 101: the document is nested deeper than 50 levels"
    assert refusal("{a: " * 60_000).endswith("the document is nested deeper than 50 levels")
    assert refusal("[" + "a," * MAX_NODES + "]").endswith("the document has more than 50,000 values")
    with pytest.raises(BodyTooLargeError, match="at most 1,048,576 bytes, not 1,048,577"):
        load_yaml(b"a" * (MAX_BYTES + 1))


def test_an_exponential_document_is_refused() -> None:
    names = "abcdefghijklmnopqrst"
    merged = "".join(f"{new}: &{new} {{<<: [*{old}, *{old}]}}\n" for old, new in pairwise(names))
    bomb = "a: &a {x: 1}\n" + merged
    assert refusal(bomb) == "line 1, column 4: the anchor '&a' is not accepted"


def test_nested_brackets_do_not_kill_the_process() -> None:
    script = "import sys; from llmstack_api.apps.yaml import load_yaml; load_yaml(b'[' * 1_000_000)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 # ours
    assert done.returncode == 1
    assert "MalformedRequestError" in done.stderr


def test_a_definition_is_written_for_review() -> None:
    assert dump_yaml(load_yaml(DEFINITION.encode())) == DEFINITION


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}\n"),
        ([], "[]\n"),
        (None, "null\n"),
        ("a", "a\n"),
        ("a\nb", "|-\n  a\n  b\n"),
        ({"z": 1, "a": {"x": [], "b": {}}}, "z: 1\na:\n  x: []\n  b: {}\n"),
        ([[1, [2]], [{"a": 1, "b": "x\ny\n"}]], "- - 1\n  - - 2\n- - a: 1\n    b: |\n      x\n      y\n"),
        (
            ["yes", "No", "null", "1", "1e5", "-", ""],
            '- "yes"\n- "No"\n- "null"\n- "1"\n- "1e5"\n- "-"\n- ""\n',
        ),
        (
            ["a: b", "a #b", "#a", "a:", "2024-01-01"],
            '- "a: b"\n- "a #b"\n- "#a"\n- "a:"\n- "2024-01-01"\n',
        ),
        (
            ["https://example.org/a?b#c", "it's", "ünï 日本", 'say "hi"', "c:\\d"],
            '- https://example.org/a?b#c\n- it\'s\n- ünï 日本\n- say "hi"\n- c:\\d\n',
        ),
        (['"', "'\"", "{{ x }}", "\U0001f600"], "- '\"'\n- '''\"'\n- \"{{ x }}\"\n- \"\U0001f600\"\n"),
        (
            [" a\nb", "a\n \nb", "a\tb", "\n"],
            '- " a\\nb"\n- "a\\n \\nb"\n- "a\\tb"\n- "\\n"\n',
        ),
        (
            ["a\r\nb", "a\u2028\nb", "\x85\x7f"],
            '- "a\\r\\nb"\n- "a\\u2028\\nb"\n- "\\u0085\\u007f"\n',
        ),
        ({"k" * 200: [1], "yes": True, "1": 1.0}, f'? {"k" * 200}\n:\n  - 1\n"yes": true\n"1": 1.0\n'),
    ],
)
def test_a_value_is_written_so_that_no_reader_mistakes_it(value: Any, text: str) -> None:
    assert dump_yaml(value) == text
    assert load_yaml(text.encode()) == value


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.text(
    st.sampled_from(list("ab \n\t:#-'\"\\{[|>%&*!?,yno1.~<=_\r\x85\u2028é\U0001f600"))
)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@settings(deadline=None)
@given(JSON_VALUES)
@example({"a": "x\n\n\n", "b": ["x\n\n", {"c": "|+\n%y\n"}], "d": "---\nx\n...\n"})
def test_every_json_value_comes_back_exactly(value: Any) -> None:
    assert repr(load_yaml(dump_yaml(value).encode())) == repr(value)


@settings(max_examples=50, deadline=None)
@given(JSON_VALUES)
def test_json_is_yaml_but_for_escaped_surrogate_pairs(value: Any) -> None:
    text = json.dumps(value)
    assume(not re.search(r"\\ud[89ab]", text))
    assert repr(load_yaml(text.encode())) == repr(value)
