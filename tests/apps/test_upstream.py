"""Definitions in upstream's own shape load as they are, and answer, blocking and streamed."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmstack_api.cli.apps_files import read_app
from llmstack_api.settings import Settings
from tests.apps.calls import create
from tests.apps.surroundings import OPENING, Surroundings, run_both_ways, surroundings
from tests.fake_model import FakeModel
from tests.runs.streams import stitch

FOLDER = Path(__file__).parent / "upstream"
FILES = sorted(FOLDER.glob("*.yaml"))
MANUAL = "data:text/plain;name=manual.txt;base64,VGhlIGRydW0gdHVybnMgbGVmdC4="


async def load(around: Surroundings, name: str) -> dict[str, Any]:
    """Post the app of a template as `apps apply` does; only its datasource is filled in."""
    file = read_app(FOLDER / f"{name}.yaml")
    assert file.notes
    for step in file.definition["processors"]:
        if "datasource" in step["config"]:
            assert step["config"]["datasource"] == []
            step["config"]["datasource"] = [around.datasource]
    return await create(around.client, file.definition)


def warned(app: dict[str, Any]) -> list[str]:
    return sorted(warning["loc"] for warning in app["warnings"])


async def test_the_website_chatbot_answers_from_its_datasource(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await load(around, "website_chatbot")
        output, lines = await run_both_ways(around.client, app["uuid"], {"question": "When is it open?"})
    assert warned(app) == ["config.layout", "processors[0].config.use_azure_if_available", "slug"]
    assert OPENING in output["output"]
    assert output["output"].count("When is it open?") == 1
    assert len(lines) > 3
    system = fake_model.last.body["messages"][0]
    assert system == {"role": "system", "content": "You work at a garden centre"}


async def test_the_character_remembers_and_speaks_token_by_token(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await load(around, "character_chat")
        output, lines = await run_both_ways(around.client, app["uuid"], {"question": "one two three"})
        path = f"/api/apps/{app['uuid']}/run/s"
        for question in ("I am Ada", "Who am I?"):
            fake_model.script("slow:50")
            streamed = await around.client.post(path, json={"input": {"question": question}, "stream": True})
    assert warned(app) == ["slug"]
    assert output["output"].strip() == "one two three"
    assert len(lines) > 2
    chunks = [json.loads(line) for line in streamed.content.split(b"\n") if line.strip()]
    assert stitch(chunks)["output"].strip() == "Who am I?"
    assert len(chunks) >= 2 + len(["Who", "am", "I?"])
    sent = fake_model.last.body["messages"]
    assert [(message["role"], message["content"].strip()) for message in sent[1:]] == [
        ("user", "I am Ada"),
        ("assistant", "I am Ada"),
        ("user", "Who am I?"),
    ]
    assert all(message.keys() == {"role", "content"} for message in sent)


async def test_the_translator_is_told_both_languages(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    given = {"input": "Dear Bo,\nI am well.", "input_language": "English", "output_language": "Dutch"}
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await load(around, "language_translator")
        output, lines = await run_both_ways(around.client, app["uuid"], given)
    assert warned(app) == ["slug"]
    assert output["output"].strip() == ("From English  into Dutch \n----\nLetter: Dear Bo,\nI am well.")
    assert len(lines) > 2


async def test_the_file_is_read_before_the_model_is_asked(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await load(around, "file_chat")
        output, _ = await run_both_ways(
            around.client, app["uuid"], {"file": MANUAL, "question": "Where does it turn?"}
        )
    assert warned(app) == ["slug"]
    assert output["output"].startswith("Manual: The drum turns left.")
    assert output["output"].strip().endswith("Question: Where does it turn?")


async def test_the_extractor_warns_of_an_input_that_it_does_not_declare(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await load(around, "data_extractor")
        output, _ = await run_both_ways(around.client, app["uuid"], {"input": "Sum: 7", "format": "JSON"})
    assert warned(app) == ["processors[0].input.messages[0].content", "slug"]
    assert output["output"].strip() == "Invoice: Sum: 7 \n---\nFormat: JSON"


async def test_the_agent_asks_its_datasource_and_the_web_and_answers(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    async with surroundings(sqlite_settings, fake_model) as around:
        app = await load(around, "chatbot_with_internet")
        page = around.found_on_the_web("tides")
        calls = [f"_inputs1{json.dumps({'question': 'When is it open?'})}", '_inputs2{"query": "tides"}']
        agent = f"tools:{';'.join(calls)}"
        fake_model.script(*2 * [agent, "echo", agent])
        output, lines = await run_both_ways(around.client, app["uuid"], {"task": "Open? Tides?"})
    assert {"slug", "processors[0].config.use_azure_if_available"} <= set(warned(app))
    assert "config" not in {warning["loc"].partition(".")[0] for warning in app["warnings"]}
    assert OPENING in output["output"]
    assert f"URL: {page}" in output["output"]
    assert len(lines) > 3
    offered = fake_model.requests[0].body["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["_inputs1", "_inputs2"]
    assert "What is outside of the house" in offered[1]["function"]["description"]


def test_every_definition_is_tested() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert len(FILES) == 6
    assert [file.stem for file in FILES if f'"{file.stem}"' not in here] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_wrapper_is_all_that_is_left_out(file: Path) -> None:
    app = read_app(file)
    assert app.uuid is None
    assert app.name
    [note] = app.notes
    assert "category_slugs, icon, pages, provider_slug" in note
