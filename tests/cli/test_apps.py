"""`llmstack-api apps apply`, `diff` and `export` against a real server."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from llmstack_api.apps.yaml import load_yaml
from tests.apps.calls import create
from tests.apps.definitions import ECHO, fixed
from tests.cli.apps import TWO_KEYS, Command, Shown, write


async def test_apply_creates_an_app_then_changes_nothing_then_makes_a_version(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    file = write({**ECHO, "description": "first"})
    created = await apps("apply", file)
    [app] = (await sqlite_client.get("/api/apps")).json()
    assert created == Shown(0, f"created Echo {app['uuid']} v1\n", "")

    assert await apps("apply", file) == Shown(0, f"unchanged Echo {app['uuid']} v1\n", "")

    write({**ECHO, "output": {"answer": "{{_inputs1.output_str}}!", "more": "yes"}})
    assert await apps("apply", file) == Shown(
        0,
        f"changed Echo {app['uuid']} v1 -> v2\n"
        '  ~ output.answer: "{{_inputs1.output_str}}" -> "{{_inputs1.output_str}}!"\n'
        '  + output.more: "yes"\n'
        '  - description: "first"\n',
        "",
    )
    saved = (await sqlite_client.get(f"/api/apps/{app['uuid']}")).json()
    assert "description" not in saved
    assert saved["output"]["more"] == "yes"


async def test_what_is_written_in_another_order_or_as_nothing_is_unchanged(apps: Command) -> None:
    await apps("apply", write(ECHO))
    again = write(dict(reversed(list(ECHO.items()))) | {"description": "", "config": None}, "again.json")
    assert (await apps("apply", again)).out.startswith("unchanged Echo ")
    assert await apps("diff", again) == Shown(0, "", "")


async def test_output_takes_the_place_of_output_template_and_back(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    await apps("apply", write(fixed()))
    await apps("apply", write({"name": "Fixed", "output_template": {"markdown": "no"}}))
    [app] = (await sqlite_client.get("/api/apps")).json()
    assert app["version"] == 2
    assert "output" not in app
    assert (await apps("apply", write(fixed()))).code == 0


async def test_several_files_and_a_folder_are_applied_in_order(apps: Command, tmp_path: Path) -> None:
    tmp_path.joinpath("folder").mkdir()
    write(fixed("B"), "folder/b.yaml")
    write(fixed("A"), "folder/a.json")
    write(fixed("Hidden"), "folder/.c.yaml")
    tmp_path.joinpath("folder", "notes.txt").write_text("no app")
    shown = await apps("apply", write(fixed("C"), "c.yml"), "folder", "folder/a.json")
    assert [line.split()[:2] for line in shown.out.splitlines()] == [
        ["created", "C"],
        ["created", "A"],
        ["created", "B"],
    ]


async def test_an_app_is_found_by_an_id_and_may_get_another_name(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    uuid = (await create(sqlite_client))["uuid"]
    shown = await apps("apply", "--id", uuid, write(fixed("Renamed")))
    assert shown.out.startswith(f"changed Renamed {uuid} v1 -> v2\n")
    in_file = write({"uuid": uuid, **fixed("Again")})
    assert (await apps("apply", in_file)).out.startswith(f"changed Again {uuid} v2 -> v3\n")
    missing = uuid4()
    assert await apps("apply", "--id", missing, in_file) == Shown(
        1, "", "llmstack-api: app.yaml: This account has no such app.\n"
    )


async def test_what_the_api_answers_as_json_can_be_applied(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    app = await create(sqlite_client, {**ECHO, "description": "old"})
    shown = await apps("apply", write({**app, "description": "new"}, "answer.json"))
    assert shown.out.startswith(f"changed Echo {app['uuid']} v1 -> v2\n")


async def test_another_name_makes_another_app(apps: Command, sqlite_client: httpx.AsyncClient) -> None:
    file = write(ECHO)
    await apps("apply", file)
    assert (await apps("apply", file, "--name", "Parrot")).out.startswith("created Parrot ")
    assert [app["name"] for app in (await sqlite_client.get("/api/apps")).json()] == ["Parrot", "Echo"]
    assert (await apps("apply", file, "--name", "Parrot")).out.startswith("unchanged Parrot ")


async def test_of_two_apps_with_one_name_neither_is_touched(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    ids = [(await create(sqlite_client))["uuid"] for _ in range(2)]
    shown = await apps("apply", write({**ECHO, "description": "new"}))
    assert shown.code == 1
    assert shown.err.startswith("llmstack-api: app.yaml: there are 2 apps 'Echo'; name one by its id:\n")
    assert all(uuid in shown.err for uuid in ids)
    assert {app["version"] for app in (await sqlite_client.get("/api/apps")).json()} == {1}


async def test_files_that_are_the_same_app_are_refused_before_anything_is_done(
    apps: Command, sqlite_client: httpx.AsyncClient
) -> None:
    shown = await apps("apply", write(ECHO), write(ECHO, "twin.yaml"))
    assert shown == Shown(1, "", "llmstack-api: app.yaml and twin.yaml are both the app 'Echo'\n")
    assert (await sqlite_client.get("/api/apps")).json() == []


async def test_every_fault_of_a_definition_is_a_line_and_other_files_are_applied_all_the_same(
    apps: Command,
) -> None:
    broken: dict[str, Any] = {**ECHO, "name": "Broken", "output": {"a": "{{nobody.x}}"}, "processers": []}
    shown = await apps("apply", write(broken, "broken.yaml"), write(ECHO))
    assert shown.code == 1
    assert shown.out.startswith("created Echo ")
    head, *lines = shown.err.splitlines()
    assert head == "llmstack-api: broken.yaml: Invalid app definition"
    assert [line.split(":")[0] for line in lines] == ["  processers", "  output.a"]


async def test_warnings_are_told_beside_what_was_done(apps: Command) -> None:
    shown = await apps("apply", write({**ECHO, "icon": "robot"}))
    assert shown.out.startswith("created Echo ")
    assert shown.err == "llmstack-api: app.yaml: warning: icon: kept, but it has no effect here\n"


async def test_the_app_in_a_template_of_upstream_is_taken_out_of_it(apps: Command) -> None:
    inner = {key: value for key, value in ECHO.items() if key != "name"}
    wrapped = {"name": "Echo", "pages": [{"title": "Basic"}], "provider_slug": "promptly", "app": inner}
    shown = await apps("apply", write(wrapped))
    assert shown.out.startswith("created Echo ")
    assert shown.err == (
        "llmstack-api: app.yaml: the template around the app is left out: pages, provider_slug\n"
    )
    assert (await apps("apply", write(ECHO))).out.startswith("unchanged Echo ")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "name: [", "a.yaml: line 2, column 1: "),
        (
            "a.yaml",
            "name: A\nname: B\n",
            "a.yaml: line 2, column 1: the key 'name' stands here for the second time",
        ),
        ("a.json", '{"name": }', "a.json: no JSON: "),
        ("a.json", "[" * 500 + "]" * 500, "a.json: "),
        ("a.yaml", "- a\n", "a.yaml: an app is an object with keys such as name and processors"),
        ("a.yaml", "output: {a: b}\n", "a.yaml: name: required"),
        ("a.yaml", "name: A\nuuid: 7\n", "a.yaml: uuid: 7 is no id of an app"),
        ("a.yaml", "#" * 1_048_577, "a.yaml: an app has at most 1,048,576 bytes"),
    ],
)
async def test_a_file_that_is_no_app_is_told_in_one_line(
    name: str, text: str, said: str, offline: Command, tmp_path: Path
) -> None:
    tmp_path.joinpath(name).write_text(text)
    shown = await offline("apply", name)
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith(f"llmstack-api: {said}")
    assert shown.err.count("\n") == 1


async def test_files_that_are_not_there_and_empty_folders_are_told(offline: Command, tmp_path: Path) -> None:
    assert (await offline("apply", "none.yaml")).err == "llmstack-api: none.yaml: No such file or directory\n"
    tmp_path.joinpath("empty").mkdir()
    shown = await offline("apply", "empty")
    assert shown.err == "llmstack-api: empty: no app files (.yaml, .yml, .json) in this folder\n"
    twice = await offline("apply", "--name", "X", write(fixed("A"), "a.yaml"), write(fixed("B"), "b.yaml"))
    assert twice == Shown(1, "", "llmstack-api: --name and --id are for a single file\n")


# --- diff and export -------------------------------------------------------------------------------------


async def test_diff_shows_in_the_files_own_order_what_apply_would_change(apps: Command) -> None:
    before = {**ECHO, "description": "old\nlines"}
    await apps("apply", write(before))
    after = dict(reversed(list((before | {"description": "new\nlines"}).items())))
    shown = await apps("diff", write(after))
    assert (shown.code, shown.err) == (1, "")
    lines = shown.out.splitlines()
    assert lines[0].startswith("--- server: ")
    assert lines[0].endswith(" v1")
    assert lines[1] == "+++ app.yaml"
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-  old", "+  new"]
    await apps("apply", write(after))
    assert await apps("diff", "app.yaml") == Shown(0, "", "")


async def test_diff_of_an_app_that_is_not_there_shows_all_of_it(apps: Command) -> None:
    shown = await apps("diff", write(fixed()))
    assert shown.code == 1
    assert shown.out == (
        "--- server: no app 'Fixed'\n+++ app.yaml\n@@ -0,0 +1,3 @@\n+name: Fixed\n+output:\n+  answer: \"yes\"\n"
    )


async def test_diff_says_2_where_it_cannot_tell(offline: Command) -> None:
    assert (await offline("diff", "none.yaml")).code == 2


async def test_export_gives_back_what_was_applied(apps: Command, tmp_path: Path) -> None:
    await apps("apply", write(TWO_KEYS))
    by_name = await apps("export", "Two")
    assert (by_name.code, load_yaml(by_name.out.encode())) == (0, TWO_KEYS)
    assert json.loads((await apps("export", "Two", "--format", "json")).out) == TWO_KEYS
    assert await apps("export", "Two", "-o", "out.yaml") == Shown(0, "", "")
    assert tmp_path.joinpath("out.yaml").read_text() == by_name.out
    assert (await apps("apply", "out.yaml")).out.startswith("unchanged Two ")
    assert (await apps("export", "Two", "-o", "no/where")).err == (
        "llmstack-api: no/where: No such file or directory\n"
    )
    assert await apps("export", "Three") == Shown(1, "", "llmstack-api: there is no app 'Three'\n")


async def test_an_app_is_found_on_whatever_page_it_is(
    apps: Command, sqlite_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmstack_api.cli.apps_client._PAGE", 2)
    first = await create(sqlite_client, fixed("First"))
    for number in range(4):
        await create(sqlite_client, fixed(f"Later {number}"))
    assert (await apps("apply", write(fixed("First")))).out == f"unchanged First {first['uuid']} v1\n"
