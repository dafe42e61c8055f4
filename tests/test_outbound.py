"""The clients and the guard, against a real listener on loopback."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from time import monotonic

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from llmstack_api.errors import AddressRefusedError
from llmstack_api.outbound import (
    Egress,
    body_of,
    guarded_client,
    operator_client,
    parse_egress,
)
from tests.fake_model import FakeModel, fake_model_server

NOTHING = Egress()
LOOPBACK_FORMS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.0.0.2",
    "0x7f.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0177.0.0.1",
    "017700000001",
    "2130706433",
    "0",
    "0.0.0.0",  # noqa: S104 # an address to be refused
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "user@127.0.0.1",
    "user:password@localhost",
    "example.com@127.0.0.1",
    "127.0.0.1%2f@localhost",
    "\uff11\uff12\uff17.0.0.1",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "10.0.0.1",
    "192.168.0.1",
]


class Names(AbstractResolver):
    """A resolver that knows a few names, and counts how often it is asked."""

    def __init__(self, **names: list[str]) -> None:
        self.names = names
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        if host not in self.names:
            raise OSError(f"{host} has no address")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.names[host]
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@asynccontextmanager
async def listener() -> AsyncGenerator[tuple[int, list[object]]]:
    """Listen on every local address, and note whoever connects."""
    met: list[object] = []

    def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer.get_extra_info("peername"))
        writer.close()

    async with await asyncio.start_server(meet, host=None, port=0, family=socket.AF_INET) as server:
        yield server.sockets[0].getsockname()[1], met


def port_of(model: FakeModel) -> int:
    return httpx.URL(model.base_url).port or 0


async def test_no_form_of_a_private_address_is_ever_connected_to() -> None:
    async with listener() as (port, met), guarded_client(NOTHING) as client, asyncio.timeout(20):
        for host in LOOPBACK_FORMS:
            for url in (f"http://{host}:{port}/", f"https://{host}:{port}/v1?x=1"):
                with pytest.raises(AddressRefusedError):
                    await client.get(url)
        assert met == []
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    assert len(met) == 1, "the listener does notice a connection"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
        ["fe80::1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["2606:4700::1", "10.0.0.1"],
    ],
)
async def test_a_name_is_refused_when_any_of_its_addresses_is(addresses: list[str]) -> None:
    names = Names(rebound=addresses)
    async with listener() as (port, met), guarded_client(NOTHING, resolver=names) as client:
        with pytest.raises(AddressRefusedError) as refused:
            await client.get(f"http://rebound:{port}/")
    assert met == []
    assert all(address not in str(refused.value) for address in addresses)


async def test_a_name_is_resolved_once_and_what_was_judged_is_what_is_connected_to(model: FakeModel) -> None:
    names = Names(inside=["127.0.0.1"])
    async with guarded_client(parse_egress("127.0.0.0/8"), resolver=names) as client:
        response = await client.get(f"http://inside:{port_of(model)}/state")
        assert response.status_code == 200
        assert names.asked == 1
        names.names["inside"] = ["10.0.0.1"]
        await client.get(f"http://inside:{port_of(model)}/state")
        assert names.asked == 1, "a kept connection was judged when it was made"


async def test_an_allowed_name_is_reached_on_its_port_only(model: FakeModel) -> None:
    port = port_of(model)
    names = Names(inside=["127.0.0.1"], other=["127.0.0.1"], metadata=["169.254.169.254"])
    egress = parse_egress(f"inside:{port},metadata")
    async with guarded_client(egress, resolver=names) as client:
        assert (await client.get(f"http://inside:{port}/state")).status_code == 200
        for url in (f"http://other:{port}/", f"http://inside:{port + 1}/", "http://metadata/"):
            with pytest.raises(AddressRefusedError):
                await client.get(url)


async def test_an_allowed_address_is_reached_by_a_name_too(model: FakeModel) -> None:
    async with guarded_client(parse_egress(f"127.0.0.1:{port_of(model)},[::1]")) as client:
        for host in ("127.0.0.1", "localhost"):
            response = await client.get(f"http://{host}:{port_of(model)}/state")
            assert response.status_code == 200


async def test_a_name_without_an_address_is_a_connect_error() -> None:
    async with guarded_client(NOTHING, resolver=Names()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://nowhere/")


async def test_a_closed_port_is_a_connect_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with operator_client() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://127.0.0.1:{port}/")


async def test_failures_have_their_true_names(model: FakeModel) -> None:
    async with operator_client() as client:
        for script, error in (("drop-before", httpx.ReadError), ("not-http", httpx.RemoteProtocolError)):
            model.script(script)
            with pytest.raises(error) as failed:
                await client.post(f"{model.base_url}/chat/completions", json={}, headers={"X-Key": "hush"})
            assert failed.value.__cause__ is None
            assert failed.value.__context__ is None
            assert "hush" not in repr(failed.value)
        model.script("drop")
        with pytest.raises(httpx.ReadError):
            await client.post(f"{model.base_url}/chat/completions", json={"stream": True})


async def test_a_redirect_is_an_answer(model: FakeModel) -> None:
    model.script("redirect")
    async with operator_client() as client:
        response = await client.post(f"{model.base_url}/chat/completions", json={})
        assert response.status_code == 302
        with pytest.raises(ValueError, match="redirects"):
            await client.get(model.base_url, follow_redirects=True)
    assert len(model.requests) == 1


async def test_a_compressed_answer_is_decoded_by_httpx(model: FakeModel) -> None:
    model.script("gzip")
    async with operator_client() as client:
        messages = [{"role": "user", "content": "hello"}]
        response = await client.post(f"{model.base_url}/chat/completions", json={"messages": messages})
        assert response.json()["choices"][0]["message"]["content"] == "hello"


async def test_connections_are_used_again_and_none_is_left_open(model: FakeModel) -> None:
    async with operator_client() as client:
        for _ in range(5):
            await client.get(f"{model.base_url}/models")
        assert model.accepted == 1
        await client.aclose()
        with pytest.raises(RuntimeError):
            await client.get(model.base_url)
    await model.until(lambda: model.connections == 0)


async def test_many_streams_at_once_do_not_queue(model: FakeModel) -> None:
    async with operator_client() as client, asyncio.timeout(30):
        request = {"model": "hang-headers", "stream": True}
        responses = await asyncio.gather(
            *(
                client.send(
                    client.build_request("POST", f"{model.base_url}/chat/completions", json=request),
                    stream=True,
                )
                for _ in range(300)
            )
        )
        assert model.open_calls == 300
        for response in responses:
            await response.aclose()
        await model.until(lambda: model.open_calls == 0)


async def test_leaving_an_answer_closes_its_connection_at_once(model: FakeModel) -> None:
    async with operator_client() as client:
        request = client.build_request(
            "POST", f"{model.base_url}/chat/completions", json={"model": "hang-mid", "stream": True}
        )
        response = await client.send(request, stream=True)
        assert await body_of(response).read()
        left = monotonic()
        await response.aclose()
        [seen] = await model.until_aborted()
        assert seen - left < 0.1


async def test_a_server_that_does_not_read_cannot_hold_a_cancelled_call() -> None:
    accepted, cancelled = asyncio.Event(), asyncio.Event()
    received: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await cancelled.wait()
        size = 0
        with suppress(ConnectionError):
            while read := await reader.read(65_536):
                size += len(read)
        received.set_result(size)
        writer.close()

    body = b"x" * 64 * 1024 * 1024
    async with (
        await asyncio.start_server(stall, "127.0.0.1", 0) as server,
        operator_client() as client,
        asyncio.timeout(10),
    ):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        call = asyncio.create_task(client.post(url, content=body))
        await accepted.wait()
        call.cancel()
        await asyncio.wait({call})
        cancelled.set()
        assert await received < len(body)


async def test_a_large_body_arrives_whole(model: FakeModel) -> None:
    text = "x" * 3_000_000
    async with operator_client() as client:
        await client.post(f"{model.base_url}/chat/completions", json={"text": text})
    assert model.last.body["text"] == text
    assert "transfer-encoding" not in model.last.headers


async def test_no_cookie_and_no_environment_proxy_is_used(
    model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with operator_client() as client:
        for _ in range(2):
            await client.get(f"{model.base_url}/cookie")
    assert all("cookie" not in received.headers for received in model.requests)
    assert len(model.requests) == 2
