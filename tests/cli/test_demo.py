import asyncio
import os
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmstack_api.cli.child import ChildServer
from llmstack_api.cli.demo import examples_folder, stitch
from llmstack_api.cli.demo_client import Client, DemoFailedError
from llmstack_api.cli.demo_datasource import METADATA, show_datasource
from llmstack_api.engine.graph import compile_app
from llmstack_api.processors import REGISTRY
from llmstack_api.settings import Settings
from tests.command import Finished, environment, run_command
from tests.fake_model import FakeModel
from tests.server import running_server

EXAMPLES = sorted(examples_folder().glob("*.yaml"))
HANDBOOK = sorted((examples_folder() / "handbook").iterdir())


async def demo(tmp_path: Path, *options: str, **settings: object) -> Finished:
    return await run_command(
        "demo", *options, env=environment(tmp_path / "never", **settings), folder=tmp_path
    )


async def test_it_shows_that_both_ways_give_the_same(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LLMSTACK_DRAIN_GRACE=10\n")
    shown = await demo(tmp_path, database_url="postgresql+asyncpg://nobody@127.0.0.1:1/none", port=1)
    assert shown.code == 0, shown.err
    assert '{"answer":"Small ' in shown.out
    assert "The stitched stream equals the blocking answer's output." in shown.out
    assert "The server has ended" in shown.out
    assert shown.err == ""
    for file in HANDBOOK:
        assert re.search(rf"ms  {re.escape(file.name)} +READY, +[1-9]\d* chunks?  {{", shown.out)
    assert "safety.pdf, page 2, Workshop safety > Accidents\n" in shown.out
    assert os.listdir(tmp_path) == [".env"]  # noqa: PTH208 # pathlib is barred from async functions


async def test_with_a_provider_it_talks_over_two_turns(tmp_path: Path, fake_model: FakeModel) -> None:
    shown = await demo(
        tmp_path, "--model", "echo", openai_base_url=fake_model.base_url, openai_api_key="sk-1"
    )
    assert shown.code == 0, shown.err
    assert "Answer: What is my name?" in shown.out
    assert "The session remembers 4 messages" in shown.out
    assert [request.body["model"] for request in fake_model.requests] == ["echo", "echo"]


async def test_what_goes_wrong_is_told_with_the_servers_log(tmp_path: Path, fake_model: FakeModel) -> None:
    shown = await demo(tmp_path, "--model", "status:401", openai_base_url=fake_model.base_url)
    assert shown.code == 1
    assert "llmstack-api: the demo failed: the stream did not end with a run that succeeded" in shown.err
    assert "The server's log:\n" in shown.err
    assert "path=/api/apps" in shown.err


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_can_be_saved_without_a_warning(file: Path) -> None:
    plan, findings = compile_app(yaml.safe_load(file.read_text()), REGISTRY)
    assert plan is not None, findings.faults
    assert findings.warnings == []


def test_there_are_examples_with_and_without_a_model() -> None:
    assert {"chat.yaml", "echo.yaml", "summarise-and-translate.yaml"} <= {file.name for file in EXAMPLES}


def test_every_file_of_the_handbook_is_shown() -> None:
    assert {file.name for file in HANDBOOK} == METADATA.keys()
    assert {"md", "csv", "html", "pdf"} == {file.suffix[1:] for file in HANDBOOK}


async def shown_on(settings: Settings, folder: Path) -> None:
    """Show the datasource of a folder's files on a server in this process."""
    async with running_server(settings) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        child = ChildServer(ready_line="", host=host, port=int(port))
        with closing(Client(child, await server.token())) as client:
            await asyncio.to_thread(show_datasource, client, folder)


def changed_handbook(tmp_path: Path, **contents: str) -> Path:
    """Copy the handbook, with some files written anew, by their names without the ending."""
    folder = tmp_path / "handbook"
    folder.mkdir()
    for file in HANDBOOK:
        (folder / file.name).write_bytes(contents.get(file.stem, "").encode() or file.read_bytes())
    return folder


async def test_a_file_that_cannot_be_read_is_told_with_its_reason(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    folder = changed_handbook(tmp_path, safety="%PDF-1.4 and nothing else")
    with pytest.raises(DemoFailedError, match=r"^safety\.pdf was not made searchable: The file is damaged"):
        await shown_on(sqlite_settings, folder)


async def test_a_search_that_finds_something_else_is_told(sqlite_settings: Settings, tmp_path: Path) -> None:
    folder = changed_handbook(
        tmp_path, visiting="<html><body><p>The first-aid box is here.</p></body></html>"
    )
    folder.joinpath("safety.pdf").write_text("Nothing of the kind.")
    with pytest.raises(DemoFailedError, match=r"^the best passage for .* is not of safety\.pdf"):
        await shown_on(sqlite_settings, folder)


def test_chunks_are_stitched_by_key() -> None:
    lines: list[dict[str, Any]] = [
        {"session": {"id": "s"}, "run": {"id": "r"}},
        {"answer": "Hel", "sources": [1]},
        {"answer": "lo"},
        {"sources": [2], "score": 0.5, "parsed": {"a": 1}},
        {"errors": []},
        {"done": {"status": "succeeded"}},
    ]
    assert stitch(lines) == {"answer": "Hello", "sources": [1, 2], "score": 0.5, "parsed": {"a": 1}}
