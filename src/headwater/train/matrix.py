"""Interactions as a matrix of users by items, with the arrays that any model of them needs for serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.core.errors import DataError
from headwater.train.baselines import popularity
from headwater.train.packed import pack

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["Encoded", "encoded"]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A sparse matrix of users by items, and the arrays beside it: ids, each user's history (oldest first), popularity.

    `until` is the time of the newest interaction, in microseconds since 1970.
    """

    matrix: Any
    arrays: Mapping[str, NDArray[Any]]
    until: int


def encoded(frame: pl.DataFrame, power: float, half_life_days: float) -> Encoded:
    """Encode interactions as `Columns.read` gives them.

    A user's weights for one item are added, then raised to `power` (0: only whether there are any). Raises `DataError`
    if there is nothing.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    if not frame.height:
        raise DataError("no interactions to learn from: every row was empty, or weighed nothing")
    users, user_codes = _codes(frame["user"])
    items, item_codes = _codes(frame["item"])
    pairs = np.flatnonzero(np.r_[True, (np.diff(user_codes) != 0) | (np.diff(item_codes) != 0)])  # sorted by both
    weights = np.add.reduceat(frame["weight"].to_numpy(), pairs) ** power
    newest = np.maximum.reduceat(frame["time"].to_numpy(), pairs)
    rows, columns = user_codes[pairs], item_codes[pairs]
    matrix = csr_matrix((weights.astype(np.float32), (rows, columns)), shape=(len(users), len(items)))
    order = np.lexsort((columns, newest, rows))  # a user's own items, oldest first
    recent = popularity(columns, newest, len(items), half_life_days)
    user_bytes, user_offsets = pack(users)
    item_bytes, item_offsets = pack(items)
    arrays = {
        "users": user_bytes, "users.offsets": user_offsets, "items": item_bytes, "items.offsets": item_offsets,
        "history.indptr": matrix.indptr.astype(np.int64), "history.items": columns[order].astype(np.int32),
        "history.weights": weights[order].astype(np.float32), "history.new_weight": np.array([weights.mean()], np.float32),
        "popularity": popularity(columns, newest, len(items)), "popularity.recent": recent,
    }  # fmt: skip
    return Encoded(matrix=matrix, arrays=arrays, until=int(newest.max()))


def _codes(column: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    import polars as pl

    names = column.unique().sort()
    codes = column.cast(pl.Enum(names)).to_physical().cast(pl.Int64)
    return names.to_list(), codes.to_numpy()
