"""Scores by subject, kept so that two models can be paired; intervals by bootstrap over subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headwater.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DRAWS", "Interval", "Scores", "interval", "paired"]

DRAWS = 2_000
_BLOCK = 4_000_000  # drawn indices held at a time


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over `subjects`, and where 95 % of the bootstrap's means lie.

    It covers who happened to be asked. It does not cover the choice of the cut in time, the fit or the search.
    """

    value: float
    low: float
    high: float
    subjects: int

    def to_json(self) -> dict[str, float | int]:
        """Plain values, rounded to six digits."""
        return {"value": round(self.value, 6), "low": round(self.low, 6), "high": round(self.high, 6), "subjects": self.subjects}


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One model on one holdout: for each metric a number a subject, the groups that subjects belong to, and totals."""

    subjects: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]
    groups: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)

    def mean(self, metric: str) -> float:
        """The mean of a metric over all subjects."""
        return float(self.values[metric].mean())

    def summary(self, seed: int = 0) -> dict[str, Any]:
        """Every metric with its interval, for all subjects and by group; no subject is named."""
        found: dict[str, Any] = {name: interval(values, seed).to_json() for name, values in self.values.items()}
        found.update({name: round(value, 6) for name, value in self.totals.items()})
        for group, members in self.groups.items():
            if members.any():
                found[group] = {name: interval(values[members], seed).to_json() for name, values in self.values.items()}
        return found


def interval(values: NDArray[np.float64], seed: int = 0) -> Interval:
    """The mean of `values` with its 95 % percentile interval over 2,000 seeded bootstrap draws."""
    import numpy as np

    if not len(values):
        raise DataError("nobody to average over: 0 subjects, at least 1 expected")
    random = np.random.default_rng(seed)
    step = max(1, _BLOCK // len(values))
    means = [
        values[random.integers(0, len(values), (min(step, DRAWS - start), len(values)))].mean(axis=1) for start in range(0, DRAWS, step)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(value=float(values.mean()), low=float(low), high=float(high), subjects=len(values))


def paired(ours: Scores, theirs: Scores, metric: str, seed: int = 0) -> Interval:
    """By how much `ours` is better, subject by subject. Raises `DataError` unless both were asked about the same subjects."""
    if ours.subjects != theirs.subjects:
        raise DataError(f"two models can be compared only on the same subjects: {len(ours.subjects)} and {len(theirs.subjects)} differ")
    return interval(ours.values[metric] - theirs.values[metric], seed)
