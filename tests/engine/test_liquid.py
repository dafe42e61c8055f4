import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import liquid as python_liquid
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmstack_api.engine.liquid import (
    Bare,
    Budget,
    Buffer,
    Reference,
    TemplateSyntaxError,
    Text,
    new_context,
    parse,
    render,
    render_node,
    to_text,
)
from llmstack_api.engine.liquid.lexer import tokenize
from llmstack_api.errors import ProviderFailedError, TemplateError

SCOPE: dict[str, Any] = {
    "_inputs0": {
        "name": "Ada",
        "question": "why?",
        "items": ["b", "a", "B"],
        "n": 7,
        "price": 1.5,
        "off": False,
    },
    "_inputs1": {"choices": [{"content": "first"}, {"content": "second"}], "meta": {"k": [1, None, True]}},
    "_inputs2": {"text": "two"},
    "people": [{"name": "Bo", "age": 5}, {"name": "Al", "age": 9}, {"name": "Cy"}],
    "nothing": None,
    "yes": True,
}


async def rendered(source: str, scope: Mapping[str, object] = SCOPE, budget: Budget | None = None) -> str:
    return await render(parse(source), scope, budget or Budget())


class Late:
    """A value that is there only after other tasks ran; what stands at `broken` never comes."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.asked: list[tuple[str | int, ...]] = []

    async def read(self, path: tuple[str | int, ...]) -> object:
        self.asked.append(path)
        await asyncio.sleep(0)
        if path[:1] == ("broken",):
            raise ProviderFailedError("the model broke off")
        value = self.value
        for segment in path:
            try:
                value = value[segment]
            except (LookupError, TypeError):
                return None
        return value


class LateDrop:
    """The same as python-liquid has it."""

    async def __getitem_async__(self, key: object) -> object:
        await asyncio.sleep(0)
        return {"list": [1, 2, 3], "text": "abc"}[str(key)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hello {{ _inputs0.name }}!", "Hello Ada!"),
        ("{{ _inputs1.choices[1].content }}", "second"),
        ("{{ _inputs1['choices'][0]['content'] }}", "first"),
        ("{{ _inputs1.choices.first.content }}/{{ _inputs1.choices.last.content }}", "first/second"),
        ("{{ _inputs1.choices.size }} {{ _inputs1.choices[-1].content }}", "2 second"),
        ("{{ _inputs[1].choices[0].content }}{{ _inputs[2].text }}", "firsttwo"),
        ("{% for i in (1..2) %}{{ _inputs[i].text }}.{% endfor %}", ".two."),
        ("[{{ unknown }}{{ unknown.a.b }}{{ _inputs0.unknown }}{{ _inputs9.x }}{{ _inputs[9].x }}]", "[]"),
        ("{{ nothing }}|{{ yes }}|{{ _inputs0.n }}|{{ _inputs0.price }}", "|true|7|1.5"),
        ("{{ _inputs0.items }}", "baB"),
        ("{{ _inputs1.meta }}", '{"k":[1,null,true]}'),
        ("{{ (1..3) }}", "1..3"),
        ("{{ '<b>' }}", "<b>"),
        (
            "{% for p in people %}{{ p.name }}{% unless forloop.last %},{% endunless %}{% endfor %}",
            "Bo,Al,Cy",
        ),
        ("{% for p in people reversed limit: 2 offset: 1 %}{{ p.name }}{% endfor %}", "CyAl"),
        ("{% for p in unknown %}x{% else %}none{% endfor %}", "none"),
        (
            "{% for i in (1..9) %}{{ i }}{% if i > 3 %}{% break %}{% endif %}{% continue %}x{% endfor %}",
            "1234",
        ),
        ("{% if _inputs0.items contains 'a' and _inputs0.n >= 7 %}y{% else %}n{% endif %}", "y"),
        ("{% case _inputs0.n %}{% when 1, 7 %}seven{% else %}other{% endcase %}", "seven"),
        ("{% assign x = 'a' %}{% capture y %}{{ x }}b{% endcapture %}{{ y }}", "ab"),
        ("{% for i in (1..3) %}{% cycle 'a', 'b' %}{% increment n %}{% endfor %}", "a0b1a2"),
        (
            "{% tablerow i in (1..1) %}{{ i }}{% endtablerow %}",
            '<tr class="row1">\n<td class="col1">1</td></tr>\n',
        ),
        ("{% liquid\n  # note\n  assign x = 2\n  comment\n  a b\n  endcomment\n  echo x | plus: 1\n%}", "3"),
        ("a {%- comment %}{% comment %}{{ {% endcomment %} x {% endcomment -%} b{% # c %}", "ab"),
        ("{% raw %}{{ x }}{% if %}{% endraw %}{% doc %}{{ y{% enddoc %}", "{{ x }}{% if %}"),
        ("a  {{- 1 -}}  b {{ 2 -}}\n", "a1b 2"),
        ("{ {a} } %} }}", "{ {a} } %} }}"),
        ("{{ empty }}{{ blank }}", ""),
    ],
)
async def test_a_template_renders_as_liquid_does(source: str, expected: str) -> None:
    assert await rendered(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "plain",
        "a{{ b }}c",
        "{{- a -}} b {%- if c -%} d {%- endif -%}",
        "{% for x in (1..3) limit: 2 %}{{ x | append: ' }' }}{% endfor %}\n",
        "{{a}}{{b}} {%assign c=d%}",
        "x{% raw %} {{ y }} {% endraw %}z",
        "  {{ a }}\n  {%- comment -%}",
    ],
)
def test_the_lexer_yields_what_python_liquids_own_does(source: str) -> None:
    theirs = list(python_liquid.Environment().tokenizer()(source.replace("{%- comment -%}", "")))
    ours = list(tokenize(source.replace("{%- comment -%}", "")))
    assert [(token.kind, token.value) for token in ours if token.kind != "output"] == [
        (token.kind, token.value) for token in theirs if token.kind != "output"
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ x | shout }}", "unknown filter 'shout'"),
        ("{{ x | upcasse }}", "unknown filter 'upcasse'; did you mean 'upcase'?"),
        ("{{ x | append }}", "filter 'append' takes 1 argument, not 0"),
        ("{{ x | truncate: 1, 2, 3 }}", "filter 'truncate' takes 0 to 2 arguments, not 3"),
        ("{{ x | default: 1, allow: true }}", "filter 'default' has no argument named 'allow'"),
        ("{% include 'a' %}", "unexpected tag 'include'"),
        ("{% render 'a' %}", "unexpected tag 'render'"),
        ("{% extends 'a' %}", "unexpected tag 'extends'"),
        ("{% shout %}", "unexpected tag 'shout'"),
        ("{% endif %}", "unexpected tag 'endif'"),
        ("{% if x %}", "expected tag endif, found the end"),
        ("a {{ b", "'{{' is never closed by '}}'"),
        ("a {% if", "'{%' is never closed by '%}'"),
        ("{{ }}", "nothing stands between '{{' and '}}'"),
        ("{% %}", "a tag needs a name"),
        ("{% liquid\n ? %}", "line 2: a line of a 'liquid' tag needs a name"),
        ("{% raw %}", "'raw' is never closed"),
        ("{% comment %}", "'comment' is never closed"),
        ("{% liquid\n comment\n x %}", "line 1: 'comment' is never closed"),
        ("{% break %}", "'break' stands outside of a loop"),
        ("one\ntwo {{ x | shout }}", "line 2: unknown filter 'shout'"),
        ("one\n{% for x in %}\n{% endfor %}", "line 2: expected a primitive expression, found the end"),
        ("{{ [x].y }}", "a variable starts with its name"),
        (
            "{{ " + "9" * 5_000 + " }}",
            "integer string conversion limit (4300) reached: value has 5000 digits",
        ),
        ("x" * 70_000, "a template has at most 65,536 characters, not 70,000"),
        ("{% if x %}" * 21 + "{% endif %}" * 21, "tags are nested deeper than 20 levels"),
        ("{% if " + "x and " * 120 + "x %}{% endif %}", "an expression has more than 100 levels"),
        ("{% if " + "x and " * 9_000 + "x %}{% endif %}", "an expression is nested too deep"),
        ("{{ x" + "[x" * 101 + "]" * 101 + " }}", "more than 100 brackets in one expression"),
        ("{{a}}" * 6_000, "more than 5,000 tags in one template"),
        ("{% cycle 1" + ",1" * 11_000 + " %}", "too many terms in one template"),
    ],
)
def test_what_cannot_be_rendered_is_refused_at_once_in_one_line(source: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        parse(source)
    assert str(caught.value) == message


def test_references_are_the_variables_that_a_template_does_not_make_itself() -> None:
    template = parse(
        "{{ _inputs1.choices[0].content | append: _inputs0.x }}{{ _inputs[2]['a b'].c }}\n"
        "{% assign made = _inputs3.a %}{{ made.b }}{% capture cap %}{{ _inputs4 }}{% endcapture %}{{ cap }}\n"
        "{% for item in _inputs5.list limit: _inputs0.n %}{{ item.x }}{{ forloop.index }}"
        "{{ _inputs6[item.i].z }}{% endfor %}{% if a.b == c and d contains e %}{% endif %}"
        "{{ item }}{{ _inputs[i].y }}"
    )
    assert template.references == (
        Reference(("_inputs1", "choices", 0, "content"), line=1),
        Reference(("_inputs0", "x"), line=1),
        Reference(("_inputs2", "a b", "c"), line=1),
        Reference(("_inputs3", "a"), line=2),
        Reference(("_inputs4",), line=2),
        Reference(("_inputs5", "list"), line=3),
        Reference(("_inputs0", "n"), line=3),
        Reference(("_inputs6",), dynamic=True, line=3),
        Reference(("a", "b"), line=3),
        Reference(("c",), line=3),
        Reference(("d",), line=3),
        Reference(("e",), line=3),
        Reference(("item",), line=3),
        Reference(("_inputs",), dynamic=True, line=3),
        Reference(("i",), line=3),
    )


async def test_the_nodes_of_a_template_tell_what_can_be_streamed() -> None:
    template = parse(
        "Hi {{ _inputs[1].text | upcase | append: _inputs0.name }}{{ x.y }}{{ x | size }}{{ x.list.first }}"
        "{{ x[-1] }}{% assign x = 1 %}{{ x }}{{ y | default: 1, allow_false: true }}{{ 'text' }}"
        "{% if x %}{% endif %}{% echo z %}"
    )
    kinds = [(type(node).__name__, getattr(node, "path", None)) for node in template.nodes]
    assert kinds == [
        ("Text", None),
        ("Bare", ("_inputs1", "text")),
        ("Bare", ("x", "y")),
        *[("TemplateNode", None)] * 8,
        ("Bare", ("z",)),
    ]
    text, bare = template.nodes[0], template.nodes[1]
    assert isinstance(text, Text)
    assert text.text == "Hi "
    assert isinstance(bare, Bare)
    assert [call.name for call in bare.filters] == ["upcase", "append"]
    context = new_context(template, SCOPE, Budget())
    assert await bare.filters[0].evaluate(context) == ()
    assert await bare.filters[1].evaluate(context) == ("Ada",)


async def test_the_nodes_of_a_template_share_its_variables() -> None:
    template = parse("{% assign x = 1 %}{% increment n %}{{ x }}{% assign x = 2 %}{{ x }}{% increment n %}")
    budget = Budget()
    context = new_context(template, {}, budget)
    printed: list[str] = []
    for node in template.nodes:
        buffer = Buffer(budget)
        await render_node(node, context, buffer)
        printed.append(buffer.getvalue())
    assert printed == ["", "0", "1", "", "2", "1"]


@pytest.mark.parametrize(
    ("source", "expected", "asked"),
    [
        ("{{ late.a.b[1].c }}", "x", [("a", "b", 1, "c")]),
        ("{{ late['a']['b'][1]['c'] | upcase }}", "X", [("a", "b", 1, "c")]),
        ("{{ late.a.b.size }}{{ late.a.b.last.c }}", "2x", [("a", "b"), ("a", "b")]),
        ("{{ late.a.b[-1].c }}", "x", [("a", "b")]),
        ("{{ late.size }}", "own", [("size",)]),
        ("{% for item in late.list %}{{ item }},{% endfor %}", "1,2,", [("list",)]),
        ("{% if late.list contains 2 and late.a %}yes{% endif %}", "yes", [("list",), ("a",)]),
        (
            "{{ 'a' | append: late.size }}{{ late.list | join: late.size }}",
            "aown1own2",
            [("size",), ("list",), ("size",)],
        ),
        (
            "{% assign x = late.a %}{{ x.b[1].c }}{{ late.a[late.key][1].c }}",
            "xx",
            [("a",), ("key",), ("a", "b", 1, "c")],
        ),
        ("{{ late.unknown.x }}{{ late.list.x }}", "", [("unknown", "x"), ("list", "x")]),
        ("{{ late | to_json | slice: 0, 6 }}", '{"a":{', [()]),
    ],
)
async def test_a_pending_value_is_asked_for_just_what_is_named(
    source: str, expected: str, asked: list[tuple[str | int, ...]]
) -> None:
    late = Late({"a": {"b": [None, {"c": "x"}]}, "list": [1, 2], "size": "own", "key": "b"})
    assert await rendered(source, {"late": late}) == expected
    assert late.asked == asked


async def test_an_asynchronous_drop_of_python_liquid_can_stand_in_a_scope() -> None:
    printing = "{{ drop.text }}{{ drop['list'][0] }}{{ drop.list.size }}{{ drop.unknown }}"
    looping = "{% for x in drop.list %}{{ x }}{% endfor %}{{ drop.list | join: '-' }}"
    assert await rendered(printing + looping, {"drop": LateDrop()}) == "abc131231-2-3"


async def test_the_error_of_a_pending_value_passes_unchanged() -> None:
    with pytest.raises(ProviderFailedError, match="the model broke off"):
        await rendered("{{ late.broken | upcase }}", {"late": Late({})})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ 1 | divided_by: 0 }}", "filter 'divided_by': division by zero"),
        ("{{ 1.5 | modulo: 0.0 }}", "filter 'modulo': division by zero"),
        ("a\n{{ 1 | divided_by: unknown }}", "line 2: filter 'divided_by': division by zero"),
        ("{{ 'x' | truncate: 'y' }}", "filter 'truncate': a whole number is expected"),
        ("{{ 'x' | concat: 'y' }}", "filter 'concat': the argument has to be an array"),
        (
            "{{ 'a,1' | split: ',' | concat: people | sort }}",
            "filter 'sort': elements of different kinds have no order",
        ),
        ("{{ 'abcde' | base64_decode }}", "filter 'base64_decode': this is no base64"),
        (
            "{{ '/w==' | base64_decode }}",
            "filter 'base64_decode': what the base64 stands for is no UTF-8 text",
        ),
        ("{{ 'AA==' | base64_decode }}", "filter 'base64_decode': the decoded text holds a NUL character"),
        ("{{ '%00' | url_decode }}", "filter 'url_decode': the decoded text holds a NUL character"),
        ("{{ '\"\\u0000\"' | to_dict }}", "filter 'to_dict': the JSON holds a NUL character"),
        ("{% if 'a' < 1 %}{% endif %}", "'<' and '>' are not supported between 'str' and 'int'"),
        ("{% for i in people limit: 'x' %}{% endfor %}", "expected an integer, found str"),
        ("{% for i in unknown %}{% else %}{% break %}{% endfor %}", "'break' stands outside of a loop"),
        (
            "{% for i in people %}{{ forloop | json }}{% endfor %}",
            "filter 'json': Type is not JSON serializable: ForLoop",
        ),
        ("{{ 'now' | date: '%Q' }}", "filter 'date': unknown date directive '%Q'"),
        ("{{ 18446744073709551615 | plus: 1 }}", "filter 'plus': the number does not fit in 64 bits"),
        ("{{ '1e999' | plus: 1 }}", "filter 'plus': the number is not finite"),
    ],
)
async def test_what_fails_while_rendering_is_a_template_error_that_names_it(
    source: str, message: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        await rendered(source)
    assert str(caught.value) == message


def test_values_are_printed_as_liquid_does() -> None:
    values: list[tuple[object, str]] = [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (-2.5, "-2.5"),
        (1e20, "1e+20"),
        ("a", "a"),
        ([1, None, "a", [True]], "1atrue"),
        ({}, "{}"),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        (range(1, 4), "1..3"),
    ]
    assert [to_text(value) for value, _ in values] == [text for _, text in values]


PIECES = [
    "{{",
    "}}",
    "{%",
    "%}",
    " ",
    "-",
    "\n",
    "'",
    '"',
    "[",
    "]",
    "(1..3)",
    ",",
    ".",
    "|",
    "=",
    "==",
    "1",
    "a",
    "x",
    "nil",
]
WORDS = [
    "if",
    "endif",
    "for",
    "in",
    "endfor",
    "assign",
    "case",
    "when",
    "endcase",
    "raw",
    "endraw",
    "comment",
    "liquid",
]
OTHERS = ["upcase", "append:", "and", "contains"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES + WORDS + OTHERS), max_size=40))
def test_any_text_is_a_template_or_a_syntax_error(parts: list[str]) -> None:
    try:
        template = parse("".join(parts))
    except TemplateSyntaxError:
        return
    with suppress(TemplateError):
        asyncio.run(render(template, {"a": [1, {"x": "y"}], "x": None}, Budget(work=10_000_000)))
