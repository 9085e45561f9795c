"""A small lake: raw tables written straight, batch by batch, and snapshots of them made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.core.digest import json_digest, merkle_root, table_digest
from headwater.core.keys import Keys
from headwater.ledger.entries import Ledger
from headwater.process.engine import Engine
from headwater.process.prepared import Prepared
from headwater.process.process import process
from headwater.process.step import Step
from headwater.store.lake import Lake
from headwater.store.snapshot import Snapshot, TableVersion

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SmallLake"]


class SmallLake:
    """A lake, a ledger and keys below one folder. A second one on the same folder goes on where the first was."""

    def __init__(self, root: Path) -> None:
        keys = Keys(root / "keys") if (root / "keys").is_dir() else Keys.make(root / "keys")
        self.lake = Lake(root / "lake")
        self.ledger = Ledger(root / "ledger.db", keys)
        self.batches: dict[str, dict[str, list[str]]] = {}
        self.rows: dict[str, int] = {}

    def add(self, table: str, rows: pl.DataFrame, *, source: str = "source") -> None:
        """Append one batch of a source, as collecting does."""
        import polars as pl

        digests = self.batches.setdefault(table, {}).setdefault(source, [])
        marked = rows.with_columns(
            _source=pl.lit(source, dtype=pl.String),
            _batch=pl.lit(len(digests), dtype=pl.Int64),
            _row=pl.int_range(rows.height, dtype=pl.Int64),
        )
        made = marked.to_arrow()
        self.lake.table(f"tables/{table}").append(made, app=f"{table}/{source}", number=len(digests) + 1)
        digests.append(table_digest(made))
        self.rows[table] = self.rows.get(table, 0) + rows.height

    def snapshot(self) -> Snapshot:
        """What was added so far."""
        tables = {
            name: TableVersion(
                version=self.lake.table(f"tables/{name}").version(),
                rows=self.rows[name],
                digest=merkle_root([digest for source in sorted(sources) for digest in sources[source]]),
                batches={source: len(digests) - 1 for source, digests in sources.items()},
            )
            for name, sources in self.batches.items()
        }
        digest = json_digest({name: table.digest for name, table in tables.items()})
        return Snapshot(uri="lake:small", digest=digest, tables=tables)

    def process(self, steps: Sequence[Step], engine: Engine, **options: Any) -> Prepared:
        """Run the process stage on what was added so far."""
        return process(self.snapshot(), steps, lake=self.lake, ledger=self.ledger, engine=engine, **options)

    def frames(self, prepared: Prepared) -> Mapping[str, pl.DataFrame]:
        """The live rows of every prepared table, sorted by all their values."""
        return {name: _sorted(prepared.scan(self.lake, name).collect()) for name in prepared.tables}


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(sorted(frame.columns)).sort(sorted(frame.columns))
