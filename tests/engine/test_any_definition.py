"""Whatever is sent as a definition, compiling it ends in a plan or in faults."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.schemas import input_schema, output_schema
from tests.engine.typed import REGISTRY, typed

TEXTS = st.sampled_from([
    "", "a", "q", "_inputs1", "true", "select", "continue", "test", "typed", "?", "\u2028",
    "{{_inputs0.q}}", "{{a.answer}}", "{{_inputs1.citations[0].text}} ", "{{", "{% if %}",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def parts(*keys: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(keys), VALUES, max_size=len(keys))


def make_step(keys: dict[str, Any], step_input: Any, config: Any) -> Any:
    return {**typed(), **keys, "input": step_input, "config": config}


def make_definition(keys: dict[str, Any], output: Any, steps: list[Any], fields: list[Any]) -> Any:
    return {"name": "x", "output": output, "processors": steps, "input_fields": fields, **keys}


def with_question(step_input: dict[str, Any]) -> Any:
    return {"question": "why?", **step_input}


STEPS = st.builds(
    make_step,
    parts("id", "timeout", "on_error", "icon", "api_key", "provider_slug", "processor_slug"),
    VALUES | parts("messages", "count", "payload").map(with_question),
    VALUES | parts("k", "mode", "base_url", "links", "low", "use_azure_if_available"),
)
FIELDS = parts("name", "type", "default", "options", "required", "help")
DEFINITIONS = st.builds(
    make_definition,
    parts("name", "type_slug", "config", "output", "output_template", "web_config", "colour"),
    st.dictionaries(TEXTS, VALUES, max_size=3),
    st.lists(VALUES | STEPS, max_size=3),
    st.lists(VALUES | FIELDS, max_size=3),
)
LIKELY = st.builds(
    make_definition,
    st.just({}),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, min_size=1),
    st.lists(st.just(typed(id="a")), max_size=1),
    st.just([{"name": "q"}]),
)


@given(LIKELY | DEFINITIONS | VALUES)
def test_there_is_a_plan_or_a_fault_and_a_plan_can_be_described(raw: Any) -> None:
    plan, findings = compile_app(raw, REGISTRY)

    assert (plan is None) == bool(findings.faults)
    if plan is not None:
        assert set(output_schema(plan)["properties"]) == {key for key, _ in plan.outputs}
        assert input_schema(plan.input_fields)["type"] == "object"
