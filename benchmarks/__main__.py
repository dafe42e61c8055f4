"""Compare the service with a bare pass-through and the model server itself: `python -m benchmarks`."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import get_args

import uvloop

from benchmarks import report
from benchmarks.load import BrokenAnswerError
from benchmarks.measure import run_all
from benchmarks.plan import DEFAULT, QUICK, Plan
from benchmarks.processes import ServerFailedError
from benchmarks.targets import NAMES, Lineup, Name, Target, lineup

_RESULTS = Path(__file__).parent / "results"
_SETTLE = 1.0
"""Seconds after which a server that has just become ready counts as idle."""


def main() -> int:
    """Run the comparison that the command line asks for; a missed target is no failure of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        type=_names,
        default=NAMES,
        metavar="NAMES",
        help=f"compare these alone, comma-separated: {','.join(NAMES)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds, in less than a minute"
    )
    options = parser.parse_args()
    only: tuple[Name, ...] = options.only
    plan = QUICK if options.quick else DEFAULT
    try:
        return uvloop.run(_compare(only, plan))
    except (ServerFailedError, BrokenAnswerError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
    except TimeoutError:
        print(f"benchmarks: given up after {plan.time_limit:.0f} s", file=sys.stderr)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("benchmarks: interrupted", file=sys.stderr)
    return 1


def _names(text: str) -> tuple[Name, ...]:
    asked = [name.strip() for name in text.split(",")]
    if unknown := [name for name in asked if name not in get_args(Name)]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in asked)


async def _compare(only: Sequence[Name], plan: Plan) -> int:
    began = perf_counter()
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, task.cancel
        )  # so that the servers end too
    with tempfile.TemporaryDirectory(prefix="llmstack-benchmarks-") as name:
        folder = Path(name)
        machine = report.machine(folder)
        _tell(f"{', '.join(only)} on {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
        async with asyncio.timeout(plan.time_limit):
            async with lineup(only, models=plan.models, restarts=plan.restarts, folder=folder) as servers:
                await asyncio.sleep(_SETTLE)
                idle = _memory(servers.targets)
                rounds = await run_all(plan, servers.targets, tell=_tell)
                loaded = _memory(servers.targets)
    resources = _resources(servers, idle=idle, loaded=loaded)
    lines = report.figures(rounds, resources, plan=plan)
    path = report.save(lines, rounds, plan=plan, on=machine, folder=_RESULTS)
    print(f"\n{report.table(lines)}\n")
    if broken := report.faults(rounds):
        print(f"{broken}\n")
    print(f"Medians of the rounds, (least-most). {perf_counter() - began:.0f} s; raw rounds in {path}")
    return 0


def _tell(text: str) -> None:
    print(text, flush=True)


def _memory(targets: Sequence[Target]) -> report.Samples:
    return {target.name: [target.server.memory()] for target in targets}


def _resources(servers: Lineup, *, idle: report.Samples, loaded: report.Samples) -> report.Resources:
    starts = {target.name: [target.server] for target in servers.targets}
    if servers.restarts:
        starts["service"] = list(servers.restarts)
    return report.Resources(
        idle_memory=idle,
        loaded_memory=loaded,
        ready_cpu={name: [server.ready_cpu for server in ran] for name, ran in starts.items()},
        ready_wall={name: [server.ready_wall for server in ran] for name, ran in starts.items()},
        first_start_cpu={"service": [servers.first_start.ready_cpu]} if servers.first_start else {},
    )


if __name__ == "__main__":
    sys.exit(main())
