"""What a run counts of tokens, whatever model servers say."""

from typing import Any

import orjson
import pytest

from llmstack_api.engine.ports import MAX_TOKENS, JsonObject, Usage
from llmstack_api.processors.model_calls import usage_of
from llmstack_api.settings import Settings
from tests.apps.calls import create, path
from tests.fake_site import fake_site
from tests.fake_site.answers import reply
from tests.server import running_server

APP: dict[str, Any] = {
    "name": "Two images",
    "processors": [
        {"provider_slug": "openai", "processor_slug": "image_generations", "input": {"prompt": "A cat"}}
    ]
    * 2,
    "output": {"images": "{{_inputs2.data}}"},
}


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"input_tokens": MAX_TOKENS, "output_tokens": 0}, Usage(MAX_TOKENS, 0)),
        ({"input_tokens": MAX_TOKENS + 1, "output_tokens": 2**64 - 1}, Usage()),
        ({"input_tokens": -1, "output_tokens": 1.5}, Usage()),
        ({"input_tokens": True}, Usage()),
        ([], Usage()),
        (None, Usage()),
    ],
)
def test_only_counts_that_can_be_are_counted(counts: Any, usage: Usage) -> None:
    assert usage_of({"usage": counts}) == usage


async def test_a_server_that_counts_beyond_all_bounds_breaks_no_run(settings: Settings) -> None:
    answer: JsonObject = {
        "data": [{"url": "https://images.example/1.png"}],
        "usage": {"input_tokens": MAX_TOKENS, "output_tokens": 2**64 - 1},
    }
    async with fake_site() as site:
        site.page("/v1/images/generations", reply(orjson.dumps(answer)))
        ours = settings.model_copy(update={"openai_base_url": site.url("/v1")})
        async with running_server(ours) as server, server.client() as client:
            run = await client.post(f"{path(await create(client, APP))}/run", json={"input": {}})
            assert run.status_code == 200, run.text
            stored = await client.get(f"/api/runs/{run.json()['run']['id']}")
    assert run.json()["usage"] == {"input_tokens": MAX_TOKENS, "output_tokens": None}
    assert stored.json()["usage"] == run.json()["usage"]
