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
        asked = set(users)
        behind = {name for user in asked for name in self._writers[0].get(user, ())}
        return {name: rows for name in sorted(behind) for wrote, rows in [self._writers[1][name]] if wrote <= asked}

    @cached_property
    def _writers(self) -> tuple[dict[int, list[str]], dict[str, tuple[set[int], int]]]:
        """The contributors of each user's new rows; and of each contributor, for which users he wrote, and how many rows."""
        import polars as pl

        column = group_column("contributor")
        if column not in self.rows.columns:
            return {}, {}
        found = self.rows.drop_nulls(column).group_by(column).agg(pl.col("u").unique(), rows=pl.len())
        wrote = {name: (set(users), rows) for name, users, rows in found.iter_rows()}
        behind: dict[int, list[str]] = {}
        for name, (users, _) in wrote.items():
            for user in users:
                behind.setdefault(user, []).append(name)
        return behind, wrote

    def names(self, users: NDArray[Any], item: int | None = None) -> tuple[RowName, ...]:
        """The names of all new rows of some users; with an item, only those about it."""
        import numpy as np

        rows, starts = self._by_user
        picked = [np.arange(starts[user], starts[user + 1]) for user in np.unique(users).tolist()]
        places = np.concatenate([np.zeros(0, np.int64), *picked])
        if item is not None:
            places = places[rows["i"].to_numpy()[places] == item]
        return tuple(sorted(rows[places].select(NAME).iter_rows()))

    @cached_property
    def _by_user(self) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """The new rows, sorted by user, and where those of each begin."""
        import numpy as np

        rows = self.rows.sort("u")
        return rows, np.searchsorted(rows["u"].to_numpy(), np.arange(len(self.users) + 1))


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
