"""Frozen features: rows as points in a space that only accepted rows have set, so that no new row can bend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.core.errors import DataError
from headwater.core.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl
    from numpy.typing import NDArray

__all__ = ["Points", "feature_columns", "number_columns", "points", "telling"]

_RARE = 0.05
"""Values farther out than those of this share of accepted rows count as no farther: an odd corner of a picture must not
choose a row's neighbours."""
_MOST_WORDS = 20
"""A text column with more values than this says who rather than what."""


def feature_columns(frame: pl.DataFrame, named: Sequence[str], leave_out: Iterable[str]) -> tuple[str, ...]:
    """The columns to compare rows by: those `named`, else all numbers, booleans, and texts of few values."""
    import polars as pl

    if named:
        missing = [column for column in named if column not in frame.columns]
        if missing:
            raise DataError(f"the gate compares rows by {missing[0]!r}, which the table lacks. {did_you_mean(missing[0], frame.columns)}")
        return tuple(named)
    out = set(leave_out)
    found = []
    for column, kind in frame.schema.items():
        if column in out or column.startswith("_"):
            continue
        few = kind == pl.String and 0 < frame[column].n_unique() <= min(_MOST_WORDS, max(frame.height // 5, 2))
        if kind.is_numeric() or kind == pl.Boolean or few:
            found.append(column)
    return tuple(sorted(found))


@dataclass(frozen=True, kw_only=True)
class Points:
    """Rows as float32 points; and for each row and number column, whether the value was `beyond` what one accepted row in twenty
    has: 1 above, −1 below, else 0."""

    at: NDArray[Any]
    beyond: NDArray[Any]

    @property
    def wide(self) -> NDArray[Any]:
        """The points with what is beyond two deviations farther out: to see what neighbours are not shown."""
        import numpy as np

        wide = self.at.copy()
        wide[:, : self.beyond.shape[1]] += 2.0 * self.beyond.astype(np.float32)
        return wide

    def of(self, rows: NDArray[Any]) -> Points:
        """The same of some of the rows."""
        return Points(at=self.at[rows], beyond=self.beyond[rows])


def points(history: pl.DataFrame, new: pl.DataFrame, columns: Sequence[str]) -> tuple[Points, Points]:
    """The points of the rows of both: numbers, cut at `history`'s 5 % and 95 % quantiles and standardised by what is left;
    one 0/1 number for each text that `history` has; what is missing is at the mean."""
    import numpy as np
    import polars as pl

    numbers = number_columns(history, columns)
    schema = history.schema
    words = [c for c in columns if schema[c] == pl.String]
    old, fresh = (_numbers(frame, numbers) for frame in (history, new))
    empty = np.isnan(old).all(axis=0)
    low, high = _quantiles(np.where(empty, 0.0, old), [_RARE, 1 - _RARE]) if len(old) and numbers else (np.zeros(len(numbers)),) * 2
    cut = np.clip(np.where(empty, 0.0, old), low, high)
    centre, spread = np.nan_to_num(np.nanmean(cut, axis=0)), np.nan_to_num(np.nanstd(cut, axis=0))
    both = []
    for frame, values in ((history, old), (new, fresh)):
        beyond = (np.nan_to_num(values, nan=-np.inf) > high).astype(np.int8) - (np.nan_to_num(values, nan=np.inf) < low)
        near = np.nan_to_num((np.clip(values, low, high) - centre) / np.where(spread > 0, spread, 1.0))
        both.append(Points(at=np.concatenate([near, *_words(frame, history, words)], axis=1).astype(np.float32), beyond=beyond))
    return both[0], both[1]


def _quantiles(values: NDArray[Any], at: Sequence[float]) -> NDArray[Any]:
    """Of each column; NumPy takes ten times as long if it may meet what is missing."""
    import numpy as np

    return np.asarray((np.nanquantile if np.isnan(values).any() else np.quantile)(values, at, axis=0))


def number_columns(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """Those of the columns that are numbers or booleans."""
    import polars as pl

    schema = frame.schema
    return [c for c in columns if schema[c].is_numeric() or schema[c] == pl.Boolean]


def _words(frame: pl.DataFrame, history: pl.DataFrame, columns: Sequence[str]) -> list[NDArray[Any]]:
    """0/1 for each text of each column; two rows that differ in a text are three deviations apart, squared over both."""
    return [
        (frame[column] == word).fill_null(False).to_numpy()[:, None] * 1.5
        for column in columns
        for word in history[column].drop_nulls().unique().sort().to_list()
    ]


def telling(history: NDArray[Any], labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """A weight for each feature: the fourth root of the share of its variance in `history` that lies between classes.

    So neighbours are near in what tells classes apart, and what never mattered to accepted rows (an odd corner of a picture) hardly does.
    """
    import numpy as np

    total = history.var(axis=0)
    between = np.zeros(history.shape[1])
    for label in range(classes):
        mine = history[labels == label]
        if len(mine):
            between += len(mine) / len(history) * (mine.mean(axis=0) - history.mean(axis=0)) ** 2
    share = np.where(total > 1e-6, between / np.maximum(total, 1e-6), 0.0)
    return np.asarray(np.clip(share, 0.0, 1.0) ** 0.25, dtype=np.float32)


def _numbers(frame: pl.DataFrame, columns: Sequence[str]) -> NDArray[Any]:
    import numpy as np
    import polars as pl

    if not columns:
        return np.zeros((frame.height, 0))
    values = frame.select(pl.col(columns).cast(pl.Float64)).to_numpy().astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)
