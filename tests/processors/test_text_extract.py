"""`promptly/data_uri_text_extract` and `promptly/http_uri_text_extract` over real files and a real web site."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from llmstack_api.engine.ports import Ports
from llmstack_api.errors import AddressRefusedError, FileUnreadableError, ProcessorInputError
from llmstack_api.ingest.texts import open_texts
from llmstack_api.outbound import parse_egress
from llmstack_api.processors.text_extract import DataUriTextExtract, HttpUriTextExtract
from llmstack_api.settings import Settings
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import reply
from tests.ports import make_ports
from tests.processors.steps import Emitted, run_step

FILES = Path(__file__).parents[1] / "ingest" / "files"
UPSTREAMS = {"text_extractor_provider": {"provider": "promptly", "format_text": False}, "document_limit": 1}
TEXT = "\n\n".join(
    [
        "Invoices are due within thirty days. " * 20,
        "The harbour opens at high water. " * 20,
        "Cats sleep in winter. " * 30,
    ]
)


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running


@pytest.fixture
async def ports() -> AsyncGenerator[Ports]:
    async with open_texts(Settings.load(_env_file=None), parse_egress("127.0.0.1")) as texts:
        yield make_ports(texts=texts)


def uri(data: bytes, kind: str = "text/plain", name: str = "a%20file.txt") -> str:
    return f"data:{kind};name={name};base64,{b64encode(data).decode()}"


async def test_a_file_gives_its_text_and_its_pages(ports: Ports) -> None:
    data = (FILES / "libreoffice_kingfisher.pdf").read_bytes()
    given = {"file": uri(data, "application/pdf", "k.pdf") + " "}
    output = await run_step(DataUriTextExtract, ports, given, UPSTREAMS)
    assert [page["number"] for page in output["pages"]] == list(range(1, len(output["pages"]) + 1))
    assert output["pages"][0]["text"] in output["text"]


@pytest.mark.parametrize("given", [{"file": "", "file_data": uri(b"Hello")}, {"file": "SGVs\nbG8="}])
async def test_a_file_comes_by_either_field_and_as_plain_base64(ports: Ports, given: dict[str, str]) -> None:
    assert await run_step(DataUriTextExtract, ports, given) == {"text": "Hello"}


async def test_a_long_text_streams(ports: Ports) -> None:
    emitted = Emitted()
    text = "a word " * 10_000 + "more"
    output = await run_step(DataUriTextExtract, ports, {"file": uri(text.encode())}, {}, emitted)
    assert output["text"] == text
    assert len(emitted.paths) == 5


async def test_a_query_gives_the_passages_that_fit(ports: Ports) -> None:
    given = {"file": uri(TEXT.encode()), "query": "when does the harbour open?"}
    output = await run_step(DataUriTextExtract, ports, given, {"text_chunk_size": 800})
    assert output["text"].startswith("The harbour")
    assert len(output["text"]) <= 800
    assert "pages" not in output
    two = await run_step(
        DataUriTextExtract,
        ports,
        {**given, "query": "cats, or invoices"},
        {"text_chunk_size": 800, "document_limit": 2},
    )
    assert two["text"].index("Invoices") < two["text"].index("Cats"), "in order of standing"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "there is no file"),
        ({"file": " "}, "there is no file"),
        ({"file": "data:text/plain;base64,???"}, "no base64"),
        ({"file": "data:nonsense"}, "no data URI"),
        ({"file": "https://example.com/a.pdf"}, "neither a data URI nor base64"),
    ],
)
async def test_what_is_no_file_is_refused(ports: Ports, given: dict[str, str], words: str) -> None:
    with pytest.raises(ProcessorInputError, match=words):
        await run_step(DataUriTextExtract, ports, given)


async def test_a_file_that_cannot_be_read_says_why(ports: Ports) -> None:
    locked = (FILES / "encrypted_user.pdf").read_bytes()
    with pytest.raises(FileUnreadableError, match=r"locked\.pdf"):
        await run_step(DataUriTextExtract, ports, {"file": uri(locked, "application/pdf", "locked.pdf")})


async def test_an_address_gives_its_text(ports: Ports, site: FakeSite) -> None:
    url = site.page("/notes", reply(TEXT, headers={"content-type": "text/plain"}))
    text = (await run_step(HttpUriTextExtract, ports, {"url": f"{url} "}))["text"]
    assert text.split() == TEXT.split()
    asked = await run_step(
        HttpUriTextExtract, ports, {"url": url, "query": "harbour"}, {"text_chunk_size": 800}
    )
    assert asked["text"].startswith("The harbour")


async def test_an_address_that_cannot_be_read_says_why(ports: Ports, site: FakeSite) -> None:
    with pytest.raises(ProcessorInputError, match="no address"):
        await run_step(HttpUriTextExtract, ports)
    with pytest.raises(FileUnreadableError, match="404"):
        await run_step(HttpUriTextExtract, ports, {"url": site.url("/gone")})
    for url in ("http://127.0.0.2/", "http://169.254.169.254/"):
        with pytest.raises(AddressRefusedError):
            await run_step(HttpUriTextExtract, ports, {"url": url})
