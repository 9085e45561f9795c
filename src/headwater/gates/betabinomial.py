"""Beta-binomial: how many disagreements an honest group may have, honest groups being unlike each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Spread", "fit_spread", "log_likelihood", "upper_tail"]

LEAST_RHO = 0.003
"""Overdispersion that a few dozen groups could not have ruled out is assumed."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What honest groups look like: `factor` on their expected rates, overdispersion `rho`, fitted on `groups` of them;
    `honest` says which of the groups that were given were taken for such."""

    factor: float
    rho: float
    groups: int
    honest: tuple[bool, ...] = ()


def upper_tail(count: Any, records: Any, rate: Any, rho: float) -> NDArray[Any]:
    """P(X ≥ count) for a beta-binomial of `records` draws with mean `rate` and intra-group correlation `rho` (Williams 1975).

    1 where there are no records. Valid as a p-value: its distribution under the null is stochastically at least uniform.
    """
    import numpy as np
    from scipy.stats import betabinom

    count, records, rate = (np.asarray(values, dtype=np.float64) for values in (count, records, rate))
    rate = np.clip(rate, 1e-6, 1 - 1e-6)
    spread = (1.0 - rho) / rho
    tail = betabinom.sf(count - 1, np.maximum(records, 1), rate * spread, (1.0 - rate) * spread)
    return np.where((records > 0) & (count > 0), np.clip(np.nan_to_num(tail, nan=1.0), 0.0, 1.0), 1.0)


def log_likelihood(count: NDArray[Any], records: NDArray[Any], rate: NDArray[Any], rho: float) -> NDArray[Any]:
    """ln P(X = count) of the beta-binomial, without the binomial coefficient, which cancels in every ratio."""
    import numpy as np
    from scipy.special import betaln

    spread = (1.0 - rho) / rho
    rate = np.clip(rate, 1e-6, 1 - 1e-6)
    a, b = rate * spread, (1.0 - rate) * spread
    return np.asarray(betaln(count + a, records - count + b) - betaln(a, b))


def fit_spread(count: NDArray[Any], records: NDArray[Any], expected: NDArray[Any]) -> Spread:
    """Fit on past groups: `count` disagreements of `records`, where `expected` was the sum of the records' base rates.

    The mean's factor is fitted by moments, `rho` by maximum likelihood over a grid with a weak prior for small ones (exponential,
    mean .05), which few disagreements need. Robust: groups that are absurd (upper tail under .5 ÷ groups) are left out, first if
    all were nearly alike, then with the spread of those kept, until nothing changes; so that a minority that was bad all along
    does not hide behind the spread that it makes itself.
    """
    import numpy as np

    usable = records > 0
    if usable.sum() < 2:
        return Spread(factor=1.0, rho=LEAST_RHO * 10, groups=int(usable.sum()), honest=tuple(usable.tolist()))
    rate = expected / np.maximum(records, 1)
    grid = np.geomspace(LEAST_RHO, 0.3, 24)
    factor, rho, keep = 1.0, LEAST_RHO, usable
    for _ in range(10):
        kept = usable & (upper_tail(count, records, np.minimum(rate * factor, 0.99), rho) >= 0.5 / usable.sum())
        factor = float((count[kept].sum() + 1.0) / (expected[kept].sum() + 1.0))
        mean = np.minimum(rate * factor, 0.99)
        rho = float(grid[int(np.argmax([log_likelihood(count[kept], records[kept], mean[kept], r).sum() - r / 0.05 for r in grid]))])
        if (kept == keep).all():
            break
        keep = kept
    return Spread(factor=factor, rho=rho, groups=int(keep.sum()), honest=tuple(keep.tolist()))
