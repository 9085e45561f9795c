"""The write-ahead protocol: each record of a source is in the lake exactly once, wherever the process dies.

For every batch: rejects are staged (a file named by the batch), an `intent` is signed into the ledger (source, number,
cursor after, digests), the rows are committed to Delta under the intent's number, the rejects under the same number, then
`done`. Recovery looks at what Delta has: an intent whose rows landed is finished, any other is abandoned and its batch
read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from headwater.collect.source import Acknowledging, Chunk, Cursor, Reject, Source
from headwater.collect.steady import Patience, steadily
from headwater.collect.table import Table
from headwater.core.digest import chunk_digests, merkle_root, table_digest
from headwater.core.failpoint import failpoint
from headwater.core.files import locked
from headwater.ledger.entries import Entry, Ledger
from headwater.store.blobs import Blobs
from headwater.store.keyindex import KeyIndex
from headwater.store.lake import Lake
from headwater.store.prefetch import prefetched

__all__ = ["BATCH_ROWS", "Collected", "Collector"]

BATCH_ROWS = 1_000_000
BATCH_BYTES = 256 << 20
REJECT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("code", "reason", "at", "raw")]
    + [("_source", pa.string()), ("_batch", pa.int64()), ("_row", pa.int64())]
)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What one source gave in one go: counts only."""

    source: str
    table: str
    batches: int = 0
    rows: int = 0
    rejected: int = 0


@dataclass(kw_only=True)
class _Batch:
    """What will be one commit: the rows that keep their contract, those that do not, the cursor after both."""

    cursor: Cursor | None = None
    frames: list[pl.DataFrame] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0

    def add(self, frame: pl.DataFrame, rejects: list[Reject], chunk: Chunk) -> None:
        self.frames.append(frame)
        self.rejects += rejects
        self.cursor = chunk.cursor
        self.rows += frame.height + len(rejects)
        self.bytes += chunk.rows.nbytes + sum(len(reject.place.raw) for reject in rejects)

    def full(self, most_rows: int) -> bool:
        return self.rows >= most_rows or self.bytes >= BATCH_BYTES


class Collector:
    """Collects sources into one table of the lake, under that table's lease."""

    def __init__(self, table: Table, *, lake: Lake, ledger: Ledger, batch_rows: int = BATCH_ROWS) -> None:
        self.table = table
        self.contract = table.checked()
        self.batch_rows = batch_rows
        self.wait_s = 5.0  # how long to wait for another collector of this table
        self.patience = Patience()
        self.ledger = ledger
        self.rows = lake.table(f"tables/{table.name}")
        self.rejected = lake.table(f"rejected/{table.name}")
        self.blobs = Blobs(lake.root / "blobs")
        self.staged = lake.root / "staged"

    def prepare(self) -> None:
        """Make the table, empty, if it is not there: what has no records yet can be read all the same."""
        self.rows.create(_numbered(stored_table(pl.DataFrame(schema=self.contract.types)), "", 0).schema)

    def collect(self, source: Source, *, progress: Callable[[int], None] | None = None) -> Collected:
        """Take everything that came to `source` since last time.

        Raises `Retryable` if another process is collecting into this table or the source stays away, and what else the
        source raises; what was committed before stays. A source that wants to know is told what is kept.
        """
        batches = rows = rejected = 0
        with locked(self.staged / f"{self.table.name}.lock", f"table {self.table.name}", wait_s=self.wait_s):
            number, cursor = self._recover(source.name)
            _acknowledge(source, cursor)  # it may not have been told, if the process was killed
            index = KeyIndex(self.rows, self.table.key)
            for batch in prefetched(self._batches(source, cursor, index)):
                number += 1
                done = self._commit(source.name, number, batch)
                _acknowledge(source, batch.cursor)
                batches, rows, rejected = batches + 1, rows + done["rows"], rejected + done["rejected"]
                if progress:
                    progress(done["rows"] + done["rejected"])
        return Collected(source=source.name, table=self.table.name, batches=batches, rows=rows, rejected=rejected)

    def _batches(self, source: Source, cursor: Cursor | None, index: KeyIndex) -> Iterator[_Batch]:
        batch = _Batch()
        extra = self._extra_types()
        for chunk in prefetched(steadily(source, cursor, self.patience)):  # read, judge and write at once, each on a thread of its own
            for digest, content in chunk.blobs.items():
                self.blobs.put(content, digest)
            frame, rejects = self._judged(chunk, index, extra)
            batch.add(frame, rejects, chunk)
            if batch.full(self.batch_rows):
                yield batch
                batch = _Batch()
        if batch.cursor is not None and (batch.rows or batch.cursor != cursor):
            yield batch

    def _judged(self, chunk: Chunk, index: KeyIndex, extra: dict[str, pl.DataType]) -> tuple[pl.DataFrame, list[Reject]]:
        """Split a chunk by its contract, then by keys that the lake has already."""
        split = self.contract.split(chunk.rows, extra)
        broken = [Reject(code=v.code, reason=v.reason, place=chunk.place(v.row)) for v in split.violations]
        extra.update({name: kind for name, kind in split.rows.schema.items() if name not in self.contract.types})
        frame = split.rows
        repeated = index.repeated(frame[self.table.key])
        if repeated.any():
            bad = {v.row for v in split.violations}
            kept = [row for row in range(chunk.rows.num_rows) if row not in bad]
            for at in repeated.arg_true():
                reason = f"{self.table.key} is in the lake already"
                broken.append(Reject(code="key.repeated", reason=reason, place=chunk.place(kept[at])))
            frame = frame.filter(~repeated)
        return frame, [*chunk.rejects, *broken]

    def _extra_types(self) -> dict[str, pl.DataType]:
        if not self.rows.exists():
            return {}
        schema = self.rows.scan().collect_schema()
        return {n: t for n, t in schema.items() if n not in self.contract.types and n not in ("_source", "_batch", "_row")}

    def _commit(self, source: str, number: int, batch: _Batch) -> Mapping[str, Any]:
        frame = pl.concat(batch.frames, how="diagonal_relaxed") if len(batch.frames) > 1 else batch.frames[0]
        rows = stored_table(frame.rechunk())  # in one piece: of several, delta-rs writes rows in no order
        rejects = _reject_table(batch.rejects)
        leaves = chunk_digests(rows)
        body = {
            "source": source,
            "table": self.table.name,
            "batch": number,
            "rows": rows.num_rows,
            "rejected": rejects.num_rows,
            "digest": merkle_root(leaves),
            "leaves": leaves,
            "columns": rows.column_names,
            "rejects_digest": table_digest(rejects) if rejects.num_rows else None,
            "cursor": batch.cursor,
        }
        self._stage(source, number, rejects)
        intent = self.ledger.append("intent", body)
        failpoint("collect.rows.before")
        self.rows.append(_numbered(rows, source, number), app=source, number=intent.seq)
        failpoint("collect.rows.after")
        return self._finish(intent)

    def _finish(self, intent: Entry) -> Mapping[str, Any]:
        """The second half of a batch whose rows have landed."""
        body = intent.body
        staged = self._staged(body["source"], body["batch"])
        files = {f"tables/{self.table.name}": self.rows.written(app=body["source"], number=intent.seq)}
        if body["rejected"]:
            rejects = pa.ipc.open_file(pa.py_buffer(staged.read_bytes())).read_all()
            self.rejected.append(rejects, app=body["source"], number=intent.seq)
            failpoint("collect.rejects.after")
            files[f"rejected/{self.table.name}"] = self.rejected.written(app=body["source"], number=intent.seq)
        done = {name: body[name] for name in ("source", "table", "batch", "rows", "rejected", "digest", "rejects_digest")}
        self.ledger.append("done", {**done, "intent": intent.seq, "files": files})
        staged.unlink(missing_ok=True)
        return body

    def _recover(self, source: str) -> tuple[int, Cursor | None]:
        """Finish or abandon the one open intent; returns the last batch's number and the cursor after it."""
        intent = self.ledger.last("intent", source=source, table=self.table.name)
        if intent is not None and not self._closed(intent):
            if self.rows.transaction(source) == intent.seq:
                self._finish(intent)
            else:
                name = {key: intent.body[key] for key in ("source", "table", "batch")}
                self.ledger.append("abandoned", {**name, "intent": intent.seq})
                self._staged(source, intent.body["batch"]).unlink(missing_ok=True)
        done = self.ledger.last("done", source=source, table=self.table.name)
        if done is None:
            return 0, None
        last = next(self.ledger.entries("intent", after=done.body["intent"] - 1))
        return done.body["batch"], last.body["cursor"]

    def _closed(self, intent: Entry) -> bool:
        closing = (entry for entry in self.ledger.entries(after=intent.seq) if entry.kind in ("done", "abandoned"))
        return any(entry.body.get("intent") == intent.seq for entry in closing)

    def _staged(self, source: str, number: int) -> Any:
        return self.staged / f"{self.table.name}.{source}.{number}.arrow"

    def _stage(self, source: str, number: int, rejects: pa.Table) -> None:
        if rejects.num_rows:
            from headwater.core.files import write_whole

            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, REJECT_SCHEMA) as writer:
                writer.write_table(_numbered(rejects, source, number).select(REJECT_SCHEMA.names))
            write_whole(self._staged(source, number), sink.getvalue().to_pybytes())


def _acknowledge(source: Source, cursor: Cursor | None) -> None:
    if cursor is not None and isinstance(source, Acknowledging):
        source.acknowledge(cursor)


def stored_table(frame: pl.DataFrame) -> pa.Table:
    """A frame as the lake keeps it: plain Arrow types, columns by name, so that it is digested as it will be read."""
    table = frame.select(sorted(frame.columns)).to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = pa.schema([pa.field(f.name, pa.string() if f.type == pa.large_string() else f.type) for f in table.schema])
    return table.cast(plain) if plain != table.schema else table


def _numbered(rows: pa.Table, source: str, number: int) -> pa.Table:
    import numpy as np

    count = rows.num_rows
    rows = rows.append_column("_source", pa.DictionaryArray.from_arrays(np.zeros(count, np.int8), [source]).cast(pa.string()))
    rows = rows.append_column("_batch", pa.array(np.full(count, number, np.int64)))
    return rows.append_column("_row", pa.array(np.arange(count, dtype=np.int64)))


def _reject_table(rejects: list[Reject]) -> pa.Table:
    columns = {
        "code": [r.code for r in rejects],
        "reason": [r.reason for r in rejects],
        "at": [r.place.at for r in rejects],
        "raw": [r.place.raw for r in rejects],
    }
    return pa.table(columns, schema=pa.schema([(name, pa.string()) for name in columns]))
