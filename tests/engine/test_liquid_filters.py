import json
from typing import Any

import pytest

from llmstack_api.engine.liquid import Budget, parse, render
from llmstack_api.engine.liquid.filters import FILTERS

SCOPE: dict[str, Any] = {
    "_inputs0": {"items": ["b", "a", "B"], "off": False},
    "_inputs1": {"meta": {"k": [1, None, True]}},
    "people": [{"name": "Bo", "age": 5}, {"name": "Al", "age": 9}, {"name": "Cy"}],
    "nothing": None,
    "yes": True,
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("-3 | abs", "3"),
        ("3 | at_least: 5", "5"),
        ("3 | at_most: 2", "2"),
        ("1.2 | ceil", "2"),
        ("1.8 | floor", "1"),
        ("1.256 | round: 2", "1.26"),
        ("1.5 | round", "2"),
        ("0.1 | plus: 0.2", "0.3"),
        ("'3' | minus: 1", "2"),
        ("'x' | plus: 1", "1"),
        ("2 | times: 2.5", "5.0"),
        ("7 | divided_by: 2", "3"),
        ("7 | divided_by: 2.0", "3.5"),
        ("-7 | modulo: 3", "2"),
        ("-7.5 | modulo: 2", "0.5"),
        ("7 | times: 7", "49"),
        ("'a' | append: 'b'", "ab"),
        ("'a' | prepend: nothing", "a"),
        ("yes | append: '!'", "true!"),
        ("'hELLO' | capitalize", "Hello"),
        ("'é' | upcase", "É"),
        ("'É' | downcase", "é"),
        ("'<a>&\"' | escape", "&lt;a&gt;&amp;&quot;"),
        ("'1 < 2 &amp; 3' | escape_once", "1 &lt; 2 &amp; 3"),
        ('"it\'s <b>" | escapejs', "it\\u0027s \\u003Cb\\u003E"),
        ("'  a ' | strip", "a"),
        ("'  a ' | lstrip", "a "),
        ("'  a ' | rstrip", "  a"),
        ("' a  b ' | squish", "a b"),
        ("'a\nb' | strip_newlines", "ab"),
        ("'a\nb' | newline_to_br", "a<br />\nb"),
        ("'<p>a</p><script>b</script>c<!-- d -->e<f' | strip_html", "ace<f"),
        ("'aXbX' | replace: 'X', '-'", "a-b-"),
        ("'aXbX' | replace_first: 'X', '-'", "a-bX"),
        ("'aXbX' | replace_last: 'X', '-'", "aXb-"),
        ("'aXbX' | remove: 'X'", "ab"),
        ("'aXbX' | remove_first: 'X'", "abX"),
        ("'aXbX' | remove_last: 'X'", "aXb"),
        ("'ab' | replace: 'c', 'd'", "ab"),
        ("'ab' | replace_last: 'c', 'd'", "ab"),
        ("'a,b' | split: ',' | last", "b"),
        ("'abc' | split: '' | join: '-'", "a-b-c"),
        ("'a  b\nc' | split: ' ' | size", "3"),
        ("'hello' | slice: 1, 3", "ell"),
        ("'hello' | slice: -3, 2", "ll"),
        ("'hello' | slice: 9", ""),
        ("(1..5) | slice: 1, 2 | join", "2 3"),
        ("'hello world' | truncate: 8", "hello..."),
        ("'hello' | truncate: 5", "hello"),
        ("'a b c' | truncatewords: 2, '!'", "a b!"),
        ("'a b' | truncatewords: 2", "a b"),
        ("'a b/ü' | url_encode", "a+b%2F%C3%BC"),
        ("'a b' | urlencode", "a+b"),
        ("'a+b%21' | url_decode", "a b!"),
        ("'ü?' | base64_encode", "w7w/"),
        ("'w7w/' | base64_decode", "ü?"),
        ("'ü?' | base64_url_safe_encode", "w7w_"),
        ("'w7w_' | base64_url_safe_decode", "ü?"),
        ("'a' | safe", "a"),
        ("yes | to_string", "true"),
        ("7 | tostring", "7"),
        ("_inputs1.meta | to_json", '{"k":[1,null,true]}'),
        ("unknown | tojson", "null"),
        ("'é' | json", '"é"'),
        ("'{\"a\": [1, 2]}' | to_dict | map: 'a' | join", "1 2"),
        ("'[1]' | todict | size", "1"),
        ("nothing | todict", ""),
        ("_inputs0.items | sort | join", "B a b"),
        ("_inputs0.items | sort_natural | join", "a b B"),
        ("people | sort: 'age' | map: 'name' | join", "Bo Al Cy"),
        ("people | where: 'age', 9 | map: 'name'", "Al"),
        ("people | where: 'age' | size", "2"),
        ("people | reject: 'age' | map: 'name'", "Cy"),
        ("people | find: 'name', 'Al' | to_json", '{"name":"Al","age":9}'),
        ("people | find_index: 'name', 'Al'", "1"),
        ("people | has: 'age', 5", "true"),
        ("people | has: 'age', true", "false"),
        ("people | sum: 'age'", "14"),
        ("people | map: 'age' | compact | join", "5 9"),
        ("people | compact: 'age' | size", "2"),
        ("_inputs0.items | reverse | join", "B a b"),
        ("_inputs0.items | concat: people | size", "6"),
        ("_inputs0.items | first", "b"),
        ("_inputs1.meta | first | first", "k"),
        ("'abc' | first", ""),
        ("_inputs0.items | join: ', '", "b, a, B"),
        ("'1,1,2' | split: ',' | uniq | join", "1 2"),
        ("people | uniq: 'age' | size", "3"),
        ("(1..4) | sum", "10"),
        ("'abc' | size", "3"),
        ("people | size", "3"),
        ("_inputs0.off | default: 'd'", "d"),
        ("_inputs0.off | default: 'd', allow_false: true", "false"),
        ("'' | default: 'd'", "d"),
        ("0 | default: 'd'", "0"),
        ("unknown | default: 'd'", "d"),
        ("'x' | default: 'd'", "x"),
        ("'2024-02-03T04:05:06+01:00' | date: '%d %b %Y %H:%M %z %s'", "03 Feb 2024 04:05 +0100 1706929506"),
        ("0 | date: '%Y-%m-%d %Z'", "1970-01-01 UTC"),
        ("'March 14, 2016' | date: '%-d.%-m.'", "14.3."),
        ("'not a date' | date: '%Y'", "not a date"),
        ("'now' | date: '%Y' | size", "4"),
    ],
)
async def test_a_filter_gives_what_liquid_says(expression: str, expected: str) -> None:
    assert await render(parse("{{ " + expression + " }}"), SCOPE, Budget()) == expected


def test_every_filter_is_tested_above() -> None:
    marks = test_a_filter_gives_what_liquid_says.pytestmark  # type: ignore[attr-defined] # set by parametrize
    used = " ".join(case[0] for case in marks[0].args[1])
    assert {name for name in FILTERS if f"| {name}" not in used} == set()


async def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert await render(parse("{{ text | to_dict }}"), {"text": json.dumps("\\u0000")}, Budget()) == "\\u0000"
