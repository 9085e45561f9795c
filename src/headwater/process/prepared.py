"""Prepared: the tables that steps made, each named by how it was derived; and how their live rows are read.

Rows carry `_gen` (the commit that wrote them), `_row` (their place in it) and, where a key is replaced as a whole,
`_dead` (true for a mark that the key has no rows any more). The newest generation of a key is the one that counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Artifact
from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean
from headwater.process.keyed import bare, expressions, from_json, part_name, to_json
from headwater.process.step import By

if TYPE_CHECKING:
    import polars as pl

    from headwater.ledger.entries import Ledger
    from headwater.store.lake import Lake

__all__ = ["BOOKKEEPING", "Prepared", "PreparedTable", "newer", "recorded", "scan_live", "scan_named", "without_bookkeeping"]

BOOKKEEPING = ("_gen", "_row", "_dead")


@dataclass(frozen=True, kw_only=True)
class PreparedTable:
    """One prepared table, pinned.

    `digest` names the derivation: the step and the digests of what it read. The same derivation gives the same rows,
    whether they were made at once or in increments. Generations `first` to `last` are in, but for those in `void` (written
    by a run that was killed before it said so); up to `settled` none is superseded by another. `key` is what is replaced
    as a whole: empty where rows are only ever added, None where every change means to start again. `stored` counts rows
    on disk without marks, `rows` those that are live.
    """

    version: int
    rows: int
    digest: str
    step: str
    key: tuple[By, ...] | None
    first: int
    last: int
    settled: int
    whole: int
    stored: int
    void: tuple[int, ...] = ()
    contributor: str | None = None

    def follows(self, older: PreparedTable) -> bool:
        """Whether this table is `older` with nothing but further generations."""
        return self.first == older.first and older.last <= self.last and older.last not in self.void and older.key == self.key

    def to_body(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        key = None if self.key is None else to_json(self.key)
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "key": key, "void": list(self.void)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> PreparedTable:
        """The table that `to_body` wrote."""
        values = {name: body[name] for name in cls.__dataclass_fields__}
        key = None if body["key"] is None else from_json(body["key"])
        return cls(**{**values, "key": key, "void": tuple(body["void"])})


@dataclass(frozen=True, kw_only=True)
class Prepared(Artifact):
    """What training may read: exact versions of every prepared table, under one digest."""

    tables: Mapping[str, PreparedTable]

    def scan(self, lake: Lake, name: str) -> pl.LazyFrame:
        """The live rows of a table, without bookkeeping columns and in no order."""
        try:
            table = self.tables[name]
        except KeyError:
            raise UsageError(f"no step made {name!r}. {did_you_mean(name, self.tables)}") from None
        return without_bookkeeping(scan_live(lake, name, table))


def recorded(ledger: Ledger, name: str, *, digest: str | None = None) -> PreparedTable | None:
    """The newest recorded state of a prepared table (of one derivation if named), or none."""
    entry = ledger.last("prepared", name=name) if digest is None else ledger.last("prepared", name=name, digest=digest)
    return PreparedTable.from_body(entry.body["table"]) if entry else None


def without_bookkeeping(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Only the columns that the step made."""
    return rows.drop(BOOKKEEPING, strict=False)


def scan_named(lake: Lake, name: str, table: PreparedTable) -> pl.LazyFrame:
    """Every row of the generations that are in, superseded ones and marks included."""
    import polars as pl

    rows = lake.table(f"prepared/{name}").scan(table.version).filter(pl.col("_gen").is_between(table.first, table.last))
    return rows.filter(~pl.col("_gen").is_in(table.void)) if table.void else rows


def scan_live(lake: Lake, name: str, table: PreparedTable, *, marks: bool = False) -> pl.LazyFrame:
    """The rows that count, with bookkeeping: of each key those of its newest generation, without marks unless asked for."""
    import polars as pl

    rows = scan_named(lake, name, table)
    if not table.key:
        return rows
    if table.settled < table.last:
        schema = rows.collect_schema()
        key = bare(table.key, schema)
        names = [part_name(part) for part in table.key]
        patches = rows.filter(pl.col("_gen") > table.settled)
        newest = patches.group_by(expressions(table.key, schema)).agg(pl.col("_gen").max())
        base = rows.filter(pl.col("_gen") <= table.settled).join(newest, left_on=key, right_on=names, how="anti", nulls_equal=True)
        fresh = patches.join(newest, left_on=[*key, "_gen"], right_on=[*names, "_gen"], how="semi", nulls_equal=True)
        rows = pl.concat([base, fresh])
    return rows if marks else rows.filter(~pl.col("_dead"))


def newer(lake: Lake, name: str, table: PreparedTable, than: PreparedTable) -> pl.LazyFrame:
    """The rows and marks of generations that came after an older state of the same table."""
    import polars as pl

    return scan_named(lake, name, table).filter(pl.col("_gen") > than.last)
