"""What retrieval adds to a chat's first token, over 10,000 chunks: `python -m benchmarks.text_chat`."""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import uvloop

from benchmarks.answers import read_stream
from benchmarks.fake_model import words
from benchmarks.load import Connection, connect, encode
from benchmarks.processes import environment, free_port, running
from benchmarks.retrieval import Api, Words
from benchmarks.targets import ROOT, service

TARGET_MS = 15.0
RUNS = 200
WARM_UP = 20
REST = 0.02
"""Seconds between two runs."""

TOKENS = 20
MODEL = f"full:{TOKENS}"
PASSAGES = 5
LARGE = 100
"""Passages of one entry."""
WORDS = 150
"""Words of a passage: a chunk has about as many characters as it may."""
ASKED = 8
"""Words of a question."""
PATIENCE = 120.0

_QUESTION = "{{_inputs0.question}}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_chat", description=__doc__)
    parser.add_argument(
        "--chunks", type=int, default=10_000, help="chunks of the datasource (default: 10000)"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"measured runs of each app (default: {RUNS})")
    options = parser.parse_args()
    return uvloop.run(_measure(options.chunks, options.runs))


async def _measure(chunks: int, runs: int) -> int:
    made_up = Words()
    with tempfile.TemporaryDirectory(prefix="llmstack-benchmarks-") as name:
        token, folder, model_port = secrets.token_urlsafe(32), Path(name), free_port()
        command = [sys.executable, "-m", "benchmarks.fake_model", str(model_port)]
        env = environment(PYTHONPATH=str(ROOT))
        async with (
            running("model", command, port=model_port, folder=folder, env=env),
            service(model_port, token=token, folder=folder) as server,
        ):
            api = Api(server, token)
            connection = await connect(server.port)
            datasource, chunks = await _fill(api, connection, made_up, chunks)
            passages = await _some(api, connection, datasource, made_up.text(ASKED))
            apps = {
                "openai/chatgpt": await _make(api, connection, _plain(passages), output="{{_inputs1.text}}"),
                "promptly/text_chat": await _make(
                    api, connection, _retrieving(datasource), output="{{_inputs1.answer}}"
                ),
            }
            firsts = await _run(api, connection, apps, made_up, runs=runs)
            connection.close()
    return _report(firsts, chunks=chunks, prompt=len(passages))


async def _fill(api: Api, connection: Connection, made_up: Words, chunks: int) -> tuple[str, int]:
    """Fill a datasource; return it, and how many chunks it has."""
    made = await api.call(connection, "POST", "/api/datasources", {"name": "benchmark", "type": "text"})
    path = f"/api/datasources/{made['uuid']}/entries"
    for _ in range(chunks // LARGE):
        text = "\n\n".join(made_up.text(WORDS) for _ in range(LARGE))
        await api.call(connection, "POST", path, {"entry_data": {"content": text}})
    while await api.call(connection, "GET", f"{path}?status=PROCESSING&limit=1"):  # noqa: ASYNC110 # of another process
        await asyncio.sleep(0.05)
    entries = await api.call(connection, "GET", f"{path}?limit=1000")
    return made["uuid"], sum(entry["chunks_count"] for entry in entries)


async def _some(api: Api, connection: Connection, datasource: str, query: str) -> str:
    """Return passages such as the model is shown."""
    body = {"query": query, "limit": PASSAGES}
    found = await api.call(connection, "POST", f"/api/datasources/{datasource}/search", body)
    return "\n\n".join(hit["content"] for hit in found["results"])


async def _make(api: Api, connection: Connection, step: dict[str, object], *, output: str) -> str:
    definition = {
        "name": "benchmark",
        "input_fields": [{"name": "question", "required": True}],
        "processors": [step],
        "output": {"answer": output},
    }
    made = await api.call(connection, "POST", "/api/apps", definition)
    return made["uuid"]


def _plain(passages: str) -> dict[str, object]:
    """Ask the model with a prompt of the same size."""
    return {
        "provider_slug": "openai",
        "processor_slug": "chatgpt",
        "input": {"messages": [{"role": "user", "content": f"{passages}\n\nQuestion: {_QUESTION}"}]},
        "config": {"model": MODEL, "retain_history": True},
    }


def _retrieving(datasource: str) -> dict[str, object]:
    return {
        "provider_slug": "promptly",
        "processor_slug": "text_chat",
        "input": {"question": _QUESTION},
        "config": {"model": MODEL, "datasource": [datasource], "k": PASSAGES},
    }


async def _run(
    api: Api, connection: Connection, apps: dict[str, str], made_up: Words, *, runs: int
) -> dict[str, list[float]]:
    """Run the apps in turns, one at a time, each question once for each; return the seconds to the first token."""
    firsts: dict[str, list[float]] = {name: [] for name in apps}
    order = list(apps.items())
    shuffle = random.Random(1).shuffle  # noqa: S311 # the same order each time
    for number in range(WARM_UP + runs):
        body = {"input": {"question": made_up.text(ASKED)}, "stream": True}
        shuffle(order)
        for name, app in order:
            await asyncio.sleep(REST)
            request = encode("POST", f"/api/apps/{app}/run", body=body, token=api.token)
            exchange = await connection.request(request, patience=PATIENCE)
            reading = read_stream(exchange, "ndjson", token_size=5, expected=words(TOKENS))
            if number >= WARM_UP:
                firsts[name].append(reading.arrivals[0][0] - reading.sent)
    return firsts


def _report(firsts: dict[str, list[float]], *, chunks: int, prompt: int) -> int:
    print(f"first token over {chunks} chunks, prompts of about {prompt} characters, ms:")
    print(f"  {'':24}{'p50':>8}{'p95':>8}{'max':>8}")
    for name, seconds in firsts.items():
        print(f"  {name:24}{_ms(seconds)}")
    plain, retrieving = (median(seconds) for seconds in firsts.values())
    added = (retrieving - plain) * 1000
    print(
        f"  added at p50: {added:.2f} ms (at most {TARGET_MS:g}: {'met' if added <= TARGET_MS else 'MISSED'})"
    )
    return 0


def _ms(seconds: Sequence[float]) -> str:
    p95 = quantiles(seconds, n=20)[-1]
    return "".join(f"{1000 * value:8.2f}" for value in (median(seconds), p95, max(seconds)))


if __name__ == "__main__":
    sys.exit(main())
