"""Distances between two distributions: PSI, Jensen–Shannon, Kolmogorov–Smirnov, Wasserstein, chi-square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["FLOOR", "Merged", "chi_square", "jensen_shannon", "kolmogorov_smirnov", "merged", "psi", "wasserstein"]

FLOOR = 1e-4
"""The least share a bin is taken to have in PSI, so that an empty bin costs much and not infinitely much."""


def psi(reference: Numbers, current: Numbers) -> float:
    """Population stability index of two vectors of counts over the same bins: Σ (c − r) · ln(c / r) of their shares.

    It is the symmetrised Kullback–Leibler divergence (Jeffreys), at least 0 and 0 for equal shares; by custom 0.1 is
    worth a look and 0.2 a shift (Siddiqi, Credit Risk Scorecards, 2006). Shares under 1e-4 count as 1e-4.
    """
    import numpy as np

    r = np.maximum(reference / reference.sum(), FLOOR)
    c = np.maximum(current / current.sum(), FLOOR)
    return float(np.sum((c - r) * np.log(c / r)))


def jensen_shannon(reference: Numbers, current: Numbers) -> float:
    """Jensen–Shannon *distance* in base 2 of two vectors of counts: 0 for equal shares, 1 for disjoint ones.

    The square root of the divergence (Endres and Schindelin, 2003); equals `scipy.spatial.distance.jensenshannon(base=2)`.
    """
    import numpy as np

    r, c = reference / reference.sum(), current / current.sum()
    middle = (r + c) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(share > 0, share * np.log2(share / middle), 0.0).sum() for share in (r, c)]
    return float(min(max(sum(terms) / 2, 0.0), 1.0) ** 0.5)


def chi_square(reference: Numbers, current: Numbers) -> tuple[float, float, float]:
    """Pearson's chi-square of the 2 × k table of counts: (statistic, p, Cramér's V). Columns without rows are left out.

    No continuity correction: equals `scipy.stats.chi2_contingency(correction=False)`. V is √(χ²/n) for two rows: an
    effect between 0 and 1 that does not grow with the number of rows, as χ² and its p do.
    """
    import numpy as np
    from scipy.special import chdtrc

    table = np.stack([reference, current])[:, reference + current > 0]
    total = table.sum()
    if table.shape[1] < 2:
        return 0.0, 1.0, 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(chdtrc(table.shape[1] - 1, statistic)), min((statistic / float(total)) ** 0.5, 1.0)


@dataclass(frozen=True)
class Merged:
    """Two samples in one order: each distinct value, and the two empirical distribution functions at it."""

    values: Numbers
    reference: Numbers
    current: Numbers
    sizes: tuple[int, int]


def merged(reference: Numbers, current: Numbers) -> Merged:
    """Merge two *sorted* samples without NaN, neither empty. Linear: a stable sort finds the two runs and joins them."""
    import numpy as np

    n, m = len(reference), len(current)
    values = np.concatenate([reference, current])
    order = np.argsort(values, kind="stable")
    values = values[order]
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    from_reference = np.cumsum(order < n)[last]
    return Merged(values[last], from_reference / n, (last + 1 - from_reference) / m, (n, m))


def kolmogorov_smirnov(both: Merged) -> tuple[float, float]:
    """Two-sample Kolmogorov–Smirnov: (the greatest gap between the distribution functions, two-sided p).

    The statistic equals `scipy.stats.ks_2samp`'s. p is from Kolmogorov's limit distribution, so for small samples it
    is only near the exact one.
    """
    import numpy as np
    from scipy.special import kolmogorov

    gap = float(np.abs(both.reference - both.current).max())
    n, m = both.sizes
    return gap, float(kolmogorov(gap * (n * m / (n + m)) ** 0.5))


def wasserstein(both: Merged) -> float | None:
    """First Wasserstein distance, in the column's own unit: the area between the distribution functions.

    Equals `scipy.stats.wasserstein_distance`. None where it is infinite: values that are infinite, or overflow.
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        area = float(np.sum(np.abs(both.reference - both.current)[:-1] * np.diff(both.values)))
    return area if np.isfinite(area) else None
