"""Keys as Polars expressions: which rows belong together, in a table of any kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean
from headwater.process.step import By, Day

if TYPE_CHECKING:
    import polars as pl

__all__ = ["check_key", "column_of", "days_before", "distinct", "expressions", "from_json", "only", "part_name", "to_json"]


def column_of(part: By) -> str:
    """The column that a part of a key is made of."""
    return part.column if isinstance(part, Day) else part


def part_name(part: By) -> str:
    """What a part of a key is called in a frame of keys."""
    return f"day of {part.column}" if isinstance(part, Day) else part


def to_json(key: Iterable[By]) -> list[list[str]]:
    """A key as the ledger keeps it."""
    return [["day", part.column] if isinstance(part, Day) else ["column", part] for part in key]


def from_json(value: Iterable[Sequence[str]]) -> tuple[By, ...]:
    """The key that `to_json` wrote."""
    return tuple(Day(column) if kind == "day" else column for kind, column in value)


def bare(key: Sequence[By], schema: pl.Schema) -> list[pl.Expr]:
    """One expression a part, without a name, as joins want them. `schema` is that of the table they are for."""
    import polars as pl

    return [_day(pl.col(part.column), schema[part.column]) if isinstance(part, Day) else pl.col(part) for part in key]


def expressions(key: Sequence[By], schema: pl.Schema) -> list[pl.Expr]:
    """One expression a part, named as `part_name` says."""
    return [expression.alias(part_name(part)) for part, expression in zip(key, bare(key, schema), strict=True)]


def check_key(step: str, table: str, key: Sequence[By], schema: pl.Schema) -> None:
    """Raise `UsageError` unless a table has the columns of a key, and times where days are meant."""
    import polars as pl

    for part in key:
        column = column_of(part)
        if column not in schema:
            raise UsageError(f"step {step} is by {part}, but {table} has no column {column!r}. {did_you_mean(column, schema)}")
        if isinstance(part, Day) and not isinstance(schema[column], pl.Datetime | pl.Date):
            raise UsageError(f"step {step}: {part} needs a date or datetime, but {table}.{column} is {schema[column]}")


def only(rows: pl.LazyFrame, key: Sequence[By], keys: pl.DataFrame) -> pl.LazyFrame:
    """The rows whose key is among `keys` (a null equals a null). A range of time goes first: files out of it are not read."""
    schema = rows.collect_schema()
    found = bare(key, schema)
    for part in key:
        if isinstance(part, Day):
            rows = _within_days(rows, part.column, schema, keys[part_name(part)])
    names = [part_name(part) for part in key]
    return rows.join(keys.lazy(), left_on=found, right_on=names, how="semi", nulls_equal=True)


def _within_days(rows: pl.LazyFrame, column: str, schema: pl.Schema, days: pl.Series) -> pl.LazyFrame:
    """Only rows from the first of `days` to the last; all of them if a day is null."""
    import polars as pl

    if days.len() == 0 or days.null_count():
        return rows
    first: Any = days.min()
    last: Any = days.max()
    kind = schema[column]
    if isinstance(kind, pl.Date):
        return rows.filter(pl.col(column).is_between(first, last))
    zone = UTC if getattr(kind, "time_zone", None) else None
    start, end = (datetime.combine(d, time(), zone) for d in (first, last + timedelta(days=1)))
    return rows.filter(pl.col(column).is_between(pl.lit(start, dtype=kind), pl.lit(end, dtype=kind), closed="left"))


def distinct(rows: pl.LazyFrame, key: Sequence[By], *, lookback: timedelta = timedelta()) -> pl.DataFrame:
    """The keys of rows, each once; with `lookback`, also the days on which a row can still be seen looking back."""
    import polars as pl

    schema = rows.collect_schema()
    reach = [timedelta(days=n) for n in range(-(-lookback // timedelta(days=1)))]
    frames = []
    for later in [*reach, lookback] if lookback else [lookback]:
        found = expressions(key, schema)
        if later:
            found = [
                _day(pl.col(p.column) + _span(schema[p.column], later), schema[p.column]).alias(part_name(p)) if isinstance(p, Day) else e
                for p, e in zip(key, found, strict=True)
            ]
        frames.append(rows.select(found).unique())
    return pl.concat(frames).unique().collect()


def days_before(keys: pl.DataFrame, key: Sequence[By], lookback: timedelta) -> pl.DataFrame:
    """Keys, and the same keys on the days that looking back from theirs can reach."""
    import polars as pl

    names = [part_name(part) for part in key if isinstance(part, Day)]
    spans = [keys.with_columns(pl.col(name).dt.offset_by(f"-{n}d") for name in names) for n in range(-(-lookback // timedelta(days=1)) + 1)]
    return pl.concat(spans).unique()


def _day(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    import polars as pl

    if isinstance(kind, pl.Date):
        return column
    return (column.dt.convert_time_zone("UTC") if getattr(kind, "time_zone", None) else column).dt.date()


def _span(kind: pl.DataType, span: timedelta) -> Any:
    import polars as pl

    return pl.lit(timedelta(days=-(-span // timedelta(days=1)))) if isinstance(kind, pl.Date) else pl.lit(span)
