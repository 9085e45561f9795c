"""Probe: something that looks at a deployment and answers in numbers. The port, and the words its answers are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from headwater.core.artifact import Fact

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STATUSES", "Evidence", "Measure", "Plot", "Probe", "Series", "Status", "worst"]

Status = Literal["ok", "unknown", "warn", "alarm"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""From best to worst. `unknown` is worse than `ok`: what could not be measured is not vouched for."""

Evidence = Mapping[str, "pl.LazyFrame"]
"""Named frames, lazily scanned: `reference/TABLE` (what the model was trained on), `current/TABLE` (what came since),
`predictions`, `feedback`. A probe says in `needs` which it reads."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line or one colour of bars; `low` and `high` are the ends of an interval around each value, if there is one."""

    name: str
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What to draw beside a measure. `labels` may hold what outsiders wrote. `mark` is the index of a label to point at."""

    kind: Literal["bars", "line"]
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str = ""
    mark: int | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number about one subject, and what to think of it.

    `value` is finite, or None where there was too little to measure. `threshold` is what `value` was held against.
    `evidence` holds further numbers; never rows. `subject` may be what an outsider wrote: escape it where it is shown.
    """

    probe: str
    name: str
    subject: str
    value: float | None
    status: Status
    threshold: float | None = None
    detail: str = ""
    evidence: Mapping[str, Fact] = field(default_factory=dict)
    plot: Plot | None = None

    def __post_init__(self) -> None:
        numbers = [self.value, self.threshold, *self.evidence.values()]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise ValueError(f"measure {self.probe}/{self.name} holds a number that is not finite")


class Probe(Protocol):
    """Something that looks at a deployment.

    The law of probes: `measure` reads what it is given and changes nothing; the same rows give the same measures, in
    whatever order they come; no clock, no network; missing or empty frames are answered with `unknown`, not raised.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    def measure(self, evidence: Evidence) -> Sequence[Measure]: ...


def worst(statuses: Sequence[Status]) -> Status:
    """The worst of some statuses; of none, `unknown`."""
    return max(statuses, key=STATUSES.index, default="unknown")
