"""Snapshot: the exact version of every table that a pipeline reads, under one digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from headwater.core.artifact import Artifact
from headwater.core.digest import json_digest, merkle_root
from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean
from headwater.store.exclusion import Exclusion, active, excluded_rows, kept, load, resolved

if TYPE_CHECKING:
    import polars as pl

    from headwater.collect.table import Table
    from headwater.ledger.entries import Entry, Ledger
    from headwater.store.lake import Lake

__all__ = ["Snapshot", "TableVersion", "snapshot_of", "take_snapshot"]


@dataclass(frozen=True, kw_only=True)
class TableVersion:
    """One table, pinned. `version` is Delta's; `batches` maps each source to its last batch that is in;
    `digest` is the Merkle root over the batches' digests, by source and number, from the ledger, and what is `excluded`
    (the digest of the rules, see `store/exclusion.py`). `rows` counts what is in."""

    version: int
    rows: int
    digest: str
    batches: Mapping[str, int] = field(default_factory=dict)
    excluded: str | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot(Artifact):
    """What the pipeline may read. The same rows give the same digest, whatever files hold them."""

    tables: Mapping[str, TableVersion]

    def scan(self, lake: Lake, table: str) -> pl.LazyFrame:
        """The rows of a table in this snapshot, with `_source`, `_batch`, `_row`; in no order; without what is excluded."""
        try:
            pinned = self.tables[table]
        except KeyError:
            raise UsageError(f"the snapshot has no table {table!r}. {did_you_mean(table, self.tables)}") from None
        return kept(lake.table(f"tables/{table}").scan(pinned.version), lake, pinned.excluded)


def take_snapshot(tables: Iterable[Table], *, lake: Lake, ledger: Ledger) -> Snapshot:
    """Pin every batch that is in the lake now, without what is excluded, and remember it. The same content is the same snapshot."""
    exclusions = active(ledger)
    pinned = {table.name: _pinned(table, exclusions, lake, ledger) for table in sorted(tables, key=lambda table: table.name)}
    digest = json_digest({name: table.digest for name, table in pinned.items()})
    body = {"digest": digest, "tables": {name: asdict(table) for name, table in pinned.items()}}
    last = ledger.last("snapshot", digest=digest)
    if last is None or last.body != body:  # the same rows in other files are pinned anew, or gc would take them away
        last = ledger.append("snapshot", body)
    return snapshot_of(last)


def snapshot_of(entry: Entry) -> Snapshot:
    """The snapshot that a ledger entry remembers."""
    tables = {name: TableVersion(**pinned) for name, pinned in entry.body["tables"].items()}
    parents = tuple(pinned.digest for pinned in tables.values())
    rows = {f"rows.{name}": pinned.rows for name, pinned in tables.items()}
    return Snapshot(uri=f"ledger:{entry.seq}", digest=entry.body["digest"], parents=parents, facts=rows, tables=tables)


def _pinned(table: Table, exclusions: Sequence[Exclusion], lake: Lake, ledger: Ledger) -> TableVersion:
    done = sorted(
        (e.body["source"], e.body["batch"], e.body["rows"], e.body["digest"]) for e in ledger.entries("done", equal={"table": table.name})
    )
    leaves = [json_digest([source, batch, rows, digest]) for source, batch, rows, digest in done]
    batches = {source: batch for source, batch, _, _ in done}
    stored = lake.table(f"tables/{table.name}")
    rules = resolved(table, exclusions, lake=lake, keys=ledger.keys)
    digest, rows = merkle_root(leaves), sum(rows for _, _, rows, _ in done)
    if rules is not None:
        rows -= stored.scan().select(excluded_rows(load(lake, rules)).sum()).collect().item() if stored.exists() else 0
        digest = json_digest([digest, rules])
    return TableVersion(version=stored.version(), rows=rows, digest=digest, batches=batches, excluded=rules)
