"""Commit: a step's output becomes one generation of its table, exactly once, and is remembered in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headwater.core.digest import CHUNK_ROWS, chunk_digests, merkle_root
from headwater.core.errors import DataError
from headwater.core.failpoint import failpoint
from headwater.process.keyed import expressions, only, part_name
from headwater.process.output import conform, kept_schema
from headwater.process.prepared import PreparedTable, scan_live
from headwater.process.step import By, Step

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from headwater.store.lake import Lake

__all__ = ["Content", "Generation", "next_number", "settle", "write_generation"]


@dataclass
class Content:
    """The digest of rows as they pass, chunk by chunk; `_gen` is left out, so that a repeated attempt has the same."""

    chunks: list[str] = field(default_factory=list)
    rows: int = 0
    _waiting: list[pa.Table] = field(default_factory=list)
    _held: int = 0

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table.drop_columns(["_gen"]))
        self.rows += table.num_rows
        self._held += table.num_rows
        if self._held >= CHUNK_ROWS:
            self._digest(self._held - self._held % CHUNK_ROWS)

    def finish(self) -> dict[str, Any]:
        """The digest, the number of rows (marks included) and the chunks' digests, as the ledger keeps them."""
        if self._held:
            self._digest(self._held)
        return {"digest": merkle_root(self.chunks), "rows": self.rows, "chunks": self.chunks}

    def _digest(self, rows: int) -> None:
        import pyarrow as pa

        whole = pa.concat_tables(self._waiting)
        self.chunks += chunk_digests(whole.slice(0, rows))
        rest = whole.slice(rows)
        self._waiting, self._held = ([rest] if rest.num_rows else []), rest.num_rows


@dataclass
class Generation:
    """One generation while it is written: numbers its rows, checks their keys, and marks keys that have no rows any more."""

    step: Step
    schema: pa.Schema
    number: int
    key: tuple[By, ...]
    touched: pl.DataFrame | None
    content: Content = field(default_factory=Content)
    rows: int = 0
    error: BaseException | None = None
    _seen: list[pl.DataFrame] = field(default_factory=list)

    @property
    def stored_schema(self) -> pa.Schema:
        return stored_schema(self.schema, keyed=bool(self.key))

    def batches(self, made: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches to store. An error is kept in `error`, because what carries the stream wraps it."""
        import pyarrow as pa

        try:
            for batch in made:
                table = conform(self.step, pa.Table.from_batches([batch]), self.schema)
                if self.touched is not None:
                    table = self._checked(table)
                self.rows += table.num_rows
                yield from self._stored(table, dead=False)
            if self.touched is not None and (gone := self._gone()).num_rows:
                yield from self._stored(gone, dead=True)
        except BaseException as error:
            self.error = error
            raise

    def _stored(self, table: pa.Table, *, dead: bool) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        if not table.num_rows:
            return
        start, n = self.content.rows, table.num_rows
        columns = [*table.columns, pa.array(np.full(n, self.number)), pa.array(np.arange(start, start + n))]
        if self.key:
            columns.append(pa.array(np.full(n, dead)))
        stored = pa.Table.from_arrays(columns, schema=self.stored_schema)
        self.content.add(stored)
        yield from stored.to_batches()

    def _checked(self, table: pa.Table) -> pa.Table:
        """Rows of touched keys: a look back is given more than it answers for, any other step is not."""
        from headwater.process.law import pl_frame

        assert self.touched is not None
        frame = pl_frame(table)
        kept = only(frame.lazy(), self.key, self.touched).collect() if self.touched.height else frame.clear()
        if kept.height != frame.height and self.step.lookback is None:
            raise DataError(
                f"step {self.step.name} returned {frame.height - kept.height} rows of keys ({', '.join(map(str, self.key))}) that it was "
                "not given: the key's columns must come out as they went in"
            )
        self._seen.append(kept.select(expressions(self.key, kept.schema)).unique())
        return table if kept.height == frame.height else kept.to_arrow().cast(self.schema)

    def _gone(self) -> pa.Table:
        """Marks for keys that were touched and have no rows now: their columns, all others null."""
        import polars as pl

        assert self.touched is not None
        names = [part_name(part) for part in self.key]
        gone = self.touched.join(pl.concat(self._seen).unique(), on=names, how="anti", nulls_equal=True) if self._seen else self.touched
        marks = gone.select(pl.col(part_name(part)).alias(part if isinstance(part, str) else part.column) for part in self.key)
        return marks_table(marks, self.schema)


def marks_table(marks: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """Rows in a schema of which only the key's columns are known."""
    import pyarrow as pa

    known = marks.to_arrow()
    columns = [known.column(f.name).cast(f.type) if f.name in known.column_names else pa.nulls(known.num_rows, f.type) for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def stored_schema(schema: pa.Schema, *, keyed: bool) -> pa.Schema:
    """A step's schema with the bookkeeping columns."""
    import pyarrow as pa

    more = [pa.field("_gen", pa.int64()), pa.field("_row", pa.int64()), *([pa.field("_dead", pa.bool_())] if keyed else [])]
    return pa.schema([*schema, *more])


def next_number(lake: Lake, name: str, old: PreparedTable | None) -> int:
    """A number that no commit of this table has had."""
    return max(lake.table(f"prepared/{name}").transaction(f"prepared/{name}") or 0, old.last if old else 0) + 1


def write_generation(lake: Lake, generation: Generation, made: Iterable[pa.RecordBatch], *, whole: bool) -> int | None:
    """Commit a generation; returns its version, or None if there was nothing to write and it is not a whole one."""
    import pyarrow as pa

    name = generation.step.name
    batches = generation.batches(made)
    first = next(batches, None)
    if first is None and not whole:
        return None
    reader = pa.RecordBatchReader.from_batches(generation.stored_schema, _again(first, batches))
    failpoint("process.commit.before")
    try:
        version = lake.table(f"prepared/{name}").write(reader, app=f"prepared/{name}", number=generation.number, whole=whole)
    except BaseException:
        if generation.error is not None:
            raise generation.error from None
        raise
    failpoint("process.commit.after")
    return version


def _again(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def superseded(lake: Lake, name: str, old: PreparedTable, key: Sequence[By], touched: pl.DataFrame) -> int:
    """How many live rows the touched keys had."""
    import polars as pl

    return int(only(scan_live(lake, name, old), key, touched).select(pl.len()).collect().item())


def settle(lake: Lake, name: str, table: PreparedTable) -> tuple[PreparedTable, Mapping[str, Any]]:
    """Rewrite a table without superseded rows: the same live rows, generations and digest, fewer bytes."""
    import polars as pl
    import pyarrow as pa

    live = scan_live(lake, name, table, marks=True)
    content = Content()
    kept = kept_schema(live)

    def batches() -> Iterator[pa.RecordBatch]:
        for frame in live.drop("_row").collect_batches(chunk_size=CHUNK_ROWS):
            start = content.rows
            numbered = frame.with_columns(_row=pl.int_range(start, start + frame.height, dtype=pl.Int64)).select(kept.names)
            rows = numbered.to_arrow().cast(kept)
            content.add(rows)
            yield from rows.to_batches()

    number = next_number(lake, name, table)
    failpoint("process.settle.before")
    version = lake.table(f"prepared/{name}").write(
        pa.RecordBatchReader.from_batches(kept, batches()), app=f"prepared/{name}", number=number, whole=True
    )
    failpoint("process.settle.after")
    body = content.finish()
    return replace(table, version=version, settled=table.last, whole=number, stored=table.rows, void=table.void), body
