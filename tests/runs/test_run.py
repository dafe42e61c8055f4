"""Running an app: the blocking answer, the stream, server-sent events, sessions and history."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from llmstack_api.auth import Scope
from tests.fake_model import FakeModel
from tests.runs.streams import ECHO, chat, last_run, make_app, run, stitch, stream
from tests.server import RunningServer

QUESTION = "Größe?\u2028 two\u0085 three \U0001f600 ÷"


async def test_a_blocking_run_answers_session_output_run_and_usage(client: httpx.AsyncClient) -> None:
    answer = await run(client, await make_app(client, ECHO), "one two")

    assert answer["output"] == {"answer": "one two", "shout": "ONE TWO"}
    assert answer["usage"] == {"input_tokens": None, "output_tokens": None}
    assert answer["run"]["status"] == "succeeded"
    assert UUID(answer["run"]["id"]).version == 7
    assert answer["session"]["id"]


async def test_a_stream_begins_with_its_session_ends_with_done_and_stitches_to_the_blocking_output(
    client: httpx.AsyncClient,
) -> None:
    app = await make_app(client, ECHO)
    lines = await stream(client, app, QUESTION)

    assert list(lines[0]) == ["session", "run"]
    assert lines[-1] == {
        "done": {"status": "succeeded", "usage": {"input_tokens": None, "output_tokens": None}}
    }
    assert len(lines) > 3
    assert stitch(lines) == (await run(client, app, QUESTION))["output"]


async def test_no_line_of_a_stream_holds_a_separator_that_clients_split_at(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    async with client.stream(
        "POST", f"{app}/run", json={"input": {"question": QUESTION}, "stream": True}
    ) as answer:
        lines = [json.loads(line) async for line in answer.aiter_lines() if line]

    assert stitch(lines)["answer"] == QUESTION


async def test_stream_headers_keep_proxies_from_holding_it_back(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    async with client.stream("POST", f"{app}/run", json={"stream": True}) as answer:
        await answer.aread()

    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_server_sent_events_carry_the_same_run(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    async with client.stream(
        "POST",
        f"{app}/run",
        json={"input": {"question": QUESTION}, "stream": True},
        headers={"Accept": "text/event-stream"},
    ) as answer:
        body = (await answer.aread()).decode()

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in body.strip().split("\n\n")]
    assert [event["id"] for event in events] == [str(number) for number in range(1, len(events) + 1)]
    assert [event["event"] for event in events] == ["session", *["chunk"] * (len(events) - 2), "done"]
    assert stitch([json.loads(event["data"]) for event in events])["answer"] == QUESTION


async def test_accept_alone_does_not_make_a_run_stream(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    answer = await client.post(f"{app}/run", json={}, headers={"Accept": "text/event-stream"})

    assert answer.headers["content-type"] == "application/json"


async def test_silence_is_filled_with_blank_lines(client: httpx.AsyncClient, fake_model: FakeModel) -> None:
    app = await make_app(client, chat("hang"))
    async with client.stream(
        "POST", f"{app}/run", json={"input": {"question": "x"}, "stream": True}
    ) as answer:
        async with asyncio.timeout(5):
            lines = answer.aiter_raw()
            first = await anext(lines)
            second = await anext(lines)

    assert json.loads(first)["session"]
    assert second == b"\n"
    await fake_model.until_aborted()


async def test_a_model_streams_token_by_token_and_its_usage_is_reported(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("slow:50"))
    lines = await stream(client, app, "a b c d e f")

    assert len(lines) >= 6
    assert stitch(lines) == {"answer": "a b c d e f"}
    usage = lines[-1]["done"]["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0
    record = await last_run(client)
    assert record["usage"] == usage
    assert record["steps"][0]["usage"] == usage
    assert record["steps"][0]["first_output_ms"] <= record["steps"][0]["finished_ms"]
    assert fake_model.open_calls == 0


async def test_a_session_remembers_and_another_does_not(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("echo", retain_history=True))
    await run(client, app, "I am Ada", session="s-1")
    await run(client, app, "Who am I?", session="s-1")
    assert [message["content"] for message in fake_model.last.body["messages"]] == [
        "I am Ada",
        "I am Ada",
        "Who am I?",
    ]

    await run(client, app, "Who am I?", session="s-2")
    assert len(fake_model.last.body["messages"]) == 1
    found = (await client.get(f"{app}/sessions/s-1")).json()
    assert [message["content"] for message in found["messages"]["_inputs1"]] == [
        "I am Ada",
        "I am Ada",
        "Who am I?",
        "Who am I?",
    ]


async def test_the_same_session_id_is_another_session_for_another_app_and_account(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    definition = chat("echo", retain_history=True)
    mine, also_mine = await make_app(client, definition), await make_app(client, definition)
    theirs = await make_app(other_client, definition)
    await run(client, mine, "secret", session="shared")
    await run(client, also_mine, "x", session="shared")
    assert len(fake_model.last.body["messages"]) == 1
    await run(other_client, theirs, "x", session="shared")
    assert len(fake_model.last.body["messages"]) == 1

    assert (await other_client.get(f"{mine}/sessions/shared")).status_code == 404
    assert (await other_client.delete(f"{mine}/sessions/shared")).status_code == 404


async def test_runs_at_once_on_one_session_neither_lose_nor_mix_messages(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("slow:200", retain_history=True))
    questions = [f"q{number} w w" for number in range(8)]
    await asyncio.gather(*(run(client, app, question, session="busy") for question in questions))
    messages = (await client.get(f"{app}/sessions/busy")).json()["messages"]["_inputs1"]

    assert sorted(message["content"] for message in messages[::2]) == questions
    assert [message["content"] for message in messages[::2]] == [
        message["content"] for message in messages[1::2]
    ]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 8
    assert sorted(len(call.body["messages"]) for call in fake_model.requests) == [1, 3, 5, 7, 9, 11, 13, 15]


async def test_a_waiting_turn_of_a_session_does_not_hold_up_another_session(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    slow, quick = await make_app(client, chat("hang")), await make_app(client, chat("echo"))
    waiting = [asyncio.create_task(stream(client, slow, session="s")) for _ in range(2)]
    await fake_model.until(lambda: fake_model.open_calls == 1)
    assert (await run(client, quick, "hello", session="s"))["output"] == {"answer": "hello"}
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await fake_model.until(lambda: fake_model.open_calls == 0)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("", {"session_id": "ok", "nope": 1}, "nope"),
        ("", {"input": "text"}, "input"),
        ("", {"input": {"other": 1}}, "input.other"),
        ("", {"input": {"question": 5}}, "input.question"),
        ("", {"stream": "yes"}, "stream"),
        ("", {"session_id": "a b"}, "session_id"),
        ("", {"session_id": "x" * 10_240}, "session_id"),
        ("/" + "x" * 10_240, {}, "session_id"),
        ("/a%20b", {}, "session_id"),
        ("/one", {"session_id": "two"}, "session_id"),
    ],
)
async def test_what_cannot_be_run_is_a_422_that_names_it(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], named: str
) -> None:
    app = await make_app(client, ECHO)
    answer = await client.post(f"{app}/run{path}", json={"stream": True, **body})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["loc"] for error in answer.json()["errors"]] == [named]
    assert (await client.get("/api/runs")).json() == []


async def test_a_session_id_may_stand_in_the_body(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    answer = await client.post(f"{app}/run", json={"session_id": "Mine.1:a-b_c"})
    same = await client.post(f"{app}/run/Mine.1:a-b_c", json={"session_id": "Mine.1:a-b_c"})

    assert answer.json()["session"] == same.json()["session"] == {"id": "Mine.1:a-b_c"}
    assert [session["id"] for session in (await client.get(f"{app}/sessions")).json()] == ["Mine.1:a-b_c"]


@pytest.mark.parametrize("app", ["00000000-0000-7000-8000-000000000000", "not-a-uuid", "theirs"])
async def test_an_app_that_is_not_there_is_a_404(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient, app: str
) -> None:
    path = await make_app(other_client, ECHO) if app == "theirs" else f"/api/apps/{app}"
    answer = await client.post(f"{path}/run", json={"stream": True})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_history_lists_selects_and_pages_newest_first(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    one, two = await make_app(client, ECHO), await make_app(client, ECHO)
    ids = [(await run(client, one, session="a"))["run"]["id"] for _ in range(3)]
    ids.append((await run(client, two, session="b"))["run"]["id"])
    everything = (await client.get("/api/runs")).json()
    first = await client.get("/api/runs", params={"limit": 3})
    second = await client.get(first.links["next"]["url"])

    assert [item["id"] for item in everything] == ids[::-1]
    assert [item["id"] for item in first.json() + second.json()] == ids[::-1]
    assert "next" not in second.links
    assert len((await client.get("/api/runs", params={"app": one.rpartition("/")[2]})).json()) == 3
    assert len((await client.get("/api/runs", params={"session": "b"})).json()) == 1
    assert (await client.get("/api/runs", params={"status": "failed"})).json() == []
    assert (await other_client.get("/api/runs")).json() == []
    assert (await other_client.get(f"/api/runs/{ids[0]}")).status_code == 404


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=x", "status=gone"])
async def test_a_list_that_cannot_be_made_is_a_422(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/runs?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == f"query.{query.split('=', maxsplit=1)[0]}"


async def test_deleting_a_session_forgets_it_and_keeps_its_runs(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("echo", retain_history=True))
    await run(client, app, "one", session="s")
    assert (await client.delete(f"{app}/sessions/s")).status_code == 204
    assert (await client.delete(f"{app}/sessions/s")).status_code == 404
    await run(client, app, "two", session="s")

    assert len(fake_model.last.body["messages"]) == 1
    assert len((await client.get("/api/runs")).json()) == 2


async def test_a_session_deleted_while_it_runs_costs_the_memory_and_not_the_run(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("slow:20", retain_history=True))
    task = asyncio.create_task(run(client, app, "a b c d e f", session="s"))
    await fake_model.until(lambda: fake_model.open_calls == 1)
    assert (await client.delete(f"{app}/sessions/s")).status_code == 204

    assert (await task)["run"]["status"] == "succeeded"
    assert (await client.get(f"{app}/sessions/s")).status_code == 404


@pytest.mark.parametrize(
    ("scopes", "status"), [([Scope.RUN], 200), ([Scope.READ], 403), ([Scope.WRITE, Scope.ADMIN], 403)]
)
async def test_running_needs_the_scope_run(
    client: httpx.AsyncClient, server: RunningServer, scopes: list[Scope], status: int
) -> None:
    app = await make_app(client, ECHO)
    async with server.client(scopes=scopes) as limited:
        answer = await limited.post(f"{app}/run", content=b"{not json" if status == 403 else b"{}")

    assert answer.status_code == status


async def test_every_turn_of_a_session_remembers_the_one_before_however_close_they_come(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("echo", retain_history=True))
    for number in range(15):
        await asyncio.gather(*(run(client, app, f"{number}", session="close") for _ in range(2)))

    assert sorted(len(call.body["messages"]) for call in fake_model.requests) == list(range(1, 60, 2))


@pytest.mark.parametrize(
    ("output", "where"),
    [
        ("{{ 1 | divided_by: _inputs0.question }}", "output.b"),
        ("{% for i in (1..10000000) %}x{% endfor %}", "output.b"),
    ],
)
async def test_a_template_that_fails_is_named(client: httpx.AsyncClient, output: str, where: str) -> None:
    app = await make_app(client, {**ECHO, "output": {"a": "fine", "b": output}})
    answer = await client.post(f"{app}/run", json={"input": {"question": "0"}})
    problem = answer.json()

    assert (answer.status_code, problem["type"].rpartition("#")[2]) == (422, "template-error")
    assert problem["detail"].startswith(f"{where}: ")
    assert [error["loc"] for error in problem["errors"]] == [where]


async def test_an_input_that_is_not_set_renders_empty(client: httpx.AsyncClient) -> None:
    app = await make_app(
        client, {**ECHO, "output": {"bare": "{{_inputs0.question}}", "none": "{{_inputs0.other}}"}}
    )

    assert (await client.post(f"{app}/run", json={})).json()["output"] == {"bare": "", "none": ""}


@pytest.mark.parametrize("path", ["/api/runs?session=%00", "{app}/sessions/%00", "{app}/sessions/a%00b"])
async def test_a_session_id_that_cannot_be_is_refused_before_the_database(
    client: httpx.AsyncClient, path: str
) -> None:
    app = await make_app(client, ECHO)

    assert (await client.get(path.format(app=app))).status_code == (422 if "runs" in path else 404)


async def test_a_long_text_is_echoed_whole_and_soon(client: httpx.AsyncClient) -> None:
    text = "a " * 200_000
    app = await make_app(client, {**ECHO, "output": {"answer": "{{_inputs1.output_str}}"}})

    assert (await run(client, app, text))["output"] == {"answer": text}
