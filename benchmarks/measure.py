"""The measurements: each is one round against one server and says what came, when, and what it cost."""

import asyncio
import gc
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from benchmarks.answers import Reading, read_stream
from benchmarks.fake_model import words
from benchmarks.load import BrokenAnswerError, Connection, Exchange, connect
from benchmarks.plan import Plan, Streams
from benchmarks.targets import Target

_TOKEN_SIZE = len(words(1))
_PATIENCE = 15.0
"""Seconds beyond its schedule that an answer may take before it counts as broken."""

_PAUSE = 0.005
"""Seconds of rest before a first chunk is timed, so that nothing of the run before is still going on."""


@dataclass
class Round:
    """What one round against one server gave: figures by name, and what went wrong."""

    measure: str
    target: str
    values: dict[str, float] = field(default_factory=dict[str, float])
    faults: list[str] = field(default_factory=list[str])


async def run_all(plan: Plan, targets: Sequence[Target], *, tell: Callable[[str], None]) -> list[Round]:
    """Warm every server up, then measure; in each measurement the servers take turns, round by round."""
    measurements: list[tuple[str, int, Callable[[Target, Round], Awaitable[None]]]] = [
        ("full speed", plan.full_rounds, lambda target, to: _full_speed(target, to, plan=plan)),
        ("first chunk", plan.first_rounds, lambda target, to: _first_chunk(target, to, plan=plan)),
        ("blocking", plan.blocking_rounds, lambda target, to: _blocking(target, to, plan=plan)),
        ("paced", plan.cpu_rounds, lambda target, to: _streams(target, to, streams=plan.cpu)),
        ("few streams", plan.gap_rounds, lambda target, to: _streams(target, to, streams=plan.few)),
        ("many streams", plan.gap_rounds, lambda target, to: _streams(target, to, streams=plan.many)),
    ]
    for target in targets:
        await _warm_up(target, plan=plan)
    rounds: list[Round] = []
    for name, count, measure in measurements:
        tell(f"{name}: {count} rounds")
        for _ in range(count):
            for target in targets:
                rounds.append(result := Round(name, target.name))
                await measure(target, result)
                result.values["broken"] = len(result.faults)
    return rounds


async def _warm_up(target: Target, *, plan: Plan) -> None:
    connection = await connect(target.server.port)
    try:
        for model, stream in ((plan.short_model, False), (plan.short_model, True), (plan.full_model, True)):
            for _ in range(10):
                await connection.request(target.requests[model, stream], patience=_PATIENCE)
    finally:
        connection.close()


async def _full_speed(target: Target, result: Round, *, plan: Plan) -> None:
    request = target.requests[plan.full_model, True]
    exchanges: list[Exchange] = []

    async def client(connection: Connection) -> None:
        for _ in range(plan.full_streams):
            exchange = await connection.request(request, patience=_PATIENCE)
            exchanges.append(exchange)

    connections = [await connect(target.server.port) for _ in range(plan.clients)]
    with _costs(target, result):
        await _side_by_side([client(connection) for connection in connections], result)
    for connection in connections:
        connection.close()
    readings = _read(target, exchanges, tokens=plan.full_tokens, result=result)
    if tokens := _count(readings):
        span = max(exchange.ended for exchange in exchanges) - min(exchange.sent for exchange in exchanges)
        result.values["tokens_per_second"] = tokens / span
        result.values["tokens_per_read"] = tokens / sum(len(reading.arrivals) for reading in readings)
        result.values["cpu_us_per_token"] = result.values["server_cpu"] / tokens * 1e6


async def _first_chunk(target: Target, result: Round, *, plan: Plan) -> None:
    request = target.requests[plan.short_model, True]
    exchanges: list[Exchange] = []

    async def client(connection: Connection) -> None:
        for _ in range(plan.first_samples):
            await asyncio.sleep(_PAUSE)
            exchanges.append(await connection.request(request, patience=_PATIENCE))

    connection = await connect(target.server.port)
    with _costs(target, result):
        await _side_by_side([client(connection)], result)
    connection.close()
    readings = _read(target, exchanges, tokens=plan.short_tokens, result=result)
    waits = [reading.arrivals[0][0] - reading.sent for reading in readings]
    result.values |= {"wait_p50": percentile(waits, 50), "wait_p95": percentile(waits, 95)}


async def _streams(target: Target, result: Round, *, streams: Streams) -> None:
    request = target.requests[streams.model, True]
    exchanges: list[Exchange] = []
    chance = random.Random(streams.count)  # noqa: S311 - the same moments for every server

    async def client(delay: float) -> None:
        await asyncio.sleep(delay)
        connection = await connect(target.server.port)
        try:
            patience = streams.tokens / streams.rate + _PATIENCE
            exchanges.append(await connection.request(request, patience=patience))
        finally:
            connection.close()

    delays = [chance.uniform(0, streams.ramp) for _ in range(streams.count)]
    with _costs(target, result):
        await _side_by_side([client(delay) for delay in delays], result)
    readings = _read(target, exchanges, tokens=streams.tokens, result=result)
    gaps = [gap for reading in readings for gap in reading.gaps]
    result.values |= {"gap_p50": percentile(gaps, 50), "gap_p99": percentile(gaps, 99)}
    result.values["gap_max"] = max(gaps, default=math.nan)
    if tokens := _count(readings):
        result.values["cpu_us_per_token"] = result.values["server_cpu"] / tokens * 1e6


async def _blocking(target: Target, result: Round, *, plan: Plan) -> None:
    request = target.requests[plan.short_model, False]
    expected = words(plan.short_tokens).encode()
    waits: list[float] = []

    async def client(connection: Connection, until: float) -> None:
        while perf_counter() < until:
            exchange = await connection.request(request, patience=_PATIENCE)
            if expected not in exchange.body:
                raise BrokenAnswerError(f"unexpected answer: {exchange.body[:300]!r}")
            waits.append(exchange.ended - exchange.sent)

    connections = [await connect(target.server.port) for _ in range(plan.clients)]
    with _costs(target, result):
        until = perf_counter() + plan.blocking_seconds
        await _side_by_side([client(connection, until) for connection in connections], result)
    for connection in connections:
        connection.close()
    result.values["runs_per_second"] = len(waits) / result.values["seconds"]
    result.values |= {"wait_p50": percentile(waits, 50), "wait_p99": percentile(waits, 99)}
    if waits:
        result.values["cpu_ms_per_run"] = result.values["server_cpu"] / len(waits) * 1e3


@contextmanager
def _costs(target: Target, result: Round) -> Generator[None]:
    """Add the CPU seconds of server, model server and client, and the seconds that passed."""
    gc.collect()
    gc.disable()  # a collection of the client's would be a gap of the server's
    before = _clocks(target)
    try:
        yield
    finally:
        gc.enable()
    after = _clocks(target)
    result.values |= {name: after[name] - before[name] for name in after}


def _clocks(target: Target) -> dict[str, float]:
    return {
        "server_cpu": target.server.cpu(),
        "model_cpu": target.model_server.cpu(),
        "client_cpu": time.process_time(),
        "seconds": perf_counter(),
    }


async def _side_by_side(clients: Sequence[Coroutine[None, None, None]], result: Round) -> None:
    """Run the clients; what breaks one is a fault of the round and ends no other."""

    async def guarded(client: Coroutine[None, None, None]) -> None:
        try:
            await client
        except BrokenAnswerError as error:
            result.faults.append(str(error))

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(guarded(client))


def _read(target: Target, exchanges: Sequence[Exchange], *, tokens: int, result: Round) -> list[Reading]:
    """Decode the streams; one that is not exactly the expected text is a fault, and not counted."""
    expected = words(tokens)
    readings: list[Reading] = []
    for exchange in exchanges:
        try:
            readings.append(read_stream(exchange, target.dialect, token_size=_TOKEN_SIZE, expected=expected))
        except BrokenAnswerError as error:
            result.faults.append(str(error))
    return readings


def _count(readings: Sequence[Reading]) -> int:
    return sum(tokens for reading in readings for _, tokens in reading.arrivals)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile, or NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
