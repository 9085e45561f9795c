"""Adoptions: who turned to which item for the first time, as numbers: the new ones beside those of history."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headwater.core.gate import RowName
from headwater.retrain.fresh import group_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from headwater.retrain.fresh import Fresh

__all__ = ["NAME", "Adoptions", "Columns", "adoptions"]

NAME = ("_source", "_batch", "_row")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns say who turned to what and when; if `event` is named, only rows that hold one of `events` count."""

    user: str
    item: str
    time: str | None = None
    event: str | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Adoptions:
    """Each pair of user and item once, where it came first. Codes follow the order of names, so row order is nothing.

    `history` and `new` have `u`, `i`, `at` (when, 0 without a time: then the order is that of rows' names) and the group
    columns; `new` holds no pair that history has. `rows` are all new rows, with `u` and `i`.
    """

    users: pl.Series
    items: pl.Series
    history: pl.DataFrame
    new: pl.DataFrame
    rows: pl.DataFrame
    day: int | None = None
    """How much of `at` is a day; None if `at` is no time."""

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Whether a user was there before this round."""
        import numpy as np

        known = np.zeros(len(self.users), np.bool_)
        known[self.history["u"].to_numpy()] = True
        return known

    def accounts(self, users: Sequence[int]) -> dict[str, int]:
        """The contributors behind some users, with the number of their new rows: those only who wrote for nobody else."""
        import polars as pl

        column = group_column("contributor")
        if column not in self.rows.columns or not users:
            return {}
        mine = pl.col("u").is_in(pl.Series(sorted(users), dtype=pl.UInt32).implode())
        found = self.rows.group_by(column).agg(only=mine.all(), rows=pl.len()).filter("only").drop_nulls(column).sort(column)
        return dict(found.select(column, "rows").iter_rows())

    def names(self, users: NDArray[Any], item: int | None = None) -> tuple[RowName, ...]:
        """The names of all new rows of some users; with an item, only those about it."""
        import polars as pl

        mine = self.rows.filter(pl.col("u").is_in(pl.Series(users, dtype=pl.UInt32).implode()))
        if item is not None:
            mine = mine.filter(pl.col("i") == item)
        return tuple(sorted(mine.select(NAME).iter_rows()))


def adoptions(fresh: Fresh, columns: Columns, axes: Sequence[str]) -> Adoptions:
    """Code what is new and what was before. Rows without a user or an item tell nothing and are left aside."""
    import polars as pl

    groups = [group_column(axis) for axis in axes]
    parts = [_narrow(frame, columns, groups) for frame in (fresh.history, fresh.new)]
    names = {key: pl.concat([part[key] for part in parts]).unique().sort() for key in ("u", "i")}
    parts = [part.with_columns(pl.col(key).cast(pl.Enum(names[key])).to_physical().cast(pl.UInt32) for key in ("u", "i")) for part in parts]
    history, new = (_first(part, columns) for part in parts)
    return Adoptions(
        users=names["u"],
        items=names["i"],
        history=history,
        new=new.join(history.select("u", "i"), on=["u", "i"], how="anti", maintain_order="left"),
        rows=parts[1],
        day=_day(fresh.new, columns),
    )


def _narrow(frame: pl.DataFrame, columns: Columns, groups: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    timed = columns.time is not None and (frame.schema[columns.time].is_temporal() or frame.schema[columns.time].is_numeric())
    at = pl.col(str(columns.time)).to_physical().cast(pl.Int64) if timed else pl.lit(0, pl.Int64)
    counts = pl.lit(True) if columns.event is None else pl.col(columns.event).cast(pl.String).is_in(list(columns.events))
    kept = frame.select(
        *NAME,
        *(pl.col(group) for group in groups),
        u=pl.col(columns.user).cast(pl.String),
        i=pl.col(columns.item).cast(pl.String),
        at=at.fill_null(0),
        counts=counts.fill_null(False),
    )
    return kept.filter(pl.col("u").is_not_null() & pl.col("i").is_not_null())


def _first(rows: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    import polars as pl

    counted = rows.filter("counts") if columns.event is not None else rows
    return (
        counted.sort("at", *NAME)
        .unique(["u", "i"], keep="first", maintain_order=True)
        .with_columns(pl.col("u", "i").cast(pl.Int64))
        .drop("counts")
    )


def _day(frame: pl.DataFrame, columns: Columns) -> int | None:
    import polars as pl

    kind = frame.schema[columns.time] if columns.time is not None else None
    if isinstance(kind, pl.Datetime):
        return 86_400 * {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[kind.time_unit]
    return 1 if kind == pl.Date else None
