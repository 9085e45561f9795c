"""Newcomers: each table's rows since the last accepted data, beside those accepted, with the groups that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import polars as pl

from headwater.collect.table import Table
from headwater.retrain.fresh import Fresh, group_column
from headwater.store.snapshot import Snapshot

if TYPE_CHECKING:
    from headwater.store.lake import Lake
    from headwater.train.trainer import Classifier, Ranker

__all__ = ["NAME", "fresh_of", "is_new"]

NAME = ("_source", "_batch", "_row")


def is_new(snapshot: Snapshot, base: Snapshot | None, tables: Iterable[str]) -> bool:
    """Whether any of the tables has a batch that the base has not."""
    return any(batch > _before(base, name).get(source, 0) for name in tables for source, batch in snapshot.tables[name].batches.items())


def fresh_of(
    table: Table,
    snapshot: Snapshot,
    base: Snapshot | None,
    *,
    lake: Lake,
    asserted: Mapping[str, str],
    champion: Classifier | Ranker | None,
) -> Fresh:
    """The new and the accepted rows of a table. `asserted` says of each source who vouches for its contributors: `source` or `payload`."""
    before = _before(base, table.name)
    parts = [(pl.col("_source") == source) & (pl.col("_batch") <= last) for source, last in sorted(before.items())]
    known = reduce(or_, parts, pl.lit(False))
    rows = snapshot.scan(lake, table.name).with_columns(_groups(table, asserted)).with_columns(_known=known)
    frame = rows.collect().sort(NAME)
    old = frame.filter("_known").drop("_known")
    new = frame.filter(~pl.col("_known")).drop("_known")
    axes = [axis for axis in _axes(table) if axis != "age"]
    if table.contributor is not None:
        who = group_column("contributor")
        wrote = old[who].unique()
        age = (
            pl.when(pl.col(who).is_null()).then(None).when(pl.col(who).is_in(wrote.implode())).then(pl.lit("old")).otherwise(pl.lit("new"))
        )
        new = new.with_columns(age.alias(group_column("age")))
        old = old.with_columns(pl.lit("old", dtype=pl.String).alias(group_column("age")))
        axes.append("age")
    return Fresh(
        table=table.name, new=new, history=old, axes=tuple(axes), contributor=table.contributor, time=table.time, champion=champion
    )


def _before(base: Snapshot | None, table: str) -> Mapping[str, int]:
    pinned = base.tables.get(table) if base else None
    return pinned.batches if pinned else {}


def _axes(table: Table) -> list[str]:
    who = ["contributor", "age"] if table.contributor is not None else []
    return [*who, "batch", "source", *(["day"] if table.time else []), *table.axes]


def _groups(table: Table, asserted: Mapping[str, str]) -> list[pl.Expr]:
    """A column for each axis. Whom only the payload names is somebody else in each source: who writes there may claim any name."""
    source = pl.col("_source")
    found = [source.alias(group_column("source")), pl.format("{}/{}", source, pl.col("_batch")).alias(group_column("batch"))]
    if table.contributor is not None:
        name = pl.col(table.contributor).cast(pl.String)
        vouched = sorted(name for name, by in asserted.items() if by == "source")
        claimed = pl.when(name.is_not_null()).then(pl.format("{}@{}", name, source))
        found.append(pl.when(source.is_in(vouched)).then(name).otherwise(claimed).alias(group_column("contributor")))
    if table.time is not None:
        found.append(pl.col(table.time).dt.strftime("%Y-%m-%d").alias(group_column("day")))
    return [*found, *(pl.col(axis).cast(pl.String).alias(group_column(axis)) for axis in table.axes)]
