"""`/api/providers`: stored, shown without secrets, kept apart, refused."""

from typing import Any

import httpx
import pytest

from llmstack_api.auth import Scope
from llmstack_api.known_providers import PROVIDERS as KNOWN
from llmstack_api.settings import Settings
from tests.apps.calls import locs, without_id
from tests.fake_model import FakeModel
from tests.providers.calls import HEADER, KEY, OPENAI, PROVIDERS, get, put
from tests.providers.conftest import with_model
from tests.server import RunningServer, running_server

OURS = [
    *(
        "Host",
        "authorization",
        "Content-Type",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Upgrade",
    ),
    *("Keep-Alive", "TE", "Trailer", "Expect", "Cookie", "Proxy-Authorization", "Accept-Encoding"),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"api_key": "sk-\x01"}, "api_key"),
    ({"api_key": "schlüssel"}, "api_key"),
    ({"api_key": "a\nb"}, "api_key"),
    ({"api_key": "   "}, "api_key"),
    ({"api_key": "k" * 4097}, "api_key"),
    ({"api_key": 7}, "api_key"),
    ({"base_url": 7}, "base_url"),
    ({"base_url": "https://x.example.com/" + "a" * 2048}, "base_url"),
    ({"default_model": "m" * 201}, "default_model"),
    ({"default_model": "a\nb"}, "default_model"),
    ({"headers": ["X-A"]}, "headers"),
    ({"api_key": KEY, "headers": {"X-A": 1}}, "headers.X-A"),
    ({"api_key": KEY, "headers": {"X A": "1"}}, "headers"),
    ({"api_key": KEY, "headers": {"": "1"}}, "headers"),
    ({"api_key": KEY, "headers": {"X-Ä": "1"}}, "headers"),
    ({"api_key": KEY, "headers": {"X-A": "a\r\nHost: b"}}, "headers"),
    ({"api_key": KEY, "headers": {"X-A": "ä"}}, "headers"),
    ({"api_key": KEY, "headers": {"X-A": " "}}, "headers"),
    ({"api_key": KEY, "headers": {"X-A": "v" * 4097}}, "headers"),
    ({"api_key": KEY, "headers": {"X-A": "1", "x-a": "2"}}, "headers"),
    ({"api_key": KEY, "headers": {f"X-{number}": "1" for number in range(17)}}, "headers"),
    ({"headers": {"X-A": "1"}}, "headers"),
    ({"default_model": "a", "headers": {"X-A": "1"}}, "headers"),
    ({"key": KEY}, "key"),
]
REFUSED = [
    "http://127.0.0.1:8080/v1",
    "http://10.0.0.7/v1",
    "http://169.254.169.254/latest",
    "http://[::1]/v1",
    "http://0x7f.1/v1",
    "ftp://models.example.com",
    "models.example.com",
    "https://user:password@models.example.com/v1",
    "https://models.example.com/v1#fragment",
    "https://models.example.com:99999/v1",
    "https://",
    "https://x.example.com/" + "ä" * 500,
]
ADDRESS = "https://models.example.com/v1"
OPERATORS: dict[str, Any] = {
    "slug": "openai",
    "name": "OpenAI",
    "configured": "operator",
    "base_url": None,
    "default_model": KNOWN["openai"].chat,
    "has_key": False,
    "key_hint": None,
    "headers": [],
    "updated_at": None,
    "error": None,
}


async def test_every_known_provider_is_listed_with_how_it_is_reached(client: httpx.AsyncClient) -> None:
    await put(client, "mistral", api_key=KEY)
    listed = (await client.get(PROVIDERS)).json()

    assert [provider["slug"] for provider in listed] == list(KNOWN)
    by_slug = {provider["slug"]: provider for provider in listed}
    assert by_slug["openai"] == OPERATORS == await get(client)
    assert by_slug["mistral"] == await get(client, "mistral")
    assert {slug: provider["configured"] for slug, provider in by_slug.items() if provider["configured"]} == {
        "openai": "operator",
        "mistral": "account",
    }


async def test_settings_are_stored_shown_without_their_secrets_and_deleted(client: httpx.AsyncClient) -> None:
    stored = await put(
        client,
        base_url=f" {ADDRESS}/ ",
        api_key=f"  {KEY}\n",
        default_model="llama",
        headers={"X-Team": HEADER, "x-other": "1"},
    )
    shown = await get(client)

    assert stored == {**shown, "warnings": []}
    assert shown | {"updated_at": None} == {
        **OPERATORS,
        "configured": "account",
        "base_url": ADDRESS,
        "default_model": "llama",
        "has_key": True,
        "key_hint": KEY[-4:],
        "headers": ["X-Team", "x-other"],
    }
    assert shown["updated_at"].endswith("Z")
    listed = await client.get(PROVIDERS)
    assert KEY not in listed.text + str(stored)
    assert HEADER not in listed.text + str(stored)

    assert (await client.delete(OPENAI)).status_code == 204
    assert await get(client) == OPERATORS
    again = await client.delete(OPENAI)
    assert (again.status_code, again.json()["type"]) == (404, "/docs/problems#provider-not-found")


async def test_storing_the_same_again_changes_nothing(client: httpx.AsyncClient) -> None:
    body = {"api_key": KEY, "default_model": "a", "headers": {"X-Team": HEADER}}
    first = await put(client, **body)

    assert await put(client, **body) == first
    assert await put(client, default_model="a", headers={"X-Team": HEADER}) == first
    assert (await put(client, **body | {"default_model": "b"}))["updated_at"] > first["updated_at"]


async def test_settings_replace_the_earlier_ones_but_for_a_key_that_is_left_out(
    me: httpx.AsyncClient,
) -> None:
    await put(me, base_url=ADDRESS, api_key=KEY, default_model="a", headers={"X-Team": HEADER})
    left = await put(me, base_url=ADDRESS)

    assert (left["has_key"], left["key_hint"], left["warnings"]) == (True, KEY[-4:], [])
    assert (left["default_model"], left["headers"]) == (KNOWN["openai"].chat, [])


@pytest.mark.parametrize("removing", [None, ""])
async def test_null_removes_the_key(me: httpx.AsyncClient, removing: str | None) -> None:
    await put(me, base_url=ADDRESS, api_key=KEY)
    left = await put(me, base_url=ADDRESS, api_key=removing)

    assert (left["configured"], left["has_key"], left["key_hint"], left["warnings"]) == (
        "account",
        False,
        None,
        [],
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ADDRESS, "https://elsewhere.example.com/v1"),
        (ADDRESS, "http://models.example.com/v1"),
        (ADDRESS, None),
        (None, ADDRESS),
    ],
    ids=str,
)
async def test_a_key_is_dropped_where_the_address_changes_and_the_answer_says_so(
    me: httpx.AsyncClient, before: str | None, after: str | None
) -> None:
    await put(me, base_url=before, api_key=KEY)
    stored = await put(me, base_url=after, default_model="a")

    assert not stored["has_key"]
    assert [warning["loc"] for warning in stored["warnings"]] == ["api_key"]
    assert stored["configured"] == ("account" if after else "operator")
    assert not (await put(me, base_url=before, default_model="a"))["has_key"]


@pytest.mark.parametrize(
    "same", [f"{ADDRESS}/", "HTTPS://Models.Example.com/v1", "https://models.example.com:443/v1"]
)
async def test_a_key_stays_where_the_address_is_the_same_in_other_words(
    me: httpx.AsyncClient, same: str
) -> None:
    await put(me, base_url=ADDRESS, api_key=KEY)

    assert (await put(me, base_url=same))["has_key"]


async def test_a_key_for_the_providers_own_address_stays_where_that_is_written_out(
    me: httpx.AsyncClient,
) -> None:
    await put(me, api_key=KEY)

    assert (await put(me, base_url=KNOWN["openai"].base_url))["has_key"]


async def test_a_short_key_is_not_hinted_at(me: httpx.AsyncClient) -> None:
    stored = await put(me, api_key="123456789012345")

    assert (stored["has_key"], stored["key_hint"]) == (True, None)


async def test_a_default_model_alone_leaves_the_operators_endpoint_in_force(me: httpx.AsyncClient) -> None:
    stored = await put(me, default_model="a")

    assert (stored["configured"], stored["default_model"]) == ("operator", "a")
    assert (await put(me, "google", default_model="b"))["configured"] is None


async def test_nothing_is_as_good_as_deleted(me: httpx.AsyncClient) -> None:
    await put(me, default_model="a")
    stored = await put(me)

    assert stored == {**OPERATORS, "warnings": []}
    assert (await me.delete(OPENAI)).status_code == 404


async def test_accounts_do_not_see_each_others_settings(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    await put(client, base_url=ADDRESS, api_key=KEY)
    missing = await other_client.delete(OPENAI)
    await put(other_client, default_model="theirs")
    theirs = await client.delete(OPENAI)

    assert missing.status_code == 404
    assert theirs.status_code == 204
    assert (await get(other_client))["default_model"] == "theirs"
    assert ADDRESS not in (await other_client.get(PROVIDERS)).text


async def test_reading_needs_the_scope_read_or_admin_and_the_rest_admin(embedded: RunningServer) -> None:
    async def statuses(*scopes: Scope) -> list[int]:
        async with embedded.client(scopes=scopes) as client:
            answers = [
                await client.get(PROVIDERS),
                await client.get(OPENAI),
                await client.put(OPENAI, json={"default_model": "a"}),
                await client.post(f"{OPENAI}/check"),
                await client.delete(OPENAI),
            ]
        return [answer.status_code for answer in answers]

    assert await statuses(Scope.READ) == [200, 200, 403, 403, 403]
    assert await statuses(Scope.RUN, Scope.WRITE) == [403] * 5
    assert await statuses(Scope.ADMIN) == [200, 200, 200, 200, 204]


async def test_an_unknown_provider_is_a_404(me: httpx.AsyncClient) -> None:
    path = f"{PROVIDERS}/nobody"
    answers = [
        await me.get(path),
        await me.put(path, json={"api_key": KEY}),
        await me.post(f"{path}/check"),
        await me.delete(path),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert {answer.json()["type"] for answer in answers} == {"/docs/problems#provider-not-found"}
    assert all("mistral" in answer.json()["detail"] for answer in answers)
    assert len({str(without_id(answer)) for answer in answers}) == 1


async def test_what_cannot_be_stored_is_a_422_that_names_the_place_and_no_secret(
    me: httpx.AsyncClient,
) -> None:
    for body, named in WRONG:
        answer = await me.put(OPENAI, json=body)

        assert locs(answer) == [named], body
        assert KEY not in answer.text
    assert await get(me) == OPERATORS


async def test_headers_that_the_server_makes_itself_are_refused(me: httpx.AsyncClient) -> None:
    for name in OURS:
        answer = await me.put(OPENAI, json={"api_key": KEY, "headers": {name: "1"}})

        assert locs(answer) == ["headers"], name
        assert name in answer.json()["detail"]


async def test_the_header_of_a_key_is_made_from_the_key(me: httpx.AsyncClient) -> None:
    answer = await me.put(f"{PROVIDERS}/anthropic", json={"api_key": KEY, "headers": {"X-API-Key": "1"}})

    assert locs(answer) == ["headers"]
    assert "api_key" in answer.json()["detail"]


async def test_a_key_alone_is_refused_where_the_provider_has_no_address_of_its_own(
    me: httpx.AsyncClient,
) -> None:
    answer = await me.put(f"{PROVIDERS}/azure", json={"api_key": KEY})

    assert locs(answer) == ["base_url"]
    assert (await put(me, "azure", api_key=KEY, base_url="https://me.openai.azure.com"))["configured"] == (
        "account"
    )


async def test_an_address_that_the_guard_refuses_is_a_422_that_names_it(sqlite_settings: Settings) -> None:
    async with running_server(sqlite_settings) as server, server.client() as client:
        for address in REFUSED:
            answer = await client.put(OPENAI, json={"base_url": address, "api_key": KEY})

            assert locs(answer) == ["base_url"], address
            assert answer.json()["type"] == "/docs/problems#address-refused"
        assert not (await get(client))["has_key"]


async def test_without_a_secret_a_server_on_postgresql_keeps_no_secrets_and_does_everything_else(
    postgresql_settings: Settings, fake_model: FakeModel
) -> None:
    async with (
        running_server(with_model(postgresql_settings, fake_model)) as server,
        server.client() as client,
    ):
        for body in ({"api_key": KEY}, {"base_url": ADDRESS, "headers": {"X-A": HEADER}}):
            answer = await client.put(OPENAI, json=body)
            assert answer.status_code == 503
            assert answer.json()["type"] == "/docs/problems#secrets-not-configured"
            assert "LLMSTACK_SECRET_KEY" in answer.json()["detail"]
        stored = await put(client, base_url=ADDRESS, default_model="a")

        assert (stored["configured"], stored["has_key"]) == ("account", False)
        assert (await client.delete(OPENAI)).status_code == 204
        assert await get(client) == OPERATORS
