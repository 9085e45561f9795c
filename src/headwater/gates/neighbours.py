"""Neighbours: how the nearest accepted rows of others are labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["votes"]

_BLOCK = 1 << 22
"""Distances held at once."""
_STRIDE = 7


def votes(
    index: NDArray[Any], labels: NDArray[Any], owners: NDArray[Any], rows: NDArray[Any], row_owners: NDArray[Any], *, classes: int, k: int
) -> NDArray[Any]:
    """float32 (rows, classes): the share of each class among the `k` rows of `index` that are nearest and have another owner.

    Nobody vouches for himself: a row's own group is left out, and with it the row. Who is as near as the last of the `k` has a
    say too, so the order of rows makes no difference. Exact, in blocks of one matrix product each.
    A class is one of 0 … `classes` − 1; owners are numbers.
    """
    import numpy as np

    k = max(min(k, len(index)), 1)
    square = np.einsum("ij,ij->i", index, index)
    shares = np.empty((len(rows), classes), dtype=np.float32)
    step = max(_BLOCK // max(len(index), 1), 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        distance = square[None, :] - 2.0 * (rows[part] @ index.T)
        near, whose = _candidates(distance, k), row_owners[part]
        counted, enough = _counted(distance, near, owners, whose, labels, classes, k)
        if not enough.all():
            few = np.flatnonzero(~enough)
            everyone = np.ones((len(few), len(index)), dtype=bool)
            counted[few] = _counted(distance[few], everyone, owners, whose[few], labels, classes, k)[0]
        shares[part] = counted / np.maximum(counted.sum(axis=1), 1.0)[:, None]
    return shares


def _candidates(distance: NDArray[Any], k: int) -> NDArray[Any]:
    """Where a row's nearest are, likely: a seventh of the index gives a bound that about 4 `k` of all are under."""
    import numpy as np

    some = distance[:, ::_STRIDE]
    rank = 4 * k // _STRIDE
    if some.shape[1] <= 4 * rank:
        return np.ones(distance.shape, dtype=bool)
    return np.asarray(distance <= np.partition(some, rank, axis=1)[:, rank : rank + 1])


def _counted(
    distance: NDArray[Any], near: NDArray[Any], owners: NDArray[Any], whose: NDArray[Any], labels: NDArray[Any], classes: int, k: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The labels of each row's `k` nearest among the candidates of other owners, counted; and whether there were `k` of these:
    if so nobody who is no candidate is as near."""
    import numpy as np

    row, column = np.divmod(np.flatnonzero(near), near.shape[1])
    other = owners[column] != whose[row]
    row, column = row[other], column[other]
    found = np.bincount(row, minlength=len(near))
    place = np.arange(len(row)) - np.repeat(np.cumsum(found) - found, found)
    far = np.full((len(near), max(int(found.max(initial=0)), k)), np.inf, dtype=np.float32)
    away = distance[row, column]
    far[row, place] = away
    last = np.partition(far, k - 1, axis=1)[:, k - 1]
    counts = row * classes + labels[column]
    counted = np.bincount(counts[away <= last[row]], minlength=len(near) * classes)
    return counted.reshape(len(near), classes).astype(np.float32), found >= k
