"""How much is measured: clients, streams, tokens, rounds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Streams:
    """Streams on a schedule: how many side by side, tokens a second and tokens of each."""

    count: int
    rate: int
    tokens: int
    ramp: float
    """Seconds over which they start, at moments drawn with a fixed seed, as users do not come in step."""

    @property
    def model(self) -> str:
        """The fake model that keeps this schedule."""
        return f"paced:{self.rate}:{self.tokens}"


@dataclass(frozen=True)
class Plan:
    """The load of one comparison; a `_rounds` is how often each server has its turn."""

    full_rounds: int
    full_streams: int
    """Streams that each client reads in a round, one after the other."""

    first_rounds: int
    first_samples: int
    cpu_rounds: int
    cpu: Streams
    gap_rounds: int
    few: Streams
    many: Streams
    blocking_rounds: int
    blocking_seconds: float
    restarts: int
    time_limit: float
    """Seconds after which the whole comparison is given up."""

    clients: int = 8
    full_tokens: int = 500
    short_tokens: int = 20

    @property
    def full_model(self) -> str:
        """The fake model that answers at full speed."""
        return f"full:{self.full_tokens}"

    @property
    def short_model(self) -> str:
        """The fake model with the short answer."""
        return f"short:{self.short_tokens}"

    @property
    def models(self) -> tuple[str, ...]:
        """Every fake model that the plan needs."""
        paced = (self.cpu.model, self.few.model, self.many.model)
        return tuple(dict.fromkeys((self.full_model, self.short_model, *paced)))


DEFAULT = Plan(
    full_rounds=7,
    full_streams=4,
    first_rounds=5,
    first_samples=40,
    cpu_rounds=3,
    cpu=Streams(count=20, rate=50, tokens=150, ramp=0.5),
    gap_rounds=2,
    few=Streams(count=50, rate=20, tokens=80, ramp=1.0),
    many=Streams(count=300, rate=20, tokens=100, ramp=2.0),
    blocking_rounds=4,
    blocking_seconds=2.0,
    restarts=3,
    time_limit=240.0,
)
QUICK = Plan(
    full_rounds=3,
    full_streams=2,
    first_rounds=2,
    first_samples=30,
    cpu_rounds=1,
    cpu=Streams(count=20, rate=50, tokens=100, ramp=0.5),
    gap_rounds=1,
    few=Streams(count=50, rate=20, tokens=30, ramp=0.5),
    many=Streams(count=300, rate=20, tokens=50, ramp=1.5),
    blocking_rounds=2,
    blocking_seconds=1.0,
    restarts=1,
    time_limit=60.0,
)
