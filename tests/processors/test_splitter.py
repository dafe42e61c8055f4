"""`promptly/splitter` over real files and a real web site."""

from base64 import b64encode
from collections.abc import AsyncGenerator

import orjson
import pytest

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject, Ports
from llmstack_api.errors import AddressRefusedError, FileUnreadableError, ProcessorInputError
from llmstack_api.ingest.texts import open_texts
from llmstack_api.outbound import parse_egress
from llmstack_api.processors.splitter import MAX_PIECES, Splitter
from llmstack_api.settings import Settings
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import reply
from tests.ports import make_ports
from tests.processors.steps import Emitted, run_step

TEXT = "One.\n\nTwo\nof two lines.\n \n\n  Three. "
PARTS = [{"part": "One."}, {"part": "Two\nof two lines."}, {"part": "Three."}]


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running


@pytest.fixture
async def ports() -> AsyncGenerator[Ports]:
    async with open_texts(Settings.load(_env_file=None), parse_egress("127.0.0.1")) as texts:
        yield make_ports(texts=texts)


async def test_each_paragraph_is_a_piece(ports: Ports) -> None:
    emitted = Emitted()
    output = await run_step(Splitter, ports, {"content": TEXT}, {"mode": "text"}, emitted)
    assert output["outputs"] == PARTS
    assert orjson.loads(output["outputs_text"]) == PARTS
    assert emitted.paths.count(("outputs",)) == 3
    assert await run_step(Splitter, ports, {"content": " "}) == {"outputs": [], "outputs_text": "[]"}


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"chunk_size": 300, "merge_strategy": {"type": "NoStrategy"}}, 300),
        ({"merge_strategy": {"type": "BasicStrategy", "max_characters": 400, "new_after_n_chars": 350}}, 350),
        (
            {
                "merge_strategy": {
                    "type": "ByTitleStrategy",
                    "max_characters": 500,
                    "multipage_sections": True,
                }
            },
            500,
        ),
        ({"merge_strategy": {"type": "NoStrategy"}}, 8000),
        ({}, 8000),
    ],
)
async def test_pieces_are_as_large_as_they_may_be(ports: Ports, config: JsonObject, most: int) -> None:
    text = "It goes on for a while. " * 400 + "\n\n" + "And on. " * 100
    output = await run_step(Splitter, ports, {"content": text}, config)
    sizes = [len(piece["part"]) for piece in output["outputs"]]
    assert most / 2 < max(sizes) <= most


async def test_pieces_may_overlap(ports: Ports) -> None:
    text = "It goes on for a while. " * 100
    output = await run_step(Splitter, ports, {"content": text}, {"chunk_size": 300, "overlap": 100})
    assert sum(len(piece["part"]) for piece in output["outputs"]) > len(text)


async def test_a_piece_is_made_into_what_the_schema_says(ports: Ports) -> None:
    schema = {
        "fields": [
            {"name": "question", "value": "{{_splitter_item}} "},
            {"name": "title", "value": "{{ _splitter_item | truncate: 6 }}"},
            {"name": "lang", "value": "en"},
        ]
    }
    output = await run_step(Splitter, ports, {"content": "{{ 7 | times: 7 }}"}, {"output_schema": schema})
    assert output["outputs"] == [{"question": "{{ 7 | times: 7 }}", "title": "{{ ...", "lang": "en"}]


async def test_files_and_addresses_are_split_too(ports: Ports, site: FakeSite) -> None:
    url = site.page("/notes", reply(TEXT, headers={"content-type": "text/plain"}))
    uri = f"data:text/plain;name=a.txt;base64,{b64encode(TEXT.encode()).decode()}"
    for content_uri in (uri, f"{url} "):
        output = await run_step(Splitter, ports, {"content": "", "content_uri": content_uri})
        assert output["outputs"] == PARTS


async def test_what_cannot_be_split_says_why(ports: Ports, site: FakeSite) -> None:
    with pytest.raises(ProcessorInputError, match="must be a data URI"):
        await run_step(Splitter, ports, {"content_uri": "objref://x"})
    with pytest.raises(FileUnreadableError, match="404"):
        await run_step(Splitter, ports, {"content_uri": site.url("/gone")})
    with pytest.raises(AddressRefusedError):
        await run_step(Splitter, ports, {"content_uri": "http://169.254.169.254/"})
    with pytest.raises(ProcessorInputError, match="more than 10,000 pieces"):
        await run_step(Splitter, ports, {"content": "a\n\n" * (MAX_PIECES + 1)})


def test_a_definition_of_upstreams_loads() -> None:
    definition: JsonObject = {
        "name": "Split",
        "input_fields": [{"name": "file", "type": "file"}],
        "processors": [
            {
                "id": "split",
                "provider_slug": "promptly",
                "processor_slug": "splitter",
                "input": {"content": "", "content_uri": "{{_inputs0.file}} "},
                "config": {
                    "mode": "text",
                    "objref": False,
                    "merge_strategy": {
                        "type": "BasicStrategy",
                        "max_characters": 2000,
                        "new_after_n_chars": 2000,
                        "overlap": 100,
                        "overlap_all": False,
                    },
                    "output_schema": {"fields": [{"name": "part", "value": "{{_splitter_item}}"}]},
                },
            }
        ],
        "output_template": {"markdown": "{{split.outputs_text}}"},
    }
    plan, findings = compile_app(definition, {"promptly/splitter": Splitter})
    assert plan is not None, findings.faults
    assert {warning.loc.rpartition(".")[2] for warning in findings.warnings} == {"mode", "objref"}
