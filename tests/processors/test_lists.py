"""`promptly/map` and `promptly/reduce` over the port that runs other apps."""

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import ProcessorInputError, ProviderBusyError, RunError, TemplateError
from llmstack_api.processors.lists import AT_ONCE, MAX_ELEMENTS, Map, Reduce
from tests.ports import make_ports
from tests.processors.steps import Emitted, OtherApps, run_step

APP = "6f0d0e0c-0000-4000-8000-000000000001"
CONFIG: JsonObject = {"promptly_app": APP}


class Doubling(OtherApps):
    """Gives twice what it is given; fails of `bad`; waits of `wait` until told."""

    def __init__(self, *keys: str) -> None:
        super().__init__(*keys)
        self.going = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()

    async def answer(self, inputs: JsonObject) -> Sequence[JsonObject]:
        self.going += 1
        self.most_at_once = max(self.most_at_once, self.going)
        try:
            if inputs.get("input") == "wait":
                await self.gate.wait()
            await asyncio.sleep(0)
            if inputs.get("input") == "bad":
                raise ProviderBusyError("too busy", retry_after=3)
            return [dict.fromkeys(self.keys, inputs.get("input", "") * 2)]
        finally:
            self.going -= 1


async def test_outputs_come_in_order_whatever_is_ready_first() -> None:
    apps, emitted = Doubling(), Emitted()
    task = asyncio.create_task(
        run_step(Map, make_ports(apps=apps), {"input_list": ["a", "wait", "c"]}, CONFIG, emitted)
    )
    async with asyncio.timeout(5):
        while ("outputs",) not in emitted.paths or apps.going > 1:
            await asyncio.sleep(0)
    assert emitted.output.document()["outputs"] == ["aa"]
    apps.gate.set()
    assert await task == {
        "outputs": ["aa", "waitwait", "cc"],
        "outputs_text": '["aa", "waitwait", "cc"]',
        "errors": [],
    }
    assert len(emitted.usages) == 3


async def test_an_object_is_the_input_and_anything_else_stands_under_one_name() -> None:
    apps = OtherApps()
    config = {**CONFIG, "input_name": "text", "input": {"lang": "en"}}
    given = {"input_list_json": '[{"text": "a", "lang": "de"}, "b", 3, null, [1]]'}
    await run_step(Map, make_ports(apps=apps), given, config)
    assert [inputs for _, inputs in apps.calls] == [
        {"text": "a", "lang": "de"},
        {"text": "b", "lang": "en"},
        {"text": 3, "lang": "en"},
        {"text": None, "lang": "en"},
        {"text": [1], "lang": "en"},
    ]


async def test_several_output_keys_give_an_object() -> None:
    output = await run_step(Map, make_ports(apps=Doubling("x", "y")), {"input_list": ["a"]}, CONFIG)
    assert output["outputs"] == [{"x": "aa", "y": "aa"}]
    assert orjson.loads(output["outputs_text"]) == output["outputs"]


async def test_only_some_elements_are_worked_on_at_a_time() -> None:
    apps = Doubling()
    output = await run_step(Map, make_ports(apps=apps), {"input_list": ["a"] * 100}, CONFIG)
    assert len(output["outputs"]) == 100
    assert apps.most_at_once == AT_ONCE


async def test_a_failing_element_ends_the_step_and_the_others() -> None:
    apps = Doubling()
    with pytest.raises(ProviderBusyError, match=r"input_list\[1\]: too busy") as failed:
        await run_step(Map, make_ports(apps=apps), {"input_list": ["wait", "bad", "c"]}, CONFIG)
    assert failed.value.retry_after == 3
    assert apps.going == 0


async def test_a_failing_element_may_be_told_of_instead() -> None:
    config = {**CONFIG, "on_error": "continue"}
    output = await run_step(Map, make_ports(apps=Doubling()), {"input_list": ["a", "bad"]}, config)
    assert output == {
        "outputs": ["aa", None],
        "outputs_text": '["aa", null]',
        "errors": [{"index": 1, "code": "provider-busy", "message": "too busy"}],
    }


async def test_a_cancelled_map_leaves_nothing_going() -> None:
    apps = Doubling()
    step = run_step(Map, make_ports(apps=apps), {"input_list": ["wait"] * 20}, CONFIG)
    task = asyncio.create_task(step)
    async with asyncio.timeout(5):
        while apps.going < AT_ONCE:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert (task.cancelled(), apps.going) == (True, 0)


@pytest.mark.parametrize("given", [{}, {"input_list": ""}, {"input_list": [], "input_list_json": "[]"}])
async def test_an_empty_list_gives_an_empty_list(given: JsonObject) -> None:
    output = await run_step(Map, make_ports(apps=OtherApps()), given, CONFIG)
    assert output == {"outputs": [], "outputs_text": "[]", "errors": []}
    assert await run_step(Reduce, make_ports(apps=OtherApps()), given, CONFIG) == {"output": ""}


async def test_lists_are_bounded_and_an_app_is_needed() -> None:
    ports = make_ports(apps=OtherApps())
    for kind in (Map, Reduce):
        with pytest.raises(ProcessorInputError, match=r"at most 1,000"):
            await run_step(kind, ports, {"input_list": ["a"] * (MAX_ELEMENTS + 1)}, CONFIG)
        with pytest.raises(ProcessorInputError, match=r"config\.promptly_app"):
            await run_step(kind, ports, {"input_list": ["a", "b"]})


async def test_a_template_reduces_a_list() -> None:
    config = {"reducer_liquid_template": "{{_reduce_acc}}, {{ _reduce_item | upcase }}"}
    output = await run_step(Reduce, make_ports(), {"input_list": ["a", "b", "{{ 7 | times: 7 }}"]}, config)
    assert output == {"output": "a, B, {{ 7 | TIMES: 7 }}"}
    fields = {"reducer_liquid_template": "{{_reduce_acc.n | default: _reduce_acc}}+{{_reduce_item.n}}"}
    output = await run_step(Reduce, make_ports(), {"input_list": [{"n": 1}, {"n": 2}, {"n": 3}]}, fields)
    assert output == {"output": "1+2+3"}


async def test_one_element_is_its_own_result() -> None:
    config = {"reducer_liquid_template": "{{_reduce_item}}"}
    assert await run_step(Reduce, make_ports(), {"input_list": ["a"]}, config) == {"output": "a"}
    assert await run_step(Reduce, make_ports(), {"input_list": [{"a": 1}]}, config) == {"output": '{"a":1}'}


async def test_an_app_reduces_a_list_element_after_element() -> None:
    class Joining(OtherApps):
        async def answer(self, inputs: JsonObject) -> Sequence[JsonObject]:
            return [{"output": f"({inputs['left']}{inputs['sign']}{inputs['right']['n']})"}]

    named = {
        "promptly_app_uuid": APP,
        "input": {"left": "{{_reduce_acc}}", "right": "{{ _reduce_item }}", "sign": "+"},
    }
    emitted = Emitted()
    output = await run_step(
        Reduce,
        make_ports(apps=Joining()),
        {"input_list": ["0", {"n": 1}, {"n": 2}]},
        {"promptly_app": orjson.dumps(named).decode()},
        emitted,
    )
    assert output == {"output": "((0+1)+2)"}
    assert len(emitted.usages) == 2


async def test_a_template_that_grows_without_end_is_stopped() -> None:
    config = {"reducer_liquid_template": "{{_reduce_acc}}{{_reduce_acc}}"}
    with pytest.raises(TemplateError):
        await run_step(Reduce, make_ports(), {"input_list": ["abc"] * 100}, config)


async def test_what_is_no_list_is_refused_with_its_reason() -> None:
    for given in ("not json", '{"a": 1}', "['python']"):
        with pytest.raises((RunError, ValueError), match="list"):
            await run_step(Map, make_ports(apps=OtherApps()), {"input_list": given}, CONFIG)


async def test_a_list_that_is_nested_without_end_is_refused() -> None:
    given = "[" * 300 + "]" * 300
    with pytest.raises((RunError, ValueError), match="nested deeper than 64"):
        await run_step(
            Reduce, make_ports(apps=OtherApps()), {"input_list": given}, {"reducer_liquid_template": "x"}
        )


def test_definitions_of_upstreams_load() -> None:
    app = orjson.dumps({"promptly_app_uuid": APP, "promptly_app_version": "1", "input": {}}).decode()
    definition: JsonObject = {
        "name": "Lists",
        "input_fields": [{"name": "rows"}],
        "processors": [
            {
                "id": "each",
                "provider_slug": "promptly",
                "processor_slug": "map",
                "input": {"input_list": [], "input_list_json": "{{_inputs0.rows}} "},
                "config": {"promptly_app": app, "objref": False},
            },
            {
                "id": "all",
                "provider_slug": "promptly",
                "processor_slug": "reduce",
                "input": {"input_list_json": "{{each.outputs_text}} "},
                "config": {
                    "promptly_app": "{}",
                    "reducer_liquid_template": "{{_reduce_acc}}\n{{_reduce_item}}",
                    "objref": False,
                },
            },
        ],
        "output_template": {"markdown": "{{all.output}}"},
    }
    plan, findings = compile_app(definition, {"promptly/map": Map, "promptly/reduce": Reduce})
    assert plan is not None, findings.faults
    assert [reference.id for reference in findings.references] == [APP]
