"""Interval: what ten or a thousand tries let one say. Wilson, Clopper–Pearson, and the bootstrap over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Interval", "clopper_pearson", "mean_of", "ratio_of", "wilson"]

Z = 1.959963984540054
DRAWS = 2_000


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def percent(self, digits: int = 1) -> str:
        """As `97.5% [95.0%, 98.8%]`."""
        return f"{self.value:.{digits}%} [{self.low:.{digits}%}, {self.high:.{digits}%}]"

    def plain(self, digits: int = 3) -> str:
        """As `0.975 [0.950, 0.988]`."""
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def wilson(hits: int, tries: int) -> Interval:
    """A share's interval (Wilson, 1927). Without a try it is all there is."""
    if not tries:
        return Interval(float("nan"), 0.0, 1.0)
    share, z2 = hits / tries, Z * Z
    middle = (share + z2 / (2 * tries)) / (1 + z2 / tries)
    half = Z * (share * (1 - share) / tries + z2 / (4 * tries * tries)) ** 0.5 / (1 + z2 / tries)
    return Interval(share, 0.0 if hits == 0 else max(0.0, middle - half), 1.0 if hits == tries else min(1.0, middle + half))


def clopper_pearson(hits: int, tries: int) -> Interval:
    """A share's exact interval (Clopper and Pearson, 1934): never too narrow."""
    from scipy.stats import beta

    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, tries - hits + 1))
    high = 1.0 if hits == tries else float(beta.ppf(0.975, hits + 1, tries - hits))
    return Interval(hits / tries, low, high)


def mean_of(values: Sequence[float]) -> Interval:
    """A mean's percentile bootstrap; `values` are one a seed, since what one seed made is not independent."""
    return ratio_of(values, [1.0] * len(values))


def ratio_of(above: Sequence[float], below: Sequence[float]) -> Interval:
    """The ratio of two sums over the same seeds, or streams, drawn together."""
    import numpy as np

    a, b = np.asarray(above, float), np.asarray(below, float)
    chosen = np.random.default_rng(0).integers(0, len(a), (DRAWS, len(a)))
    bottom = b[chosen].sum(axis=1)
    drawn = np.divide(a[chosen].sum(axis=1), bottom, out=np.full(DRAWS, np.nan), where=bottom > 0)
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return Interval(float(a.sum() / b.sum()) if b.sum() > 0 else float("nan"), float(low), float(high))
