"""How soon the call of the model is closed after a client leaves: `python -m benchmarks.leaving`."""

import asyncio
import secrets
import statistics
import sys
import tempfile
from pathlib import Path
from time import monotonic

import orjson
import uvloop
from tests.fake_model import FakeModel, fake_model_server

from benchmarks.load import connect, encode
from benchmarks.processes import Server
from benchmarks.targets import service

ROUNDS = 50
TARGET_MS = 100.0
PATIENCE = 10.0

_MODELS = {"before the first token": "hang", "in the middle": "slow:50"}
"""Fake models by where their client leaves."""


def main() -> int:
    """Measure and print; a missed target is no failure of it."""
    print(f"{'the client leaves':24}{'mode':12}{'p50 ms':>8}{'p95 ms':>8}{'worst':>8}  recorded  target")
    return uvloop.run(_measure())


async def _measure() -> int:
    token = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="llmstack-leaving-") as name:
        async with (
            fake_model_server() as model,
            service(
                int(model.base_url.split(":")[2].split("/")[0]), token=token, folder=Path(name)
            ) as server,
        ):
            for where, behaviour in _MODELS.items():
                app = await _make_app(server, behaviour, token=token)
                for streamed in (True, False):
                    waits = [
                        await _leave(server, model, app, token=token, streamed=streamed)
                        for _ in range(ROUNDS)
                    ]
                    recorded = await _all_cancelled(server, token=token)
                    _report(where, "streamed" if streamed else "blocking", waits, recorded=recorded)
    return 0


async def _make_app(server: Server, model: str, *, token: str) -> str:
    step = {
        "provider_slug": "openai",
        "processor_slug": "chatgpt",
        "input": {"messages": [{"role": "user", "content": "word " * 500}]},
        "config": {"model": model},
    }
    definition = {"name": model, "processors": [step], "output": {"answer": "{{_inputs1.text}}"}}
    return orjson.loads(await _ask(server, "POST", "/api/apps", definition, token=token))["uuid"]


async def _ask(server: Server, method: str, path: str, body: object, *, token: str) -> bytes:
    connection = await connect(server.port)
    try:
        request = encode(method, path, body=body, token=token)
        return (await connection.request(request, patience=PATIENCE)).body
    finally:
        connection.close()


async def _leave(server: Server, model: FakeModel, app: str, *, token: str, streamed: bool) -> float:
    """Run, leave once the model answers, and return the seconds until the model saw its caller go."""
    gone = len(model.aborted)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(encode("POST", f"/api/apps/{app}/run", body={"input": {}, "stream": streamed}, token=token))
    await model.until(lambda: model.open_calls == 1, within=PATIENCE)
    await asyncio.sleep(0.05)  # into the answer, where there is one
    left = monotonic()
    writer.transport.abort()
    await model.until_aborted(gone + 1, within=PATIENCE)
    return model.aborted[-1] - left


async def _all_cancelled(server: Server, *, token: str) -> bool:
    """Tell whether the newest runs are all recorded as cancelled, within a bound."""
    async with asyncio.timeout(PATIENCE):
        while True:
            runs = orjson.loads(await _ask(server, "GET", f"/api/runs?limit={ROUNDS}", None, token=token))
            if all(run["status"] != "running" for run in runs):
                return all(run["status"] == "cancelled" for run in runs)
            await asyncio.sleep(0.05)


def _report(where: str, mode: str, waits: list[float], *, recorded: bool) -> None:
    p95 = statistics.quantiles(waits, n=20)[-1] * 1000
    met = "met" if p95 <= TARGET_MS and recorded else "MISSED"
    print(
        f"{where:24}{mode:12}{statistics.median(waits) * 1000:8.1f}{p95:8.1f}{max(waits) * 1000:8.1f}"
        f"  {'cancelled' if recorded else 'WRONG':9} p95 <= {TARGET_MS:g} ms: {met}"
    )


if __name__ == "__main__":
    sys.exit(main())
