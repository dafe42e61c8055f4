"""`llmstack-api apps run`: its input, and what stands on the screen."""

import asyncio
import io
import json
import signal
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx

from llmstack_api.cli.apps_run import Screen, read_inputs
from tests.apps.calls import create
from tests.cli.apps import TWO_KEYS, Command, write
from tests.command import COMMAND, TIMEOUT, environment
from tests.fake_model import FakeModel
from tests.runs.streams import chat
from tests.server import RunningServer


async def test_one_output_key_is_shown_as_bare_text(apps: Command, sqlite_client: httpx.AsyncClient) -> None:
    app = await create(sqlite_client)
    for name in ("Echo", app["uuid"]):
        shown = await apps("run", name, "--input", "question=a = b, c", "--session", "s-1")
        assert (shown.code, shown.out) == (0, "a = b, c\n")
        assert shown.err.startswith("succeeded in ")
        assert shown.err.endswith(" s, session s-1\n")


async def test_a_file_is_applied_first(apps: Command) -> None:
    file = write(TWO_KEYS)
    shown = await apps("run", file, "--input", "who=Ada", "--input", "times=3")
    assert shown.out == "text: Hi Ada\ntimes: 3\n"
    assert shown.err.startswith("llmstack-api: created Two ")
    shown = await apps("run", file, "--input-json", '{"who": "Ada", "times": 1}', "--input", "who=Bo")
    assert shown.out == "text: Hi Bo\ntimes: 1\n"
    assert shown.err.startswith("llmstack-api: unchanged Two ")


async def test_json_is_the_blocking_answer(apps: Command) -> None:
    shown = await apps("run", write(TWO_KEYS), "--json", "--input", "who=Zoë")
    answer = json.loads(shown.out)
    assert answer["output"] == {"text": "Hi Zoë", "times": 1}
    assert answer["run"]["status"] == "succeeded"
    assert answer.keys() == {"session", "output", "run", "usage"}


async def test_tokens_are_counted_and_a_session_goes_on(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    await create(sqlite_client, chat("echo", retain_history=True))
    for question in ("I am Ada", "Who am I?"):
        shown = await apps("run", "Chat", "--input", f"question={question}", "--session", "s")
        assert shown.out == f"{question}\n"
    assert ", 9 + 3 tokens, session s\n" in shown.err


async def test_a_run_that_fails_shows_what_came_and_why(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    await create(sqlite_client, chat("drop:2"))
    shown = await apps("run", "Chat", "--input", "question=hi")
    assert (shown.code, shown.out) == (1, "word0 word1 \n")
    failed, ended = shown.err.splitlines()
    assert failed.startswith("llmstack-api: provider-failed in _inputs1: ")
    assert ended.startswith("failed in ")
    as_json = json.loads((await apps("run", "Chat", "--json", "--input", "question=hi")).out)
    assert as_json["run"]["status"] == "failed"
    assert as_json["errors"][0]["code"] == "provider-failed"


async def test_an_input_that_is_refused_is_told_with_its_place(apps: Command) -> None:
    file = write(TWO_KEYS)
    shown = await apps("run", file, "--input", "hwo=Ada")
    assert shown.code == 1
    assert "llmstack-api: input.hwo: no such input; the app has who, times\n" in shown.err
    shown = await apps("run", file, "--input", "times=many")
    assert shown.err.endswith("llmstack-api: --input times: must be a number, not 'many'\n")


async def test_ctrl_c_ends_the_run_upstream(
    sqlite_server: RunningServer, fake_model: FakeModel, sqlite_client: httpx.AsyncClient, tmp_path: Path
) -> None:
    await create(sqlite_client, chat("hang-mid"))
    env = environment(tmp_path, url=sqlite_server.url, token=await sqlite_server.token())
    process = await asyncio.create_subprocess_exec(
        "env",
        "--default-signal=INT",  # a suite that runs in the background may have it ignored
        *COMMAND,
        "apps",
        "run",
        "Chat",
        "--input",
        "question=hi",
        env=env,
        cwd=tmp_path,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(TIMEOUT):
        assert await process.stdout.readexactly(len("word0 word1 ")) == b"word0 word1 "
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    await fake_model.until_aborted()


def test_values_are_of_the_type_that_their_field_has(tmp_path: Path) -> None:
    tmp_path.joinpath("note.txt").write_text("a note")
    fields = [
        {"name": "title", "type": "string"},
        {"name": "count", "type": "number"},
        {"name": "loud", "type": "boolean"},
        {"name": "size", "type": "select", "options": [{"value": 1}, {"value": "2"}, {"value": True}]},
        {"name": "any", "type": "multi"},
        {"name": "doc", "type": "file"},
        {"name": "text", "type": "text"},
    ]
    note = str(tmp_path / "note.txt")
    given = {"title": "7", "count": "7", "loud": "true", "size": "1", "any": '{"a": 1}'}
    assert read_inputs(fields, inputs=given.items(), files=[("doc", note), ("text", note)]) == {
        "title": "7",
        "count": 7,
        "loud": True,
        "size": 1,
        "any": {"a": 1},
        "doc": "data:text/plain;name=note.txt;base64,YSBub3Rl",
        "text": "a note",
    }
    others = [("size", "2"), ("size", "3"), ("any", "plain")]
    assert [read_inputs(fields, inputs=[pair], files=[])[pair[0]] for pair in others] == ["2", "3", "plain"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(*lines: tuple[float, dict[str, Any]], keys: str, out: io.StringIO | None = None) -> list[str]:
    """Show lines at their times; return what stands on the screen after each, and at the end."""
    out = out or io.StringIO()
    now = 0.0
    shown = Screen(out, keys=list(keys), clock=lambda: now)
    seen: list[str] = []
    for moment, line in lines:
        now = moment
        shown.show(line)
        seen.append(out.getvalue())
    shown.close()
    return [*seen, out.getvalue()]


def test_keys_that_stream_side_by_side_are_shown_one_after_the_other() -> None:
    lines = [(0.1, {"a": "1"}), (0.2, {"b": "x"}), (0.3, {"a": "2", "b": "y"}), (0.4, {"c": 3})]
    assert screen(*lines, keys="abc") == ["a: 1", "a: 1", "a: 12", "a: 12", "a: 12\nb: xy\nc: 3\n"]


def test_a_key_that_is_silent_makes_room_for_the_next() -> None:
    lines = [(0, {"a": "1"}), (0.5, {"b": "x"}), (1.5, {"b": "y"}), (3.0, {"a": "2"})]
    assert screen(*lines, keys="ab") == [
        "a: 1",
        "a: 1",
        "a: 1\nb: xy",
        "a: 1\nb: xy\na (continued): 2",
        "a: 1\nb: xy\na (continued): 2\n",
    ]


def test_elements_are_lines_and_other_values_json() -> None:
    lines = [(0, {"a": ["x", {"n": 1}]}), (0, {"a": ["y"]}), (0, {"b": {"ü": None}})]
    assert screen(*lines, keys="ab")[-1] == 'a: \n- x\n- {"n": 1}\n- y\nb: {"ü": null}\n'


def test_a_terminal_is_sent_nothing_that_it_would_obey() -> None:
    line = {"a": "\x1b]0;owned\x07 \u202eevil\r\n\tok"}
    assert screen((0, line), keys="a", out=Terminal())[-1] == "�]0;owned� �evil�\n\tok\n"
    assert screen((0, line), keys="a")[-1] == f"{line['a']}\n"
