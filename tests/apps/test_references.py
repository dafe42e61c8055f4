"""What definitions name of an account: datasources and other apps."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from llmstack_api.auth import ensure_account
from llmstack_api.models import Datasource
from tests.apps.calls import APPS, create, locs, path
from tests.datasources.calls import make_datasource
from tests.server import RunningServer

SEARCH = {"provider_slug": "promptly", "processor_slug": "datasource_search", "input": {"query": "x"}}
INNER: dict[str, Any] = {"provider_slug": "promptly", "processor_slug": "promptly_app", "input": {}}


def searching(*datasources: str, **more: Any) -> dict[str, Any]:
    step = SEARCH | {"config": {"datasources": list(datasources)}}
    return {"name": "Search", "processors": [step], "output": {"a": "{{_inputs1.answers_text}}"}, **more}


def calling(app: str) -> dict[str, Any]:
    step = INNER | {"config": {"promptly_app": app}}
    return {"name": "Outer", "processors": [step], "output": {"a": "{{_inputs1.text}}"}}


async def test_a_datasource_of_the_account_may_be_named(client: httpx.AsyncClient) -> None:
    await create(client, searching(await make_datasource(client), await make_datasource(client)))


async def test_a_datasource_that_the_account_has_not_is_refused_where_it_is_named(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    mine, theirs = await make_datasource(client), await make_datasource(other_client)
    named = [mine, theirs, str(uuid4()), "handbook"]
    answer = await client.post(APPS, json=searching(*named))

    assert locs(answer) == [f"processors[0].config.datasources[{number}]" for number in (1, 2, 3)]
    assert "this account has no datasource" in answer.json()["errors"][0]["msg"]


async def test_a_datasource_that_is_gone_when_the_app_runs_fails_the_run_in_clear_words(
    client: httpx.AsyncClient,
) -> None:
    datasource = await make_datasource(client)
    app = await create(client, searching(datasource))
    assert (await client.delete(f"/api/datasources/{datasource}")).status_code == 204
    answer = await client.post(f"{path(app)}/run", json={})

    assert answer.status_code == 422
    assert answer.json()["processor"] == "_inputs1"
    assert datasource in answer.json()["detail"]


async def test_a_datasource_that_became_another_accounts_is_not_searched(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient, server: RunningServer
) -> None:
    datasource = await make_datasource(client)
    app = await create(client, searching(datasource))
    await server.resources.db.write(_give_away, UUID(datasource), "other")
    answer = await client.post(f"{path(app)}/run", json={})

    assert answer.status_code == 422
    assert (await other_client.get(f"/api/datasources/{datasource}")).status_code == 200


def _give_away(session: Session, datasource: UUID, account: str) -> None:
    account_id = ensure_account(session, account)
    session.execute(update(Datasource).where(Datasource.id == datasource).values(account_id=account_id))


async def test_an_app_may_not_run_itself_at_once_or_by_way_of_others(client: httpx.AsyncClient) -> None:
    first = await create(client, {"name": "First", "output": {"a": "x"}})
    second = await create(client, calling(first["uuid"]))
    third = await create(client, calling(second["uuid"]))

    for inner in (first, second, third):
        answer = await client.patch(path(first), json=calling(inner["uuid"]))
        assert locs(answer) == ["processors[0].config.promptly_app"]
        assert "run itself" in answer.json()["detail"]


async def test_an_app_of_another_account_is_none(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    theirs = await create(other_client)
    assert locs(await client.post(APPS, json=calling(theirs["uuid"]))) == [
        "processors[0].config.promptly_app"
    ]


@pytest.mark.parametrize("named", ["{{_inputs0.id}}", "", []])
async def test_what_a_template_names_is_judged_when_it_runs(client: httpx.AsyncClient, named: Any) -> None:
    step = SEARCH | {"config": {"datasources": [named] if named else named}}
    definition = searching() | {"processors": [step], "input_fields": [{"name": "id"}]}
    app = await create(client, definition)
    answer = await client.post(f"{path(app)}/run", json={"input": {"id": str(uuid4())}})

    assert answer.status_code == (422 if named else 200)
