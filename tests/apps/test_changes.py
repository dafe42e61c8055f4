"""Apps over HTTP: changed and deleted, their versions, and whose they are."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from llmstack_api.apps import saving
from llmstack_api.apps.yaml import load_yaml
from llmstack_api.auth import Scope
from tests.apps.calls import APPS, create, locs, path, without_id
from tests.apps.definitions import ECHO, fixed
from tests.server import RunningServer

# --- changing --------------------------------------------------------------------------------------------


async def test_a_change_replaces_keys_and_makes_a_version(client: httpx.AsyncClient) -> None:
    app = await create(client, {**ECHO, "description": "before"})
    changed = await client.patch(path(app), json={"name": "Parrot", "description": None})

    assert changed.status_code == 200
    body = changed.json()
    assert (body["name"], body["version"], body["warnings"]) == ("Parrot", 2, [])
    assert "description" not in body
    assert body["created_at"] == app["created_at"] < body["updated_at"]
    assert (await client.get(path(app))).json() == {key: body[key] for key in body if key != "warnings"}


async def test_a_change_is_what_the_next_run_runs(client: httpx.AsyncClient) -> None:
    app = await create(client)
    await client.post(f"{path(app)}/run", json={"input": {"question": "a"}})
    await client.patch(path(app), json={"output_template": {"markdown": "<{{_inputs1.output_str}}>"}})
    ran = await client.post(f"{path(app)}/run", json={"input": {"question": "a"}})

    assert ran.json()["output"] == {"output": "<a>"}
    assert (await client.get("/api/runs")).json()[0]["version"] == 2


async def test_a_change_may_be_sent_as_yaml(client: httpx.AsyncClient) -> None:
    app = await create(client)
    answer = await client.patch(
        path(app), content="name: Parrot", headers={"Content-Type": "application/yaml"}
    )

    assert answer.json()["name"] == "Parrot"


async def test_a_change_that_changes_nothing_makes_no_version(client: httpx.AsyncClient) -> None:
    app = await create(client)
    for changes in ({}, {"name": "Echo"}, {"description": None}, ECHO):
        answer = await client.patch(path(app), json=changes)

        assert answer.json() == app
    assert [row["version"] for row in (await client.get(f"{path(app)}/versions")).json()] == [1]


async def test_a_number_that_turns_into_a_truth_is_a_change(client: httpx.AsyncClient) -> None:
    app = await create(client, fixed(config={"x": 1}))

    assert (await client.patch(path(app), json={"config": {"x": True}})).json()["version"] == 2


async def test_a_change_is_checked_as_a_whole(client: httpx.AsyncClient) -> None:
    app = await create(client)
    cases: list[tuple[Any, str]] = [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"output": None}, "output"),
        ({"output": {"a": "{{_inputs2.x}}"}}, "output.a"),
        ({"processors": []}, "output.answer"),
        ({"colour": None}, "colour"),
        ({"uuid": "x"}, "uuid"),
        ({"output": {"a": "b"}, "output_template": {"markdown": "x"}}, "output"),
        ([], ""),
    ]
    for changes, faulty in cases:
        assert locs(await client.patch(path(app), json=changes)) == [faulty]
    assert (await client.get(path(app))).json()["version"] == 1


@pytest.mark.parametrize("attempts", [1, saving.ATTEMPTS])
async def test_changes_made_at_once_are_all_saved_or_clearly_refused(
    client: httpx.AsyncClient, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "ATTEMPTS", attempts)
    app = await create(client)
    answers = await asyncio.gather(
        *[
            client.patch(path(app), json={key: {"changed": key}})
            for key in ("config", "web_config", "slack_config", "discord_config")
        ]
    )
    statuses = [answer.status_code for answer in answers]
    current = (await client.get(path(app))).json()

    assert set(statuses) <= {200, 409}
    assert current["version"] == 1 + statuses.count(200) > 1
    for answer in answers:
        if answer.status_code == 200:
            saved = answer.json()
            assert all(current[key] == saved[key] for key in saved if key.endswith("config") and saved[key])
        else:
            assert answer.headers["retry-after"] == "1"


async def test_versions_are_listed_and_read_as_they_were(client: httpx.AsyncClient) -> None:
    app = await create(client, fixed("one"))
    for name in ("two", "three"):
        await client.patch(path(app), json={"name": name})
    versions = f"{path(app)}/versions"
    first_page = await client.get(f"{versions}?limit=2")
    second_page = await client.get(first_page.links["next"]["url"])

    assert [row["version"] for row in first_page.json()] == [3, 2]
    assert [row["version"] for row in second_page.json()] == [1]
    assert "link" not in second_page.headers
    assert list(first_page.json()[0]) == ["version", "created_at"]
    assert {**(await client.get(f"{versions}/1")).json(), "warnings": []} == app
    assert (await client.get(f"{versions}/2")).json()["name"] == "two"
    yaml = await client.get(f"{versions}/2", headers={"Accept": "application/yaml"})
    assert load_yaml(yaml.content) == fixed("two")


async def test_a_version_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    app = await create(client)
    for number in ("0", "-1", "2", "x", "99999999999999999999", "1.5"):
        assert (await client.get(f"{path(app)}/versions/{number}")).status_code == 404


async def test_a_malformed_page_of_versions_is_refused(client: httpx.AsyncClient) -> None:
    app = await create(client)
    for query in ("cursor=0", "cursor=x", "cursor=99999999999", "limit=0"):
        assert locs(await client.get(f"{path(app)}/versions?{query}")) == [f"query.{query.partition('=')[0]}"]


# --- deleting --------------------------------------------------------------------------------------------


async def test_a_deleted_app_is_gone_and_its_runs_stay(client: httpx.AsyncClient) -> None:
    app = await create(client)
    await client.post(f"{path(app)}/run/visitor", json={"input": {"question": "a"}})
    deleted = await client.delete(path(app))

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await client.delete(path(app))).status_code == 404
    assert (await client.get(path(app))).status_code == 404
    assert (await client.get(f"{path(app)}/sessions")).status_code == 404
    assert (await client.post(f"{path(app)}/run", json={})).status_code == 404
    assert (await client.get(APPS)).json() == []
    assert [run["app"] for run in (await client.get("/api/runs")).json()] == [app["uuid"]]


# --- whose -----------------------------------------------------------------------------------------------

REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"name": "x"}),
    ("PATCH", "", {"colour": "x"}),
    ("DELETE", "", None),
    ("GET", "/versions", None),
    ("GET", "/versions/1", None),
    ("GET", "/schema", None),
]


async def test_an_app_of_another_account_looks_like_one_that_never_existed(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    app = await create(client)
    for method, below, body in REQUESTS:
        theirs = await other_client.request(method, path(app) + below, json=body)
        nobodys = await other_client.request(method, f"{APPS}/{uuid4()}{below}", json=body)

        assert theirs.status_code == nobodys.status_code == 404
        assert without_id(theirs) == without_id(nobodys)
        assert without_id(theirs)["type"].endswith("app-not-found")
    assert (await other_client.get(APPS)).json() == []
    assert (await client.get(path(app))).json()["version"] == 1


async def test_a_malformed_id_is_not_found(client: httpx.AsyncClient) -> None:
    for method, below, body in REQUESTS:
        answer = await client.request(method, f"{APPS}/not-a-uuid{below}", json=body)

        assert answer.status_code == 404


async def test_scopes_tell_reading_from_writing(server: RunningServer, client: httpx.AsyncClient) -> None:
    app = await create(client)
    async with server.client(scopes=[Scope.READ]) as reader, server.client(scopes=[Scope.RUN]) as runner:
        statuses = [
            (await reader.get(path(app))).status_code,
            (await reader.get("/api/processors")).status_code,
            (await reader.post(APPS, json=ECHO)).status_code,
            (await reader.patch(path(app), json={})).status_code,
            (await reader.delete(path(app))).status_code,
            (await runner.get(path(app))).status_code,
            (await runner.get(APPS)).status_code,
        ]

    assert statuses == [200, 200, 403, 403, 403, 403, 403]


async def test_what_was_got_can_be_sent_back_changed(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/apps", json=ECHO)).json()
    got = (await client.get(f"/api/apps/{made['uuid']}")).json()
    changed = await client.patch(f"/api/apps/{made['uuid']}", json={**got, "name": "Renamed"})
    stale = await client.patch(f"/api/apps/{made['uuid']}", json={"version": 1, "name": "Again"})

    assert (changed.status_code, changed.json()["name"], changed.json()["version"]) == (200, "Renamed", 2)
    assert stale.status_code == 422
    assert [error["loc"] for error in stale.json()["errors"]] == ["version"]


async def test_many_changes_at_once_all_make_a_version(client: httpx.AsyncClient) -> None:
    app = (await client.post("/api/apps", json=ECHO)).json()["uuid"]
    answers = await asyncio.gather(
        *(client.patch(f"/api/apps/{app}", json={"description": f"d{number}"}) for number in range(16))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 18))
