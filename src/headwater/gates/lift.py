"""Lift: an item that one group turned to far more than history and everybody else make expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LEAST", "Axis", "Cells", "Round", "calibrated", "cells", "chances"]

LEAST = 4
"""Fewer users than these in one group are no push; an item with fewer users before has no rate."""
LATE = 4
SETTLED = 8
"""So many users had an item before the last quarter of history, or it is only just launched: launches come all at once, and are honest."""
PRIOR = 2.0
"""History says as much about an item's rate in a round as so many users in that round do."""
MOST_TRIED = 4_000  # of history's cells, the most surprising; the others cannot be its smallest p-value


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Which group each pair of a round (`new`) and of what came before (`old`) belongs to; -1 is none.

    `lasts`: the groups are the same next time (a channel), so what a group did before is expected of it again. Others come
    once (a day).
    """

    name: str
    new: NDArray[np.int64]
    old: NDArray[np.int64]
    lasts: bool


@dataclass(frozen=True, kw_only=True)
class Round:
    """The pairs of one round (`fresh`) and of history (`past`), each with its item and user, in the order of time."""

    items: int
    fresh: NDArray[np.int64]
    fresh_users: NDArray[np.int64]
    past: NDArray[np.int64]
    past_users: NDArray[np.int64]
    axes: tuple[Axis, ...]

    @property
    def early(self) -> NDArray[np.int64]:
        """History without its last quarter: what is not there is only just launched."""
        return self.past[: len(self.past) * (LATE - 1) // LATE]


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Items × groups with enough users: `count` of them, `mean` expected, `sure` (gamma shape) of the item's rate, and what the
    group itself did before: `own` users where `own_mean` were expected. `tests` is how many cells there could have been."""

    item: NDArray[np.int64]
    group: NDArray[np.int64]
    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    sure: NDArray[np.float64]
    own: NDArray[np.float64]
    own_mean: NDArray[np.float64]
    tests: int
    groups: int


def cells(one: Round, axis: Axis) -> Cells:
    """Count the users of each item in each group, and what was expected without that group.

    An item's rate is a gamma variable: around its rate in history, but loosely (`PRIOR`), for items come and go; what it is
    in this round, the other groups tell. A group with more than half of a round's pairs is not judged: there is nothing left to
    compare it with.
    """
    import numpy as np

    size = one.items
    there = axis.new >= 0
    keys, count = np.unique(axis.new[there] * size + one.fresh[there], return_counts=True)
    item, group = keys % size, keys // size
    activity = np.bincount(axis.new[there], minlength=1)
    total, in_round = len(one.fresh), np.bincount(one.fresh, minlength=size)
    before = np.bincount(one.past, minlength=size)
    outside = in_round[item] - count
    early = np.bincount(one.early, minlength=size)
    judged = (count >= LEAST) & (activity[group] * 2 <= total) & (early[item] >= SETTLED)
    item, group, count, outside = item[judged], group[judged], count[judged], outside[judged]
    sure = PRIOR + outside
    usual = (before[item] + 0.5) / (len(one.past) + 0.5 * size)
    rate = sure / (PRIOR / usual + total - activity[group])
    own, own_mean = np.zeros(len(item)), np.zeros(len(item))
    if axis.lasts and len(one.past):
        had = axis.old >= 0
        old_keys, old_count = np.unique(axis.old[had] * size + one.past[had], return_counts=True)
        at = np.searchsorted(old_keys, group * size + item).clip(max=max(len(old_keys) - 1, 0))
        if len(old_keys):
            own = np.where(old_keys[at] == group * size + item, old_count[at], 0).astype(float)
        old_activity = np.bincount(axis.old[had], minlength=int(activity.size))
        own_mean = old_activity[group] * usual
    able = int(((activity >= LEAST) & (activity * 2 <= total)).sum())
    return Cells(
        item=item,
        group=group,
        count=count.astype(float),
        mean=activity[group] * rate,
        sure=sure,
        own=own,
        own_mean=own_mean,
        tests=max(able * int(((before + in_round) >= LEAST).sum()), 1),
        groups=max(able, 1),
    )


def chances(found: Cells, spread: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The p-value of each cell (a negative binomial tail), and the mean that was expected of it.

    `spread` is how much honest groups differ in their taste for an item: the relative variance of a group's rate.
    """
    import numpy as np
    from scipy.special import betainc

    shape = 1.0 / spread + found.own
    mean = found.mean * shape / (1.0 / spread + found.own_mean)
    size = 1.0 / (1.0 / found.sure + 1.0 / shape + 1.0 / (found.sure * shape))
    p = betainc(found.count, size, mean / (mean + size))  # P(X >= count) of the negative binomial
    return np.asarray(p, np.float64), np.asarray(mean, np.float64)


def calibrated(replayed: Sequence[Cells]) -> float:
    """The smallest spread under which nothing in the replayed rounds of history looks more surprising than chance makes it.

    With it, the smallest p-value of all those cells is no smaller than half of what so many tests give by chance.
    """
    import numpy as np

    tests = sum(found.tests for found in replayed)
    if not tests:
        return 1.0
    joined = {name: np.concatenate([getattr(found, name) for found in replayed]) for name in ("count", "mean", "sure", "own", "own_mean")}
    surprise = joined["count"] * np.log(joined["count"] / np.maximum(joined["mean"], 1e-300)) - (joined["count"] - joined["mean"])
    most = np.argsort(-surprise, kind="stable")[:MOST_TRIED]
    nothing = np.zeros(len(most), np.int64)
    tried = Cells(item=nothing, group=nothing, tests=tests, groups=1, **{name: values[most] for name, values in joined.items()})
    grid = np.geomspace(0.02, 20.0, 31)
    low, high = 0, len(grid) - 1
    while low < high:  # p-values grow with the spread
        middle = (low + high) // 2
        if chances(tried, float(grid[middle]))[0].min(initial=1.0) * tests >= 0.5:
            high = middle
        else:
            low = middle + 1
    return float(grid[high])
