from typing import Any

import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.plan import Plan
from llmstack_api.engine.template import Constant, Members, TextTemplate, Variable
from tests.engine.typed import REGISTRY, app, typed


def faults(raw: dict[str, Any]) -> dict[str, str]:
    plan, findings = compile_app(raw, REGISTRY)
    assert (plan is None) == bool(findings.faults)
    return {fault.loc: fault.msg for fault in findings.faults}


def warnings(raw: dict[str, Any]) -> dict[str, str]:
    plan, findings = compile_app(raw, REGISTRY)
    assert plan is not None, findings.faults
    return {warning.loc: warning.msg for warning in findings.warnings}


def compiled(raw: dict[str, Any]) -> Plan:
    plan, findings = compile_app(raw, REGISTRY)
    assert plan is not None, findings.faults
    return plan


def test_a_plan_has_what_a_run_needs() -> None:
    plan = compiled(
        app(
            typed(),
            typed(id="second", timeout=2.5, on_error="continue", input={"question": "{{_inputs1.answer}}"}),
            output={"answer": "{{second.answer}}", "sources": "{{_inputs2.citations}}"},
        )
    )

    assert [field.name for field in plan.input_fields] == ["q", "n"]
    assert [(step.id, step.index, step.processor_name) for step in plan.steps] == [
        ("_inputs1", 0, "test/typed"),
        ("second", 1, "test/typed"),
    ]
    assert (plan.steps[0].timeout, plan.steps[0].tolerant) == (None, False)
    assert (plan.steps[1].timeout, plan.steps[1].tolerant) == (2.5, True)
    assert plan.outputs == (
        ("answer", Variable(("second", "answer"))),
        ("sources", Variable(("_inputs2", "citations"))),
    )


def test_an_app_without_processors_works_on_its_input_alone() -> None:
    plan = compiled(app(output={"answer": "{{_inputs0.q | upcase}}", "n": "{{_inputs0.n}}", "fixed": 5}))

    assert plan.steps == ()
    assert isinstance(plan.outputs[0][1], TextTemplate)
    assert plan.outputs[1:] == (("n", Variable(("_inputs0", "n"))), ("fixed", Constant(5)))


def test_a_whole_value_that_is_one_bare_variable_keeps_its_type_with_blanks_around_it_in_a_step() -> None:
    step = compiled(
        app(typed(input={"question": "{{_inputs0.q}} ", "payload": " {{ _inputs0.n }}\n"}))
    ).steps[0]

    assert step.input == Members(
        (
            ("question", Variable(("_inputs0", "q"))),
            ("payload", Variable(("_inputs0", "n"))),
        )
    )


def test_blanks_in_an_output_are_text() -> None:
    (_, template), *_ = compiled(app(output={"a": "{{_inputs0.n}} "})).outputs

    assert isinstance(template, TextTemplate)


def test_config_may_hold_templates() -> None:
    step = compiled(
        app(typed(config={"k": "{{_inputs0.n}}", "mode": "{% if _inputs0.n %}good{% endif %}"}))
    ).steps[0]

    assert isinstance(step.config, Members)
    assert dict(step.config.members)["k"] == Variable(("_inputs0", "n"))


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{{_inputs7.answer}}", "unknown step '_inputs7': the app has 2 processors"),
        ("{{_inputs[7].answer}}", "unknown step '_inputs7': the app has 2 processors"),
        ("{{other.answer}}", "unknown name 'other'; known are _inputs0, _inputs1, first, _inputs2"),
        (
            "{{first.anser}}",
            "step 'first': there is no field 'anser'; there is answer, best, citations, codes, parsed",
        ),
        ("{{_inputs[1].anser}}", "step '_inputs1': there is no field 'anser'; there is"),
        ("{{first.citations[0].txt}}", "there is no field 'txt'; there is more, page, score, text"),
        ("{{first.citations.text}}", "'text' cannot be taken of an array; write [0], first, last or size"),
        ("{{first.best.txt}}", "there is no field 'txt'"),
        ("{{first.answer.text}}", "'text' cannot be taken of a string"),
        ("{{first.citations[0].page.number}}", "'number' cannot be taken of a integer"),
        ("{{_inputs2.answer}}", "'_inputs2' is not an earlier step; a step sees those before it only"),
        ("{% if first.anser %}x{% endif %}", "there is no field 'anser'"),
        ("{{_inputs0.q | nofilter}}", "nofilter"),
        ("{{_inputs0.q", "never closed"),
        ("{% include 'x' %}", "include"),
    ],
)
def test_a_template_that_names_what_is_not_there_is_refused_at_its_place(template: str, fault: str) -> None:
    found = faults(app(typed(id="first"), typed(input={"question": template})))

    assert list(found) == ["processors[1].input.question"]
    assert fault in found["processors[1].input.question"]


@pytest.mark.parametrize(
    "template",
    [
        "{{first.answer}}",
        "{{_inputs1.answer.size}}",
        "{{_inputs[1].citations[0].text}}",
        "{{first.citations.first.score}} {{first.citations.size}}",
        "{{first.best.text}}",
        "{{first.citations[0].more.anything.at.all}}",
        "{{first.parsed.whatever[3]}}",
        "{{first}}",
        "{% for c in first.citations %}{{c.text}}{% endfor %}",
        "{% assign x = first.answer %}{{x}}",
    ],
)
def test_a_template_may_name_whatever_an_earlier_step_can_give(template: str) -> None:
    assert faults(app(typed(id="first"), typed(input={"question": template}))) == {}


def test_a_step_does_not_see_itself_nor_later_ones() -> None:
    found = faults(
        app(
            typed(id="a", input={"question": "{{a.answer}}"}),
            typed(id="b", config={"mode": "{{c.answer}}"}),
            typed(id="c"),
        )
    )

    assert list(found) == ["processors[0].input.question", "processors[1].config.mode"]
    assert all("not an earlier step" in msg for msg in found.values())


def test_an_undeclared_input_renders_empty_and_is_a_warning() -> None:
    found = warnings(
        app(typed(input={"question": "{{_inputs0.file}}"}), output={"answer": "{{_inputs0['x y']}}"})
    )

    assert found == {
        "processors[0].input.question": "'file' is no declared input; it renders empty",
        "output.answer": "'x y' is no declared input; it renders empty",
    }


def test_an_unknown_processor_is_refused_with_a_suggestion() -> None:
    found = faults(
        app(
            {"provider_slug": "test", "processor_slug": "typd"},
            {"provider_slug": "acme", "processor_slug": "magic", "input": {"x": "{{nobody}}"}},
        )
    )

    assert found == {
        "processors[0].processor_slug": "unknown processor 'test/typd'; did you mean 'test/typed'?",
        "processors[1].processor_slug": "unknown processor 'acme/magic'; known are test/typed",
        "processors[1].input.x": "unknown name 'nobody'; known are _inputs0, _inputs1, _inputs2",
    }


def test_fields_of_an_unknown_processor_are_not_guessed_at() -> None:
    found = faults(
        app({"provider_slug": "a", "processor_slug": "b"}, output={"answer": "{{_inputs1.anything}}"})
    )

    assert list(found) == ["processors[0].processor_slug"]


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ({"input": {}}, {"processors[0].input.question": "required"}),
        ({"input": {"question": None}}, {"processors[0].input.question": "Input should be a valid string"}),
        ({"input": {"question": 5}}, {"processors[0].input.question": "Input should be a valid string"}),
        (
            {"input": {"question": "a", "colour": "{{_inputs0.q}}"}},
            {"processors[0].input.colour": "unknown key; known are question, messages, count, payload"},
        ),
        ({"config": {"k": 11}}, {"processors[0].config.k": "Input should be less than or equal to 10"}),
        ({"config": {"mode": "best"}}, {"processors[0].config.mode": "Input should be 'fast' or 'good'"}),
        ({"config": {"low": 5, "high": 1}}, {"processors[0].config": "low must not be above high"}),
        (
            {"config": {"links": [{"url": "a"}, {"uri": "b"}]}},
            {
                "processors[0].config.links[1].url": "required",
                "processors[0].config.links[1].uri": "unknown key; known are url, weight",
            },
        ),
        (
            {"input": {"question": "a", "messages": [{"role": "bot", "content": "{{_inputs0.q}}"}]}},
            {"processors[0].input.messages[0].role": "Input should be 'system' or 'user'"},
        ),
        (
            {"input": {"question": "a", "messages": [{"content": [{"url": "a", "weight": "heavy"}]}]}},
            {
                "processors[0].input.messages[0].content": "Input should be a valid string",
                "processors[0].input.messages[0].content[0].weight": (
                    "Input should be a valid integer, unable to parse string as an integer"
                ),
            },
        ),
    ],
)
def test_constants_that_a_processor_cannot_use_are_refused_at_their_place(
    step: dict[str, Any], found: dict[str, str]
) -> None:
    assert faults(app(typed(**step))) == found


@pytest.mark.parametrize(
    "step",
    [
        {"input": {"question": "a", "count": "{{_inputs0.n}}"}},
        {"input": {"question": "a", "messages": "{{_inputs0.q}}"}},
        {"input": {"question": "a", "messages": ["{{_inputs0.q}}"]}},
        {"input": {"question": "a", "messages": [{"role": "{{_inputs0.q}}", "content": ["{{_inputs0.q}}"]}]}},
        {"input": {"question": "a", "messages": [{"content": [{"url": "a", "weight": "{{_inputs0.n}}"}]}]}},
        {"config": {"k": "{{_inputs0.n}}", "mode": "{{_inputs0.q}}"}},
        {"config": {"low": 5, "high": 1, "base_url": "http://{{_inputs0.q}}/"}},
    ],
)
def test_what_a_template_makes_is_judged_at_run(step: dict[str, Any]) -> None:
    assert faults(app(typed(**step))) == {}


def test_null_and_the_empty_string_in_an_optional_field_of_a_processor_mean_absent() -> None:
    step = typed(
        input={"question": "", "count": "", "messages": None}, config={"k": "", "mode": None, "base_url": ""}
    )

    assert faults(app(step)) == {}


def test_a_field_of_upstreams_without_a_meaning_is_a_warning_and_not_rendered() -> None:
    raw = app(typed(config={"use_azure_if_available": "{{nobody.x}}"}))

    assert warnings(raw) == {"processors[0].config.use_azure_if_available": "kept, but it has no effect here"}
    assert compiled(raw).steps[0].config == Constant({})


def test_an_api_key_is_told_once_even_where_the_processor_does_not_know_it_either() -> None:
    found = faults(
        app(typed(config={"api_key": "sk-1"}, input={"question": "a", "payload": {"api_key": "sk"}}))
    )

    assert sorted(found) == ["processors[0].config.api_key", "processors[0].input.payload.api_key"]
    assert all("provider's settings" in msg for msg in found.values())


def test_constant_addresses_are_handed_out_for_the_guard() -> None:
    _, findings = compile_app(
        app(
            typed(config={"base_url": "http://127.0.0.1:1/v1 "}),
            typed(config={"base_url": "http://{{_inputs0.q}}/v1"}),
            typed(config={"base_url": ""}),
            {"provider_slug": "x", "processor_slug": "y", "config": {"base_url": "http://10.0.0.1"}},
        ),
        REGISTRY,
    )

    assert findings.addresses == [("processors[0].config.base_url", "http://127.0.0.1:1/v1")]


def test_all_faults_of_a_definition_come_at_once() -> None:
    found = faults(
        {
            "name": "",
            "type_slug": "robot",
            "surprise": 1,
            "input_fields": [{"name": "q", "type": "date"}, {"name": "q"}],
            "processors": [
                typed(id="a", config={"k": 0, "api_key": "x"}, input={"question": "{{b.answer}}"}),
                typed(id="a", input={"question": "{{a.nothing}}"}, on_error="panic"),
                {"provider_slug": "test", "processor_slug": "tipped"},
                {"provider_slug": "test"},
                "x",
            ],
            "output": {"done": "{{_inputs9.x}}", "fine": "{{ 1 | nofilter }}"},
        }
    )

    assert sorted(found) == sorted(
        [
            "name",
            "type_slug",
            "surprise",
            "input_fields[0].type",
            "input_fields[1].name",
            "processors[0].config.k",
            "processors[0].config.api_key",
            "processors[0].input.question",
            "processors[1].id",
            "processors[1].input.question",
            "processors[1].on_error",
            "processors[2].processor_slug",
            "processors[3].processor_slug",
            "processors[4]",
            "output.done",
            "output.fine",
        ]
    )


def test_a_processor_named_like_our_stand_in_is_unknown_as_any_other() -> None:
    assert faults(app({"provider_slug": "?", "processor_slug": "?"})) == {
        "processors[0].processor_slug": "unknown processor '?/?'; known are test/typed"
    }


def test_faults_of_upstreams_output_template_are_told_where_they_stand() -> None:
    found = faults(app(output=None, output_template={"markdown": "{{_inputs1.answer}}"}))

    assert found == {"output_template.markdown": "unknown step '_inputs1': the app has 0 processors"}


def test_nesting_is_bounded() -> None:
    value: Any = "{{_inputs0.q}}"
    for _ in range(40):
        value = [value]

    assert "nested deeper" in next(iter(faults(app(output={"a": value})).values()))


def test_a_hundred_steps_and_a_hundred_outputs_compile() -> None:
    plan = compiled(
        app(
            *[typed(input={"question": "{{_inputs0.q}}" * 20}) for _ in range(100)],
            output={f"k{index}": f"{{{{_inputs{index + 1}.answer}}}}" for index in range(100)},
        )
    )

    assert len(plan.steps) == 100
