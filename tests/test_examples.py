"""Every example app runs, blocking and streamed, and both give the same."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmstack_api.apps.templates import examples_folder, find_template, load_templates, needs_of
from llmstack_api.engine.graph import compile_app
from llmstack_api.processors import REGISTRY
from llmstack_api.settings import Settings
from tests.apps.calls import create, create_yaml
from tests.apps.surroundings import OPENING, TIDES, Surroundings, run_both_ways, surroundings
from tests.fake_model import FakeModel

EXAMPLES = sorted(examples_folder().glob("*.yaml"))
README = Path(__file__).parents[1] / "README.md"
MANUAL = "data:text/plain;name=manual.txt;base64,VGhlIGRydW0gdHVybnMgbGVmdC4="

EVENT = {
    "title": "Evening of the tides",
    "date": "2026-03-01",
    "place": None,
    "speakers": [{"name": "Ada", "topic": "Moon"}, {"name": "Bo", "topic": None}],
    "is_free": True,
}
TRIAGE = {"category": "fault", "urgency": "urgent", "reply": "We are sorry, and come at once."}
TASK = "What makes tides?"

Output = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What an example is run with, and what it then has to give."""

    given: Output
    is_right: Callable[[Output], bool]
    script: Callable[[Surroundings], list[str]] = field(default=lambda _: [])
    """What the model does in one run, where it is not to repeat what the user said."""


def _research(around: Surroundings) -> list[str]:
    page = around.found_on_the_web("tides")
    search, read = json.dumps({"query": "tides"}), json.dumps({"url": page})
    script = f"tools:web_search{search}|read_page{read}"
    return [script, script, script]


def _is_research(output: Output) -> bool:
    first, second, last = output["steps"]
    return (
        "What makes them" in first["tool_calls"][0]["result"]
        and TIDES in second["tool_calls"][0]["result"]
        and last["tool_calls"] == []
        and TIDES in output["answer"]
    )


CASES = {
    "answers-from-documents": Case(
        {"question": "When does the library open?"},
        lambda output: (
            OPENING in output["answer"]
            and output["generated"] is False
            and output["sources"][0]["source"] == "hours"
        ),
    ),
    "chat": Case(
        {"question": "one two three"},
        lambda output: output == {"answer": "one two three", "finish_reason": "stop"},
    ),
    "document-question-answering": Case(
        {"file": MANUAL, "question": "Where does it turn?"},
        lambda output: (
            output["excerpts"].strip() == "The drum turns left."
            and "The drum turns left." in output["answer"]
            and output["answer"].strip().endswith("Question: Where does it turn?")
        ),
    ),
    "echo": Case(
        {"text": "one two three", "shout": True},
        lambda output: output == {"answer": "ONE TWO THREE", "words": "3 words", "reversed": "THREE TWO ONE"},
    ),
    "extractor-to-json": Case({"text": json.dumps(EVENT)}, lambda output: output == EVENT),
    "image-prompt": Case(
        {"idea": "a boat at night"},
        lambda output: (
            output["prompt"] == "a boat at night"
            and output["image"].startswith(("data:image/", "https://images.example/"))
        ),
    ),
    "research-agent": Case({"task": TASK}, _is_research, script=_research),
    "summarise-and-translate": Case(
        {"text": "A long story.", "language": "French"},
        lambda output: output == {"summary": "A long story.", "translation": "A long story."},
    ),
    "summariser": Case(
        {"text": "A long story.", "form": "points"},
        lambda output: output == {"summary": "A long story."},
    ),
    "support-triage": Case(
        {"message": json.dumps(TRIAGE)},
        lambda output: output == {**TRIAGE, "queue": "on-call"},
    ),
    "translator": Case(
        {"text": "A long story.", "language": "Dutch"},
        lambda output: output == {"translation": "A long story."},
    ),
    "website-chatbot": Case(
        {"question": "When does the library open?"},
        lambda output: (
            output["sources"][0]["text"] == OPENING
            and OPENING in output["answer"]
            and "When does the library open?" in output["answer"]
        ),
    ),
}


@pytest.mark.parametrize("slug", [file.stem for file in EXAMPLES])
async def test_every_example_gives_the_same_blocking_and_streamed(
    slug: str, sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    case = CASES[slug]
    async with surroundings(sqlite_settings, fake_model) as around:
        template = find_template(slug)
        if needs_of(template.definition, REGISTRY).datasource:
            shown = await around.client.get(
                f"/api/apps/templates/{slug}",
                params={"datasource": around.datasource},
                headers={"Accept": "application/yaml"},
            )
            app = await create_yaml(around.client, shown.content)
        else:
            app = await create_yaml(around.client, template.text)
        fake_model.script(*2 * case.script(around))
        output, _ = await run_both_ways(around.client, app["uuid"], case.given)

    assert case.is_right(output), output
    assert app["warnings"] == []
    if not needs_of(template.definition, REGISTRY).model:
        assert fake_model.requests == []


def test_every_example_has_a_case_and_stands_in_the_readme() -> None:
    slugs = {file.stem for file in EXAMPLES}
    assert slugs == CASES.keys() == load_templates().keys()
    readme = README.read_text()
    assert [slug for slug in slugs if f"(examples/{slug}.yaml)" not in readme] == []


def test_every_example_can_be_saved_without_a_warning() -> None:
    for template in load_templates().values():
        plan, findings = compile_app(template.definition, REGISTRY)
        assert plan is not None, (template.slug, findings.faults)
        assert findings.warnings == [], template.slug


async def test_the_chatbot_gives_the_model_its_passages_and_the_history(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        template = await around.client.get(
            "/api/apps/templates/website-chatbot", params={"datasource": around.datasource}
        )
        app = await create(around.client, template.json()["definition"])
        for question in ("When does the library open?", "And on Sundays?"):
            path = f"/api/apps/{app['uuid']}/run/s-1"
            answer = await around.client.post(path, json={"input": {"question": question}})
            assert answer.status_code == 200, answer.text
    first, second = (request.body["messages"] for request in fake_model.requests)
    assert [message["role"] for message in first] == ["system", "user"]
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    assert second[1]["content"] == "When does the library open?"
    assert OPENING in second[-1]["content"]


@pytest.mark.parametrize(
    ("slug", "given", "keys"),
    [
        ("extractor-to-json", {"text": json.dumps(EVENT)}, ["title", "date", "speakers"]),
        ("support-triage", {"message": json.dumps(TRIAGE)}, ["category", "urgency", "reply", "queue"]),
        ("summarise-and-translate", {"text": "one two three"}, ["summary", "translation"]),
    ],
)
async def test_keys_stream_in_the_order_in_which_the_model_writes_them(
    slug: str, given: Output, keys: list[str], sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await create_yaml(around.client, find_template(slug).text)
        fake_model.script("slow:50", "slow:50")
        answer = await around.client.post(
            f"/api/apps/{app['uuid']}/run", json={"input": given, "stream": True}
        )
    lines = [json.loads(line) for line in answer.content.split(b"\n") if line.strip()]
    assert lines[-1]["done"]["status"] == "succeeded"
    first = [next(number for number, line in enumerate(lines) if key in line) for key in keys]
    assert first == sorted(first)
    assert first[0] < first[-1]


async def test_a_file_is_asked_about_in_a_form_too(sqlite_settings: Settings, fake_model: FakeModel) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await create(around.client, find_template("document-question-answering").definition)
        answer = await around.client.post(
            f"/api/apps/{app['uuid']}/run",
            data={"question": "Where does it turn?"},
            files={"file": ("manual.md", b"# Drum\n\nThe drum turns left.", "text/markdown")},
        )
    assert answer.status_code == 200, answer.text
    assert "The drum turns left." in answer.json()["output"]["excerpts"]
