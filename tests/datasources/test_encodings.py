"""Entries in old encodings: what was found out is shown, what the owner says is kept to."""

# ruff: noqa: RUF001 # letters of other scripts
import base64
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.datasources.calls import WAIT, add, make_datasource, settled
from tests.fake_site import FakeSite
from tests.fake_site.answers import reply
from tests.server import RunningServer, running_server

SPANISH = "El señor Ibáñez llegó mañana al taller, según la compañía de autobús."


@pytest.fixture
async def server(sqlite_settings: Settings) -> AsyncGenerator[RunningServer]:
    """The application, which may fetch from loopback."""
    async with running_server(sqlite_settings.model_copy(update={"egress_allow": "127.0.0.0/8"})) as running:
        yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


def file(text: str, codec: str, media: str = "text/plain", **more: Any) -> dict[str, Any]:
    data = base64.b64encode(text.encode(codec)).decode()
    return {"file": f"data:{media};name=a.txt;base64,{data}", **more}


async def text_of(client: httpx.AsyncClient, datasource: str, entry: str) -> str:
    answer = await client.get(f"/api/datasources/{datasource}/entries/{entry}/text_content")
    return answer.json()["content"]


async def test_an_entry_shows_the_encoding_and_whether_it_was_guessed(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    guessed = await add(client, datasource, file(SPANISH, "cp1252"))
    assert guessed["encoding"] == {"name": "windows-1252", "guessed": True}
    assert await text_of(client, datasource, guessed["uuid"]) == SPANISH
    declared = await add(client, datasource, file("Größe", "cp850", "text/plain;charset=cp850"))
    assert declared["encoding"] == {"name": "cp850", "guessed": False}
    plain = await add(client, datasource, file(SPANISH, "utf-8"))
    assert plain["encoding"] == {"name": "utf-8", "guessed": False}
    sent = await add(client, datasource, {"content": SPANISH})
    assert sent["encoding"] is None


async def test_the_charset_of_the_part_of_a_form_is_believed(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    answer = await client.post(
        f"/api/datasources/{datasource}/entries",
        files={"file": ("a.csv", "name,city\nЖук,Ош\n".encode("koi8-r"), "text/csv; charset=KOI8-R")},
        params=WAIT,
    )
    entry = answer.json()
    assert entry["encoding"] == {"name": "koi8-r", "guessed": False}
    assert "name: Жук" in await text_of(client, datasource, entry["uuid"])


async def test_an_owner_sets_the_encoding_and_it_is_kept_to(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    data = file("Ø 5 мм", "utf-8", encoding="UTF8")
    entry = await add(client, datasource, data)
    assert entry["encoding"] == {"name": "utf-8", "guessed": False}
    path = f"/api/datasources/{datasource}/entries/{entry['uuid']}"
    answer = await client.post(f"{path}/resync")
    assert answer.status_code == 202, answer.text
    again = await settled(client, datasource, entry["uuid"])
    assert again["encoding"] == {"name": "utf-8", "guessed": False}


async def test_another_encoding_of_the_same_file_replaces_it(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    path = f"/api/datasources/{datasource}/entries/by-key/list"
    short = "Preis 5 \u00a3"

    async def put(**more: Any) -> httpx.Response:
        return await client.put(path, json={"entry_data": file(short, "cp850", **more)})

    first = await put()
    assert first.status_code == 201
    entry = first.json()["uuid"]
    await settled(client, datasource, entry)
    assert (await put(encoding="ibm850")).status_code == 202
    told = await settled(client, datasource, entry)
    assert told["encoding"] == {"name": "cp850", "guessed": False}
    assert await text_of(client, datasource, entry) == short
    assert (await put(encoding="CP850")).status_code == 200
    assert (await put()).status_code == 202
    assert (await settled(client, datasource, entry))["encoding"]["guessed"] is True


async def test_a_form_has_a_field_for_the_encoding(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    for label, name in (("koi8-u", "koi8-u"), ("", "koi8-r")):
        answer = await client.post(
            f"/api/datasources/{datasource}/entries",
            files={"file": ("a.txt", "Правила порта обязательны для всех".encode("koi8-r"))},
            data={"encoding": label},
            params=WAIT,
        )
        assert answer.json()["encoding"] == {"name": name, "guessed": not label}


@pytest.mark.parametrize("label", ["klingon", "base64", "utf-7", "rot13", "x" * 41, 5, "gb\u0000k"])
async def test_an_encoding_that_there_is_none_of_is_refused(client: httpx.AsyncClient, label: Any) -> None:
    datasource = await make_datasource(client)
    for method, path in (("POST", "entries"), ("PUT", "entries/by-key/k")):
        answer = await client.request(
            method,
            f"/api/datasources/{datasource}/{path}",
            json={"entry_data": file("abc", "utf-8", encoding=label)},
        )
        assert answer.status_code == 422, answer.text
        assert [fault["loc"] for fault in answer.json()["errors"]] == ["entry_data.encoding"]


async def test_a_text_that_is_sent_as_content_has_no_encoding(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    answer = await client.post(
        f"/api/datasources/{datasource}/entries",
        json={"entry_data": {"content": "abc", "encoding": "gbk"}},
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == "entry_data.encoding"


async def test_a_file_that_is_not_in_the_encoding_of_its_owner_fails_and_says_so(
    client: httpx.AsyncClient,
) -> None:
    datasource = await make_datasource(client)
    entry = await add(client, datasource, file(SPANISH, "cp1252", encoding="utf-8"))
    assert entry["status"] == "FAILED"
    assert entry["error"]["code"] == "wrong-encoding"
    assert "utf-8" in entry["error"]["message"]


async def test_pages_are_read_by_the_charset_of_their_server_or_of_their_owner(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    page = "<html><body><main><p>Ош, Чуй</p></main></body></html>".encode("koi8-r")
    right = site.page("/right", reply(page, headers={"content-type": "text/html; charset=koi8-r"}))
    wrong = site.page("/wrong", reply(page, headers={"content-type": "text/html; charset=windows-1251"}))
    datasource = await make_datasource(client)
    entry = await add(client, datasource, {"url": right})
    assert entry["encoding"] == {"name": "koi8-r", "guessed": False}
    assert await text_of(client, datasource, entry["uuid"]) == "Ош, Чуй"
    entry = await add(client, datasource, {"url": wrong, "encoding": "koi8-r"})
    assert entry["encoding"] == {"name": "koi8-r", "guessed": False}
    assert await text_of(client, datasource, entry["uuid"]) == "Ош, Чуй"


async def test_the_types_of_datasources_say_which_take_an_encoding(client: httpx.AsyncClient) -> None:
    types = (await client.get("/api/datasource_types")).json()
    takes = {type_["slug"] for type_ in types if "encoding" in type_["entry_data_schema"]["properties"]}
    assert takes == {"url", "sitemap", "file", "pdf", "csv_file", "mixed"}
