"""Labelled rows: a `Fresh` table as arrays: points, classes, owners and groups, in the order of the rows' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.core.errors import DataError
from headwater.core.gate import RowName
from headwater.core.names import did_you_mean
from headwater.gates.frozen import Points, feature_columns, number_columns, points
from headwater.retrain.fresh import Fresh, group_column

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["Labelled", "Rows", "by_group", "labelled"]

_NAME = ("_source", "_batch", "_row")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows as arrays of one length. `given` is each row's class (−1: none that is known), `owner` the number of its
    contributor; who has none is an owner of his own. `groups` has the group's name, or None, for every axis."""

    frame: pl.DataFrame
    points: Points
    given: NDArray[Any]
    owner: NDArray[Any]
    groups: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.given)

    def names(self, picked: NDArray[Any]) -> tuple[RowName, ...]:
        """The names of the rows where `picked` is true."""
        return tuple(self.frame.select(_NAME).filter(picked).iter_rows())

    def of(self, picked: NDArray[Any]) -> Rows:
        """Only the rows where `picked` is true."""
        return Rows(
            frame=self.frame.filter(picked),
            points=self.points.of(picked),
            given=self.given[picked],
            owner=self.owner[picked],
            groups={axis: groups[picked] for axis, groups in self.groups.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The new rows beside the accepted ones, and the `classes` (as text, sorted) that accepted rows have."""

    new: Rows
    history: Rows
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    numbers: tuple[str, ...]


def labelled(fresh: Fresh, label: str, features: Sequence[str], least: int = 3) -> Labelled:
    """Raises `DataError` if there is no such column. Classes of fewer than `least` accepted rows are not known well enough to judge by.
    Without history, the new rows stand for it."""
    import numpy as np

    new, old = (frame.sort(_NAME) for frame in (fresh.new, fresh.history))
    if label not in new.columns:
        raise DataError(f"the gate judges labels in {label!r}, which {fresh.table!r} lacks. {did_you_mean(label, new.columns)}")
    known = old if old.height else new
    columns = feature_columns(known, features, {label, fresh.contributor or "", fresh.time or ""})
    counts = known[label].cast(str).drop_nulls().value_counts().filter(_at_least(least))
    classes = tuple(sorted(counts[label].to_list()))
    placed_old, placed_new = points(known, new, columns)
    owners = _owners(new, known, "contributor" in fresh.axes)
    return Labelled(
        new=_rows(new, label, classes, placed_new, owners[0], fresh.axes),
        history=_rows(known, label, classes, placed_old, owners[1], fresh.axes)
        if old.height
        else _rows(old, label, classes, placed_old.of(np.arange(0)), owners[1][:0], fresh.axes),
        classes=classes,
        columns=columns,
        numbers=tuple(number_columns(known, columns)),
    )


def by_group(groups: NDArray[Any], *values: NDArray[Any]) -> tuple[list[str], list[NDArray[Any]]]:
    """The groups (sorted; rows of no group are left out), and for each array of `values` its sums by group, of the rows (first axis)."""
    import numpy as np

    has = np.array([group is not None for group in groups], dtype=bool)
    names, codes = np.unique(groups[has].astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(names)))
    sums = [np.add.reduceat(array[has][order], starts, axis=0, dtype=np.float64) if len(names) else array[:0] * 1.0 for array in values]
    return names.tolist(), sums


def _at_least(count: int) -> Any:
    import polars as pl

    return pl.col("count") >= count


def _rows(frame: pl.DataFrame, label: str, classes: Sequence[str], placed: Points, owner: NDArray[Any], axes: Sequence[str]) -> Rows:
    import numpy as np

    number = {name: i for i, name in enumerate(classes)}
    given = np.array([number.get(name, -1) for name in frame[label].cast(str).to_list()], dtype=np.int64)
    groups = {axis: np.array(frame[group_column(axis)].to_list(), dtype=object) for axis in axes}
    return Rows(frame=frame, points=placed, given=given, owner=owner, groups=groups)


def _owners(new: pl.DataFrame, old: pl.DataFrame, contributors: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Numbers by contributor over both; a row that has none gets one of its own, by its place."""
    import numpy as np

    names = [frame[group_column("contributor")].to_list() if contributors else [None] * frame.height for frame in (new, old)]
    number = {name: i for i, name in enumerate(sorted({n for part in names for n in part if n is not None}))}
    return tuple(  # type: ignore[return-value]
        np.array([number[n] if n is not None else -(1 + start + i) for i, n in enumerate(part)], dtype=np.int64)
        for part, start in zip(names, (0, new.height if new is not old else 0), strict=True)
    )
