"""What came out: medians and spread side by side, ratios, verdicts on the targets, and the JSON of it all."""

import math
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import orjson
import psutil

from benchmarks.measure import Round
from benchmarks.plan import Plan
from benchmarks.targets import NAMES, ROOT

_PACKAGES = (
    *("llmstack-api", "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "httpx", "httpx-aiohttp"),
    *("aiohttp", "pydantic", "sqlalchemy", "orjson", "python-liquid"),
)

Samples = Mapping[str, Sequence[float]]
"""A figure of each server, round by round."""


@dataclass(frozen=True)
class Aim:
    """What the service's median is held against: a bound on it, or on how it stands to another server's."""

    kind: Literal["ratio at least", "ratio at most", "over direct at most", "at most"]
    bound: float


@dataclass(frozen=True)
class Figure:
    """One line of the report: the samples are in the unit that it is shown in."""

    label: str
    unit: str
    digits: int
    samples: Samples
    aim: Aim | None = None

    def median(self, name: str) -> float | None:
        """Return the median of a server, None where it was not measured."""
        known = [value for value in self.samples.get(name, ()) if not math.isnan(value)]
        return statistics.median(known) if known else None

    @property
    def ratio(self) -> float | None:
        """The service's median over the pass-through's."""
        ours, theirs = self.median("service"), self.median("passthrough")
        return ours / theirs if ours is not None and theirs else None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without an aim, or where what it needs was not measured."""
        ours, direct, ratio = self.median("service"), self.median("direct"), self.ratio
        match self.aim:
            case Aim("ratio at least", bound) if ratio is not None:
                return ratio >= bound
            case Aim("ratio at most", bound) if ratio is not None:
                return ratio <= bound
            case Aim("over direct at most", bound) if ours is not None and direct is not None:
                return ours - direct <= bound
            case Aim("at most", bound) if ours is not None:
                return ours <= bound
            case _:
                return None


@dataclass(frozen=True)
class Resources:
    """What the processes took beside the load: samples by server, in bytes and seconds."""

    idle_memory: Samples
    loaded_memory: Samples
    ready_cpu: Samples
    ready_wall: Samples
    first_start_cpu: Samples


def figures(rounds: Sequence[Round], resources: Resources, *, plan: Plan) -> list[Figure]:
    """List every figure of the report."""

    def of(measure: str, value: str, *, scale: float = 1.0) -> Samples:
        taken: dict[str, list[float]] = {}
        for each in rounds:
            if each.measure == measure and value in each.values:
                taken.setdefault(each.target, []).append(each.values[value] * scale)
        return taken

    def broken(measure: str) -> Samples:
        return {name: [sum(counts)] for name, counts in of(measure, "broken").items()}

    def megabytes(samples: Samples) -> Samples:
        return {name: [value / 1e6 for value in values] for name, values in samples.items()}

    full, short = (
        f"{plan.clients} x {plan.full_tokens} tokens",
        f"{plan.clients} x {plan.short_tokens} tokens",
    )
    paced = f"{plan.cpu.count} streams at {plan.cpu.rate}/s"
    few, many = (f"{each.count} streams at {each.rate}/s" for each in (plan.few, plan.many))
    none_broken, ms = Aim("at most", 0), 1e3
    return [
        Figure(
            f"{full}, full speed",
            "tokens/s",
            0,
            of("full speed", "tokens_per_second"),
            Aim("ratio at least", 1.5),
        ),
        Figure("  CPU", "us/token", 1, of("full speed", "cpu_us_per_token")),
        Figure("  coalesced by the time it is read", "tokens/read", 1, of("full speed", "tokens_per_read")),
        Figure("  broken", "clients", 0, broken("full speed"), none_broken),
        Figure(
            "first chunk, unloaded, p50",
            "ms",
            2,
            of("first chunk", "wait_p50", scale=ms),
            Aim("over direct at most", 5),
        ),
        Figure(
            "first chunk, unloaded, p95",
            "ms",
            2,
            of("first chunk", "wait_p95", scale=ms),
        ),
        Figure(f"{paced}, CPU", "us/token", 1, of("paced", "cpu_us_per_token"), Aim("ratio at most", 1.0)),
        Figure("  broken", "streams", 0, broken("paced"), none_broken),
        Figure(f"{few}, gap p99", "ms", 1, of("few streams", "gap_p99", scale=ms)),
        Figure("  broken", "streams", 0, broken("few streams"), none_broken),
        Figure(f"{many}, gap p99", "ms", 1, of("many streams", "gap_p99", scale=ms), Aim("at most", 60)),
        Figure("  longest gap", "ms", 1, of("many streams", "gap_max", scale=ms)),
        Figure("  broken", "streams", 0, broken("many streams"), none_broken),
        Figure(
            f"{short}, blocking", "runs/s", 0, of("blocking", "runs_per_second"), Aim("ratio at least", 0.7)
        ),
        Figure("  latency p50", "ms", 2, of("blocking", "wait_p50", scale=ms)),
        Figure("  latency p99", "ms", 2, of("blocking", "wait_p99", scale=ms)),
        Figure("  CPU", "ms/run", 2, of("blocking", "cpu_ms_per_run")),
        Figure("  broken", "clients", 0, broken("blocking"), none_broken),
        Figure("memory, idle", "MB", 0, megabytes(resources.idle_memory), Aim("at most", 130)),
        Figure("memory, after the load", "MB", 0, megabytes(resources.loaded_memory)),
        Figure("start, existing database, CPU", "s", 2, resources.ready_cpu, Aim("at most", 2.5)),
        Figure("  until ready", "s", 2, resources.ready_wall),
        Figure("start, empty database, CPU", "s", 2, resources.first_start_cpu),
    ]


def table(lines: Sequence[Figure]) -> str:
    """Lay the figures out, `median (least-most)` for each server."""
    head = ("", "unit", *NAMES, "service / passthrough", "target", "")
    rows = [head, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    laid = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in [laid[0], "-" * len(laid[0]), *laid[1:]])


def _row(line: Figure) -> tuple[str, ...]:
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    verdict = {True: "met", False: "MISSED", None: "not measured" if line.aim else ""}[line.met]
    return (line.label, line.unit, *(_cell(line, name) for name in NAMES), ratio, _aim(line), verdict)


def _cell(line: Figure, name: str) -> str:
    middle = line.median(name)
    if middle is None:
        return "-"
    known = [value for value in line.samples[name] if not math.isnan(value)]
    text = f"{middle:,.{line.digits}f}"
    if len(known) == 1 or min(known) == max(known):
        return text
    return f"{text} ({min(known):,.{line.digits}f}-{max(known):,.{line.digits}f})"


def _aim(line: Figure) -> str:
    match line.aim:
        case None:
            return ""
        case Aim("ratio at least", bound):
            return f">= {bound:g}x"
        case Aim("ratio at most", bound):
            return f"<= {bound:g}x"
        case Aim("over direct at most", bound):
            return f"<= direct + {bound:g} {line.unit}"
        case Aim(_, bound):
            return f"<= {bound:g} {line.unit}" if bound else "none"


def faults(rounds: Sequence[Round]) -> str:
    """Name what broke, each reason once for a measurement and a server."""
    seen = dict.fromkeys((each.measure, each.target, fault) for each in rounds for fault in each.faults)
    return "\n".join(f"broken: {measure}, {target}: {fault}" for measure, target, fault in list(seen)[:20])


def machine(folder: Path) -> dict[str, object]:
    """Describe what the figures were taken on; the folder is where the service kept its database."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "filesystem": _filesystem(folder),
        "load_before": os.getloadavg(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of what was measured and the commit of the checkout."""
    git = shutil.which("git")
    commit = git and subprocess.run(
        [git, "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=10
    )
    packages = {package: version(package) for package in _PACKAGES}
    return {
        "python": platform.python_version(),
        "commit": (commit.stdout.strip() or None) if commit else None,
        **packages,
    }


def save(
    lines: Sequence[Figure], rounds: Sequence[Round], *, plan: Plan, on: Mapping[str, object], folder: Path
) -> Path:
    """Write everything, raw rounds included, to a new file in the folder and return its path."""
    now = datetime.now(UTC)
    document = {
        "taken_at": now,
        "machine": on,
        "versions": versions(),
        "plan": asdict(plan),
        "figures": [
            {
                **asdict(line),
                "medians": {name: line.median(name) for name in NAMES},
                "ratio": line.ratio,
                "met": line.met,
            }
            for line in lines
        ],
        "rounds": [asdict(each) for each in rounds],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return path


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _filesystem(folder: Path) -> str:
    holding = [
        part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)
    ]
    return max(holding, key=lambda part: len(part.mountpoint)).fstype if holding else "unknown"
