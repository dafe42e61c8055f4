import asyncio
from typing import Any, cast

import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import Ports
from llmstack_api.engine.runner import ActiveRun, Ending, Limits, Outcome, RunRequest
from llmstack_api.errors import RunError, RunInterruptedError
from tests.engine.processors import REGISTRY, Script, step

NO_PORTS = cast("Ports", None)


@pytest.fixture(autouse=True)
def _fresh_gate() -> None:
    Script.gate = asyncio.Event()
    Script.closed.clear()


def start(
    output: dict[str, Any],
    *steps: dict[str, Any],
    inputs: dict[str, Any] | None = None,
    streamed: bool = False,
    run_timeout: float = 10,
    max_output_chars: int = 1_000_000,
    **more: Any,
) -> ActiveRun:
    inputs = inputs or {}
    raw = {
        "name": "app",
        "input_fields": [{"name": name, "type": "multi"} for name in inputs],
        "processors": list(steps),
        "output": output,
    }
    plan, findings = compile_app(raw, REGISTRY)
    assert plan is not None, findings.faults
    return ActiveRun(
        RunRequest(
            plan=plan,
            inputs=inputs,
            ports=NO_PORTS,
            limits=Limits(run_timeout=run_timeout, step_timeout=5, max_output_chars=max_output_chars),
            **more,
        ),
        streamed=streamed,
    )


async def run(output: dict[str, Any], *steps: dict[str, Any], **more: Any) -> Outcome:
    async with asyncio.timeout(5):
        return await start(output, *steps, **more).finish()


async def lines(active: ActiveRun) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while (chunks := await active.sink.take()) is not None:
            taken.append(chunks)
    return taken


def stitch(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    stitched: dict[str, Any] = {}
    for line in chunks:
        for key, chunk in line.items():
            stitched[key] = stitched[key] + chunk if key in stitched else chunk
    return stitched


OUTPUTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"a": "{{_inputs1.text}}"}, {"a": "one two "}),
    ({"a": "{{_inputs1.choices[0].content}}"}, {"a": "one two "}),
    ({"a": "{{_inputs[1].text}}"}, {"a": "one two "}),
    ({"a": "<{{_inputs1.text | upcase | append: '!' }}>"}, {"a": "<ONE TWO !>"}),
    ({"a": "{{_inputs1.missing_or_not | default: 'none'}}"}, {"a": "none"}),
    ({"a": "{{_inputs1.rows}}"}, {"a": ["one", "two"]}),
    ({"a": "rows: {{_inputs1.rows | join: ','}}"}, {"a": "rows: one,two"}),
    ({"a": "{% for row in _inputs1.rows %}[{{row}}]{% endfor %}"}, {"a": "[one][two]"}),
    ({"a": "{{_inputs1.echo}}"}, {"a": {"deep": [1, None, True]}}),
    ({"a": "{{_inputs1.echo.deep[0]}}"}, {"a": 1}),
    ({"a": "is {{_inputs1.echo.deep[2]}}{{_inputs1.echo.deep[1]}}"}, {"a": "is true"}),
    ({"a": {"n": "{{_inputs1.first}}", "c": 1}}, {"a": {"n": "one", "c": 1}}),
    ({"a": ["{{_inputs1.first}}", 2]}, {"a": ["one", 2]}),
    ({"a": ""}, {"a": ""}),
    ({"a": "static", "b": []}, {"a": "static", "b": []}),
    ({"a": None, "b": 7}, {"a": None, "b": 7}),
    (
        {"a": "{{_inputs0.q}}", "b": "{{_inputs0.q.x}}!"},
        {"a": {"x": "{{ 7 | times: 7 }}"}, "b": "{{ 7 | times: 7 }}!"},
    ),
    ({"z": "{{_inputs1.text}}", "a": "{{_inputs1.first}}"}, {"z": "one two ", "a": "one"}),
]


@pytest.mark.parametrize(("output", "expected"), OUTPUTS, ids=[str(output) for output, _ in OUTPUTS])
async def test_the_stitched_stream_equals_the_blocking_output(
    output: dict[str, Any], expected: dict[str, Any]
) -> None:
    given = {"q": {"x": "{{ 7 | times: 7 }}"}}
    worker = step("one two")
    worker["input"]["any"] = {"deep": [1, None, True]}
    if "missing_or_not" in str(output):
        output, worker["on_error"] = {"a": "{{_inputs1.text | default: 'none'}}"}, "continue"
        worker["input"]["text"] = "!fail"

    blocking = await run(output, worker, inputs=given)
    streamed = start(output, worker, inputs=given, streamed=True)
    stitched = stitch(await lines(streamed))

    assert blocking.output == expected
    assert list(blocking.output) == list(expected)
    assert stitched == expected
    assert (await streamed.finish()).output == expected


async def test_independent_steps_run_side_by_side_and_a_dependent_one_waits_for_a_field_only() -> None:
    active = start(
        {"b": "{{b.text}}", "a": "{{a.text}}"},
        step("x !gate y", id="a"),
        step("{{a.first}} seen", id="b"),
        step("alone", id="c"),
        streamed=True,
    )
    first: dict[str, Any] = {}
    async with asyncio.timeout(5):
        while active.records["b"].status != "succeeded" or active.records["c"].status != "succeeded":
            first = stitch([first, await active.sink.take() or {}])
            await asyncio.sleep(0)
    assert active.records["a"].status == "running"
    Script.gate.set()
    rest = await lines(active)

    assert stitch([first, *rest]) == {"b": "x seen ", "a": "x y "}


async def test_a_failure_ends_the_run_with_what_had_arrived() -> None:
    active = start(
        {"a": "{{_inputs1.text}}", "b": "{{_inputs2.text}}"},
        step("got this !fail"),
        step("!hang"),
        streamed=True,
    )
    got = stitch(await lines(active))
    outcome = await active.finish()

    assert got == {"a": "got this "}
    assert (outcome.ending, outcome.output) == (Ending.FAILED, {"a": "got this "})
    assert [(error.slug, str(error), cast("RunError", error).processor) for error in outcome.errors] == [
        ("provider-failed", "It broke.", "_inputs1")
    ]
    assert [(record.id, record.status) for record in outcome.steps] == [
        ("_inputs1", "failed"),
        ("_inputs2", "cancelled"),
    ]
    assert sorted(Script.closed) == ["_inputs1", "_inputs2"]


async def test_a_tolerated_failure_leaves_null_fields_and_the_error_in_the_record() -> None:
    outcome = await run(
        {"a": "{{_inputs2.echo}}", "b": "{{_inputs1.rows}}"},
        step("!fail", on_error="continue"),
        {**step("fine"), "input": {"text": "fine", "any": "{{_inputs1.text}}"}},
    )

    assert (outcome.ending, outcome.output) == (Ending.SUCCEEDED, {"a": None, "b": None})
    assert outcome.steps[0].error == {"code": "provider-failed", "message": "It broke."}
    assert outcome.errors == ()


async def test_a_crash_of_a_processor_is_a_typed_error_that_tells_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = await run({"a": "{{_inputs1.text}}"}, step("!crash"))

    assert [(error.slug, error.status) for error in outcome.errors] == [("processor-crashed", 500)]
    assert "secret" not in str(outcome.errors[0])
    logged = capsys.readouterr()
    assert "processor_crashed" in logged.out + logged.err


async def test_a_step_over_its_timeout_fails_by_name() -> None:
    outcome = await run({"a": "{{_inputs1.text}}"}, step("soon !hang", timeout=0.05))

    assert [(error.slug, cast("RunError", error).processor) for error in outcome.errors] == [
        ("step-timeout", "_inputs1")
    ]
    assert outcome.output == {"a": "soon "}
    assert Script.closed == ["_inputs1"]


async def test_a_run_over_its_timeout_fails_as_a_whole() -> None:
    outcome = await run({"a": "{{_inputs1.text}}"}, step("!hang"), run_timeout=0.05)

    assert [error.slug for error in outcome.errors] == ["run-timeout"]
    assert outcome.ending == Ending.FAILED


async def test_stopping_closes_every_step_and_learns_nothing() -> None:
    active = start({"a": "{{_inputs1.text}}"}, step("one"), step("two !hang"))
    async with asyncio.timeout(5):
        while active.records["_inputs1"].status != "succeeded":
            await asyncio.sleep(0)
    outcome = await active.stop(Ending.INTERRUPTED, RunInterruptedError())

    assert outcome.ending == Ending.INTERRUPTED
    assert [error.slug for error in outcome.errors] == ["run-interrupted"]
    assert outcome.learned == {}
    assert sorted(Script.closed) == ["_inputs1", "_inputs2"]


async def test_only_completed_steps_are_remembered() -> None:
    outcome = await run({"a": "{{_inputs2.text}}"}, step("one"), step("{{_inputs1.text}}!fail"))

    assert list(outcome.learned) == ["_inputs1"]


async def test_an_input_that_a_processor_cannot_use_is_named() -> None:
    outcome = await run({"a": "{{_inputs1.text}}"}, step("{{_inputs0.q}}"), inputs={"q": [1]})

    assert [(error.slug, error.status) for error in outcome.errors] == [("invalid-processor-input", 422)]
    assert str(outcome.errors[0]).startswith("processors[0].input.text: ")


async def test_a_division_by_zero_in_an_output_is_the_runs_error() -> None:
    outcome = await run({"a": "x{{ 1 | divided_by: 0 }}"})

    assert [(error.slug, error.status) for error in outcome.errors] == [("template-error", 422)]


async def test_a_run_that_makes_too_much_is_cut() -> None:
    outcome = await run({"a": "{{_inputs1.text}}"}, step("!big !big"), max_output_chars=150_000)

    assert [error.slug for error in outcome.errors] == ["output-too-large"]


async def test_a_slow_reader_holds_the_producer_back() -> None:
    active = start(
        {"a": "{{_inputs1.text}}"}, step(" ".join(["!big"] * 50)), streamed=True, max_output_chars=100_000_000
    )
    for _ in range(1000):
        await asyncio.sleep(0)
    assert active.records["_inputs1"].status == "running"
    assert len(active.sink.output(["a"])["a"]) < 500_000
    got = stitch(await lines(active))

    assert len(got["a"]) == 5_000_000


async def test_the_history_is_loaded_when_the_turn_comes() -> None:
    turn = asyncio.Event()

    async def wait() -> dict[str, tuple[dict[str, Any], ...]]:
        await turn.wait()
        return {}

    active = start({"a": "{{_inputs1.text}}"}, step("x"), turn=wait)
    await asyncio.sleep(0)
    assert active.records["_inputs1"].status == "waiting"
    turn.set()

    assert (await active.finish()).ending == Ending.SUCCEEDED


async def test_a_branch_not_taken_waits_for_nothing() -> None:
    active = start(
        {"a": "{% if _inputs0.go %}{{_inputs1.text}}{% else %}no{% endif %}", "b": "{{_inputs2.text}}"},
        step("!gate"),
        step("{% if _inputs0.go %}{{_inputs1.text}}{% else %}at once{% endif %}"),
        inputs={"go": False},
        streamed=True,
    )
    async with asyncio.timeout(5):
        while not (active.sink.has("a") and active.records["_inputs2"].status == "succeeded"):
            await asyncio.sleep(0)
    assert active.records["_inputs1"].status == "running"
    Script.gate.set()

    assert stitch(await lines(active)) == {"a": "no", "b": "at once "}


async def test_a_text_that_is_repeated_without_bound_is_refused_by_the_budget() -> None:
    outcome = await run({"a": "{{_inputs0.q}} " * 100}, inputs={"q": "x" * 1_000_000}, max_output_chars=10**9)

    assert [(error.slug, error.status) for error in outcome.errors] == [("template-error", 422)]


async def test_a_value_in_many_keys_counts_each_time() -> None:
    outcome = await run({f"k{n}": "{{_inputs0.q}}" for n in range(100)}, inputs={"q": ["x" * 100_000]})

    assert [error.slug for error in outcome.errors] == ["output-too-large"]


async def test_a_value_leaves_room_for_the_record_that_it_comes_to_stand_in() -> None:
    value: Any = "x"
    for _ in range(250):  # a serialiser takes 254 levels
        value = [value]
    outcome = await run(
        {"a": "{{_inputs1.echo}}"}, step("", input={"any": "{{_inputs0.q}}"}), inputs={"q": value}
    )

    assert [error.slug for error in outcome.errors] == ["output-too-large"]
    assert outcome.output == {}


async def test_the_bound_of_a_run_is_not_tolerated_as_a_steps_failure() -> None:
    outcome = await run(
        {"a": "{{_inputs1.text}}", "b": "{{_inputs1.text}}", "c": "{{_inputs1.text}}"},
        step("!big !big", on_error="continue"),
        max_output_chars=450_000,
    )

    assert outcome.ending == Ending.FAILED
    assert [error.slug for error in outcome.errors] == ["output-too-large"]
