"""Shift: groups whose features lie elsewhere than those of accepted rows of the same class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Null", "Shifted", "fit_null", "p_values", "permuted_p", "residuals", "shifted", "units", "widened"]

_SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512)
_DRAWS = 100
_FARTHEST = 6.0
_EULER = 0.5772156649


@dataclass(frozen=True, kw_only=True)
class Null:
    """How far the largest of all features' z goes in a group of random accepted rows, by the group's size (a Gumbel law's
    place and scale), and the `factor` by which real honest groups go farther than random ones."""

    place: tuple[float, ...]
    scale: tuple[float, ...]
    factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Shifted:
    """A group's most shifted feature: its number, z, and the p-value."""

    feature: int
    z: float
    p: float


def residuals(points: NDArray[Any], given: NDArray[Any], history: NDArray[Any], labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """Each row's distance from the accepted rows of its class, feature by feature, in deviations of that class; so an honest mix
    of classes is no shift. Rows of no class, and features that never vary, are at 0."""
    import numpy as np

    out = np.zeros_like(points)
    for label in range(classes):
        mine, known = given == label, history[labels == label]
        if mine.any() and len(known) >= 3:
            spread = known.std(axis=0)
            floor = max(0.25 * float(np.median(history.std(axis=0))), 1e-3)
            out[mine] = np.clip((points[mine] - known.mean(axis=0)) / np.maximum(spread, floor), -_FARTHEST, _FARTHEST)
    return out


def shifted(sums: NDArray[Any], sizes: NDArray[Any]) -> NDArray[Any]:
    """The z of each group and feature from the sums of residuals, as if two more rows had lain as far out as any can: values that
    hardly ever occur make no alarm by occurring twice."""
    import numpy as np

    return np.asarray(sums / np.sqrt(sizes + 2.0 * _FARTHEST**2)[:, None])


def fit_null(history: NDArray[Any], seed: int) -> Null:
    """The permutation null: groups drawn at random from `history`'s residuals, by a seed."""
    import numpy as np

    random = np.random.default_rng(seed)
    unit = units(history)
    place, scale = [], []
    for size in _SIZES:
        picked = random.integers(0, len(history), (_DRAWS, size))
        sums = history[picked.ravel()].reshape(_DRAWS, size, -1).sum(axis=1)
        largest = np.abs(shifted(sums, np.full(_DRAWS, size)) / unit).max(axis=1, initial=0.0)
        width = max(float(largest.std()) * np.sqrt(6) / np.pi, 1e-3)
        place.append(float(largest.mean()) - _EULER * width)
        scale.append(width)
    return Null(place=tuple(place), scale=tuple(scale))


def units(history: NDArray[Any]) -> NDArray[Any]:
    """The deviation of each feature's residuals; at least a half."""
    import numpy as np

    return np.asarray(np.sqrt(np.maximum((history.astype(np.float64) ** 2).mean(axis=0), 0.25)))


def widened(null: Null, unit: NDArray[Any], sums: NDArray[Any], sizes: NDArray[Any]) -> Null:
    """The null with the factor by which history's own groups go farther than random ones: the larger of those at the median and
    at the 90 % quantile, which a few bad groups do not move."""
    import numpy as np

    usable = sizes >= 3
    if usable.sum() < 5 or not sums.shape[1]:
        return null
    largest = np.abs(shifted(sums[usable], sizes[usable]) / unit).max(axis=1)
    at, width = _law(null, sizes[usable])
    ratio = [np.quantile(largest / (at - np.log(-np.log(q)) * width), q) for q in (0.5, 0.9)]
    return Null(place=null.place, scale=null.scale, factor=float(max(1.0, *ratio)))


def p_values(sums: NDArray[Any], sizes: NDArray[Any], unit: NDArray[Any], null: Null, doubt: NDArray[Any]) -> list[Shifted]:
    """For each group, how likely an honest one of its size goes as far in any feature. Fewer than 3 rows say nothing.

    `doubt` is the variance that a group's sums have from the classes' means being known from so many rows only.
    """
    import numpy as np

    if not sums.shape[1]:
        return [Shifted(feature=-1, z=0.0, p=1.0) for _ in sizes]
    z = shifted(sums, sizes) * np.sqrt(sizes / np.maximum(sizes + doubt, 1.0))[:, None] / unit / null.factor
    largest, feature = np.abs(z).max(axis=1), np.abs(z).argmax(axis=1)
    at, width = _law(null, sizes)
    tail = -np.expm1(-np.exp(-(largest - at) / width))
    return [Shifted(feature=int(j), z=float(z[i, j]), p=float(tail[i]) if sizes[i] >= 3 else 1.0) for i, j in enumerate(feature)]


def permuted_p(new: NDArray[Any], old: NDArray[Any], seed: int) -> float:
    """How likely the new rows' residuals go as far from the old ones' in any feature, if who is new is drawn by lot.

    A permutation test of the largest z, with a Gumbel law fitted to the draws for what is rarer than one in them.
    """
    import numpy as np

    both = np.concatenate([new, old]).astype(np.float64)
    both -= both.mean(axis=0)
    size = len(new)
    random = np.random.default_rng(seed)
    unit = units(both)
    share = np.sqrt(max(1.0 - size / len(both), 1e-3))
    drawn = np.array([np.abs(both[random.permutation(len(both))[:size]].sum(axis=0) / unit).max() for _ in range(2 * _DRAWS)])
    drawn, seen = (
        np.asarray(sums) / (share * np.sqrt(size + 2.0 * _FARTHEST**2)) for sums in (drawn, np.abs(both[:size].sum(axis=0) / unit).max())
    )
    width = max(float(drawn.std()) * np.sqrt(6) / np.pi, 1e-3)
    return float(-np.expm1(-np.exp(-(float(seen) - (float(drawn.mean()) - _EULER * width)) / width)))


def _law(null: Null, sizes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    at = np.log(np.maximum(sizes, 1))
    grid = np.log(_SIZES)
    return np.interp(at, grid, null.place), np.interp(at, grid, null.scale)
