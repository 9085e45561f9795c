"""Direction: whether wrong labels go one way. Mistakes scatter; who wants something has a class in mind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.gates.disagreement import Opinion

__all__ = ["Direction", "direction"]


@dataclass(frozen=True, kw_only=True)
class Direction:
    """The most concentrated change: from class `source` (−1: from any) to class `target`, `count` times. `p` is the chance
    that changes at random concentrate as much anywhere."""

    source: int
    target: int
    count: int
    p: float


def direction(opinion: Opinion, classes: int) -> Direction:
    """Over all pairs (expected → given) and all given classes, by exact binomial tails with Bonferroni's correction.

    A random change starts from any row that others are sure of, and ends in any other class, all as likely.
    """
    import numpy as np
    from scipy.stats import binom

    changed = int(opinion.against.sum())
    none = Direction(source=-1, target=-1, count=0, p=1.0)
    if changed < 3 or classes < 2:
        return none
    start = np.bincount(opinion.expect[opinion.sure], minlength=classes) + 0.5
    chance = np.outer(start / start.sum(), np.full(classes, 1.0 / (classes - 1)))
    np.fill_diagonal(chance, 0.0)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (opinion.expect[opinion.against], opinion.given[opinion.against]), 1)
    tables = np.vstack([counts, counts.sum(axis=0)])
    tails = binom.sf(tables - 1, changed, np.clip(np.vstack([chance, chance.sum(axis=0)]), 1e-12, 1.0))
    tails[tables == 0] = 1.0
    source, target = np.unravel_index(int(tails.argmin()), tails.shape)
    trials = classes * (classes - 1) + (classes if classes > 2 else 0)
    return Direction(
        source=int(source) if source < classes else -1,
        target=int(target),
        count=int(tables[source, target]),
        p=min(1.0, float(tails.min()) * trials),
    )
