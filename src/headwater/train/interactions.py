"""Interactions: who turned to what, how strongly, when; in one canonical order, whatever order the rows came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.core.errors import DataError
from headwater.core.names import did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from headwater.train.trainer import Data

__all__ = ["Columns", "Frame"]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which table holds the interactions, and what its columns are called.

    `time` is a Datetime, a Date, or a number of seconds since 1970. Without `weight` every row weighs 1.
    """

    table: str
    user: str
    item: str
    time: str
    weight: str | None = None

    def read(self, data: Data) -> pl.DataFrame:
        """The interactions as `user`, `item` (text), `weight` (float64), `time` (int64 microseconds), sorted by all four.

        Rows that weigh nothing or less are no interest in an item and are left out. Raises `DataError` for a column that
        is missing, a row without user, item or time, or a weight that is not finite.
        """
        import polars as pl

        scan = data.table(self.table)
        schema = scan.collect_schema()
        for name in (self.user, self.item, self.time, *([self.weight] if self.weight else [])):
            if name not in schema:
                raise DataError(f"table {self.table} has no column {name!r}. {did_you_mean(name, schema.names())}")
        weight = pl.col(self.weight).cast(pl.Float64) if self.weight else pl.lit(1.0)
        frame = scan.select(
            user=pl.col(self.user).cast(pl.String),
            item=pl.col(self.item).cast(pl.String),
            weight=weight,
            time=self._microseconds(schema[self.time]),
        ).collect()
        self._check(frame)
        return frame.filter(pl.col("weight") > 0).sort("user", "item", "time", "weight")

    def _microseconds(self, kind: pl.DataType) -> pl.Expr:
        import polars as pl

        column = pl.col(self.time)
        if kind.is_temporal() and kind.base_type() in (pl.Datetime, pl.Date):
            return column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Int64)
        if kind.is_integer():
            return column.cast(pl.Int64) * 1_000_000
        if kind.is_numeric():
            return (column * 1_000_000).round().cast(pl.Int64)
        raise DataError(f"column {self.time!r} of table {self.table} is {kind}; a Datetime, a Date or seconds since 1970 expected")

    def _check(self, frame: pl.DataFrame) -> None:
        for name in ("user", "item", "time"):
            if missing := frame[name].null_count():
                raise DataError(f"table {self.table}: {missing} of {frame.height} rows have no {name}; every row needs one")
        if bad := frame.height - int(frame["weight"].is_finite().fill_null(value=False).sum()):
            raise DataError(f"table {self.table}: {bad} of {frame.height} rows have a weight that is not a finite number")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One table in memory as `Data`; it has no other table, so nothing of the future can slip in beside it."""

    name: str
    frame: pl.DataFrame
    digest: str

    def table(self, name: str) -> pl.LazyFrame:
        """The table, if it is the one."""
        if name != self.name:
            raise DataError(f"only table {self.name!r} was cut in time; {name!r} was asked for")
        return self.frame.lazy()
