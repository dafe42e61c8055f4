"""Definitions of agents: what is refused, what is warned of, and what the model is offered."""

from typing import Any

import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.plan import StepPlan
from llmstack_api.processors.agent import Agent
from tests.engine.processors import REGISTRY as SCRIPTS
from tests.engine.processors import step

REGISTRY = {**SCRIPTS, "builtin/agent": Agent}


def definition(*tools: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "Agent",
        "type_slug": "agent",
        "input_fields": [{"name": "task"}],
        "processors": list(tools),
        **more,
    }


def faults(*tools: dict[str, Any], **more: Any) -> dict[str, str]:
    _, findings = compile_app(definition(*tools, **more), REGISTRY)
    return {fault.loc: fault.msg for fault in findings.faults}


def compiled(*tools: dict[str, Any], **more: Any) -> StepPlan:
    plan, findings = compile_app(definition(*tools, **more), REGISTRY)
    assert plan is not None, findings.faults
    (agent,) = plan.steps
    return agent


def test_an_agent_needs_neither_output_nor_tools() -> None:
    plan, _ = compile_app(definition(), REGISTRY)
    assert plan is not None
    assert [key for key, _ in plan.outputs] == ["output"]


def test_unknown_settings_of_an_agent_are_refused_and_those_of_its_looks_are_warned_of() -> None:
    config = {"max_stepz": 3, "layout": "<x>", "init_on_load": True}
    _, findings = compile_app(definition(config=config), REGISTRY)

    assert [fault.loc for fault in findings.faults] == ["config.max_stepz"]
    assert {warning.loc for warning in findings.warnings} == {"config.layout", "config.init_on_load"}


def test_input_fields_of_a_step_as_upstream_writes_them_are_warned_of() -> None:
    plan, findings = compile_app(definition(step("", input_fields=[])), REGISTRY)

    assert plan is not None
    assert [warning.loc for warning in findings.warnings] == ["processors[0].input_fields"]


@pytest.mark.parametrize(
    ("tool", "loc"),
    [
        (step("", id="agent"), "processors[0].id"),
        (step("{{nothing}}"), "processors[0].input.text"),
        (step("{{_inputs2.text}}"), "processors[0].input.text"),
        (step("", output_template={"markdown": "{{none}}"}), "processors[0].output_template.markdown"),
        (step("", output_template={"markdown": "{{text.x}}"}), "processors[0].output_template.markdown"),
        (step("", output_template={"markdown": 1}), "processors[0].output_template.markdown"),
        (step("") | {"input": {"unknown": 1}}, "processors[0].input.unknown"),
        ({"provider_slug": "builtin", "processor_slug": "agent"}, "processors[0].processor_slug"),
    ],
)
def test_a_tool_that_cannot_work_is_refused_at_its_place(tool: dict[str, Any], loc: str) -> None:
    assert list(faults(tool)) == [loc]


def test_an_output_sees_the_agent_and_the_input_and_nothing_else() -> None:
    output = {
        "a": "{{agent.content}} {{task}} {{_inputs0.task}}",
        "b": "{{_inputs1.text}}",
        "c": "{{agent.x}}",
    }
    assert list(faults(step(""), output=output)) == ["output.b", "output.c"]


def test_an_app_whose_input_has_no_text_has_to_say_what_is_asked() -> None:
    assert list(faults(input_fields=[])) == ["config.user_message"]
    assert list(faults(input_fields=[{"name": "f", "type": "file"}])) == ["config.user_message"]
    assert not faults(input_fields=[], config={"user_message": "Do what you can."})


def test_a_tool_without_a_description_says_what_its_processor_is() -> None:
    (tool,) = list(compiled(step("")).tools or ())
    assert tool.spec.description == (
        "Emits words as text, as array elements and as a value; acts on the words that begin with `!`."
    )


def test_the_model_is_offered_what_is_left_open_and_what_templates_name() -> None:
    tools = compiled(step(""), step("words"), step("words {{any}}")).tools or ()
    open_, fixed, named = list(tools)

    assert set(open_.spec.parameters["properties"]) == {"text", "any"}
    assert set(fixed.spec.parameters["properties"]) == {"any"}
    assert set(named.spec.parameters["properties"]) == {"any"}
    assert "title" not in open_.spec.parameters["properties"]["text"]


def test_servers_of_tools_are_judged_as_addresses() -> None:
    config = {"mcp_servers": [{"name": "a", "url": "http://127.0.0.1:1/"}, {"url": "{{task}}"}]}
    _, findings = compile_app(definition(config=config), REGISTRY)
    assert findings.addresses == [("config.mcp_servers[0].url", "http://127.0.0.1:1/")]


def test_a_registry_without_an_agent_refuses_agents() -> None:
    _, findings = compile_app(definition(), SCRIPTS)
    assert [fault.loc for fault in findings.faults] == ["type_slug"]
