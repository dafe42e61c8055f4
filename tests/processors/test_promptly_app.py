"""`promptly/promptly_app` over the port that runs other apps."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject, Usage
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.processors.promptly_app import PromptlyApp
from tests.ports import make_ports
from tests.processors.steps import Emitted, OtherApps, run_step

APP = "6f0d0e0c-0000-4000-8000-000000000001"


class Replying(OtherApps):
    """Answers in these chunks."""

    def __init__(self, *keys: str, chunks: Sequence[JsonObject], error: Exception | None = None) -> None:
        super().__init__(*keys)
        self._chunks = chunks
        self._error = error

    async def answer(self, inputs: JsonObject) -> Sequence[JsonObject]:
        del inputs
        if self._error:
            raise self._error
        return self._chunks


async def run(apps: OtherApps, emitted: Emitted | None = None, **values: Any) -> JsonObject:
    values.setdefault("config", {"promptly_app": f"{APP} "})
    return await run_step(PromptlyApp, make_ports(apps=apps), values.get("input"), values["config"], emitted)


async def test_an_app_answers_as_its_own_stream_does() -> None:
    apps = Replying(
        "answer",
        "rows",
        "sum",
        "empty",
        chunks=[{"rows": []}, {"answer": "Hel", "rows": [1]}, {"sum": 3}, {"answer": "lo", "rows": [2, 3]}],
    )
    emitted = Emitted()
    output = await run(apps, emitted, input={"input": {"q": "hi"}})
    assert output == {"text": "Hello", "output": {"answer": "Hello", "rows": [1, 2, 3], "sum": 3}}
    assert apps.calls == [(APP, {"q": "hi"})]
    assert emitted.paths.count(("text",)) == 2
    assert emitted.paths.count(("output", "answer")) == 2
    assert emitted.usages == [Usage(2, 1)]


async def test_the_text_is_the_first_key_even_where_another_comes_first() -> None:
    apps = Replying("answer", "title", chunks=[{"title": "A title"}, {"answer": "An answer"}])
    assert (await run(apps))["text"] == "An answer"


async def test_the_text_of_a_first_key_that_is_no_text_is_its_json() -> None:
    apps = Replying("rows", chunks=[{"rows": [1, {"a": None}]}])
    assert await run(apps) == {"text": '[1,{"a":null}]', "output": {"rows": [1, {"a": None}]}}
    assert await run(Replying("rows", chunks=[{"rows": []}])) == {"text": "[]", "output": {"rows": []}}
    assert await run(Replying("answer", chunks=[{"answer": ""}])) == {"text": "", "output": {"answer": ""}}


async def test_the_app_and_its_input_may_stand_in_one_object_as_upstream_writes_them() -> None:
    given = {
        "promptly_app_uuid": APP,
        "promptly_app_published_uuid": "x",
        "promptly_app_version": "3",
        "promptly_app_input_fields": [{"name": "q", "type": "string"}],
        "input": {"q": "fixed", "lang": "en"},
    }
    for config in ({"promptly_app": given}, {"promptly_app": orjson.dumps(given).decode(), "objref": False}):
        apps = OtherApps()
        await run(apps, config=config, input={"input": '{"q": "asked"}'})
        assert apps.calls == [(APP, {"q": "asked", "lang": "en"})]


def test_templates_inside_that_object_are_templates_and_its_app_is_a_reference() -> None:
    named = {"promptly_app_uuid": APP, "promptly_app_version": "1", "input": {"q": "{{_inputs0.q}}"}}
    app: JsonObject = {
        "name": "Outer",
        "input_fields": [{"name": "q"}],
        "processors": [
            {
                "provider_slug": "promptly",
                "processor_slug": "promptly_app",
                "config": {"promptly_app": orjson.dumps(named).decode()},
            }
        ],
        "output_template": {"markdown": "{{_inputs1.text}}"},
    }
    plan, findings = compile_app(app, {"promptly/promptly_app": PromptlyApp})
    assert plan is not None, findings.faults
    assert [(found.kind, found.id) for found in findings.references] == [("app", APP)]
    assert [warning.loc for warning in findings.warnings] == ["processors[0].config.promptly_app_version"]
    app["processors"][0]["config"]["promptly_app"] = named | {"input": {"q": "{{nobody.q}}"}}
    _, findings = compile_app(app, {"promptly/promptly_app": PromptlyApp})
    assert [fault.loc for fault in findings.faults] == ["processors[0].config.input.q"]


async def test_without_an_app_there_is_nothing_to_run() -> None:
    for config in ({}, {"promptly_app": " "}, {"promptly_app": "{}"}):
        with pytest.raises(ProcessorInputError, match=r"config\.promptly_app"):
            await run(OtherApps(), config=config)


async def test_a_failure_of_the_app_is_the_steps() -> None:
    with pytest.raises(ProviderFailedError, match="away"):
        await run(Replying("answer", chunks=[], error=ProviderFailedError("away")))
