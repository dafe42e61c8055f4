"""`llmstack-api apps` before servers that do not answer as they should, wrong lines, and as documented."""

import asyncio
import json
import re
import socket
import ssl
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from llmstack_api.apps.templates import examples_folder
from llmstack_api.apps.yaml import load_yaml
from llmstack_api.auth import Scope
from llmstack_api.cli.arguments import parse
from tests.apps.calls import create_yaml
from tests.apps.definitions import ECHO, fixed
from tests.cli.apps import Command, Shown, write
from tests.command import TIMEOUT, environment
from tests.server import RunningServer


async def test_a_missing_token_and_a_wrong_address_are_one_line_and_code_2(
    offline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("ftp://a", "http://a:port"):
        monkeypatch.setenv("LLMSTACK_URL", url)
        shown = await offline("export", "Echo")
        assert (shown.code, shown.err.count("\n")) == (2, 1)
        assert shown.err.startswith("llmstack-api: LLMSTACK_URL: ")
    monkeypatch.delenv("LLMSTACK_URL")
    monkeypatch.delenv("LLMSTACK_TOKEN")
    assert await offline("export", "Echo") == Shown(
        2, "", "llmstack-api: LLMSTACK_TOKEN is not set; 'llmstack-api token create' makes a token\n"
    )


async def test_the_settings_are_read_from_a_file_too(
    apps: Command, sqlite_server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = await sqlite_server.token()
    monkeypatch.delenv("LLMSTACK_URL")
    monkeypatch.delenv("LLMSTACK_TOKEN")
    tmp_path.joinpath(".env").write_text(f"LLMSTACK_URL={sqlite_server.url}/\nLLMSTACK_TOKEN={token}\n")
    assert (await apps("apply", write(ECHO))).code == 0


async def test_a_token_that_is_not_accepted_is_told_once(
    apps: Command, sqlite_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMSTACK_TOKEN", "lls_wrong")
    shown = await apps("apply", write(fixed("A"), "a.yaml"), write(fixed("B"), "b.yaml"))
    assert shown == Shown(
        1, "", f"llmstack-api: {sqlite_server.url} does not accept the token in LLMSTACK_TOKEN\n"
    )
    monkeypatch.setenv("LLMSTACK_TOKEN", await sqlite_server.token(scopes=[Scope.RUN]))
    assert (await apps("apply", "a.yaml")).err == "llmstack-api: a.yaml: The token needs the scope read.\n"


async def test_a_server_that_is_away_is_one_line(offline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("LLMSTACK_URL", url)
        shown = await offline("apply", write(fixed("A"), "a.yaml"), write(fixed("B"), "b.yaml"))
    assert shown == Shown(
        1,
        "",
        f"llmstack-api: no server answers at {url} (Connection refused); "
        "start one with 'llmstack-api serve', or set LLMSTACK_URL\n",
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<h1>", "answered what is no JSON; does LLMSTACK_URL"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "answered 302 Found; does"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\n[]", "answered 502 Bad; does LLMSTACK_URL name"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", " broke off (IncompleteRead("),
        (b"", " broke off (Remote end closed connection without response)"),
        (b"SSH-2.0-OpenSSH\r\n", " broke off (SSH-2.0-OpenSSH"),
    ],
)
async def test_what_is_no_answer_of_ours_is_one_line(
    answer: bytes, said: str, offline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    other = await asyncio.start_server(serve, "127.0.0.1", 0)
    monkeypatch.setenv("LLMSTACK_URL", f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}")
    async with other:
        shown = await offline("export", "Echo")
    assert (shown.code, shown.out, shown.err.count("\n")) == (1, "", 1)
    assert said in shown.err


async def test_a_stream_without_its_end_is_told(offline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    app = json.dumps({"uuid": str(uuid4()), "input_fields": [], "output": {"a": ""}}).encode()
    head = b'{"session":{"id":"s"},"run":{"id":"r"}}\n\n{"a":"x"}\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = app if request.startswith(b"GET") else head
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()
        await writer.wait_closed()

    other = await asyncio.start_server(serve, "127.0.0.1", 0)
    monkeypatch.setenv("LLMSTACK_URL", f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/behind/")
    async with other:
        shown = await offline("run", str(uuid4()))
    assert shown == Shown(1, "x\n", "llmstack-api: the stream was cut off: it did not end with 'done'\n")


async def test_a_certificate_that_is_not_trusted_is_told(
    offline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parents[1] / "fake_site" / "untrusted.pem")

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    other = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    monkeypatch.setenv("LLMSTACK_URL", f"https://localhost:{other.sockets[0].getsockname()[1]}")
    async with other:
        shown = await offline("export", "Echo")
    assert shown.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in shown.err


async def test_the_commands_of_the_readme_run_as_they_are_written(
    sqlite_server: RunningServer, tmp_path: Path
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [script] = [part.partition("\n```\n")[0] for part in readme.split("\n```sh apps\n")[1:]]
    [shown] = [part.partition("\n```\n")[0] for part in readme.split("\n```text apps\n")[1:]]
    hello = readme.partition("<<'YAML'\n")[2].partition("YAML\n")[0]
    tmp_path.joinpath("hello.yaml").write_text(hello)
    tmp_path.joinpath("venv", "bin").mkdir(parents=True)
    tmp_path.joinpath("venv", "bin", "llmstack-api").symlink_to(Path(sys.executable).parent / "llmstack-api")
    env = environment(tmp_path, url=sqlite_server.url) | {"TOKEN": await sqlite_server.token()}
    async with sqlite_server.client() as client:
        app = await create_yaml(client, hello)
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, env=env, cwd=tmp_path, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert out.decode().rstrip() == re.sub("019ab3f0-…", app["uuid"], shown)
    assert err.decode().startswith("succeeded in ")
    assert load_yaml(tmp_path.joinpath("copy.yaml").read_bytes()) == load_yaml(
        tmp_path.joinpath("hello.yaml").read_bytes()
    )


async def test_every_example_is_applied_as_a_folder(apps: Command, sqlite_client: httpx.AsyncClient) -> None:
    shown = await apps("apply", examples_folder())
    assert (shown.code, shown.err) == (0, "")
    count = len(list(examples_folder().glob("*.yaml")))
    assert shown.out.count("created ") == count
    assert len((await sqlite_client.get("/api/apps")).json()) == count


# --- the line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["apps", "apps apply", "apps diff", "apps export", "apps run"])
def test_every_command_has_help(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([*line.split(), "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: llmstack-api {line}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("apps", "the following arguments are required: COMMAND"),
        ("apps apply", "the following arguments are required: FILE"),
        ("apps apply a.yaml --id 7", "argument --id: '7' is no id of an app"),
        ("apps apply a.yaml --name=", "argument --name: must be 1 to 200 characters"),
        ("apps diff a.yaml --name A --id 7", "argument --id: "),
        ("apps export A --format toml", "argument --format: invalid choice: 'toml'"),
        ("apps run A --input question", "argument --input: 'question' is not KEY=VALUE"),
        ("apps run A --file =x", "argument --file: '=x' is not KEY=VALUE"),
        ("apps run A --input-json []", "argument --input-json: must be a JSON object"),
        ("apps run A --input-json {", "argument --input-json: this is no JSON: "),
    ],
)
def test_a_wrong_line_is_one_line_and_code_2(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(line.split())
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("llmstack-api: ")
    assert said in err
