"""The local engine: streamed, in bounded memory; a `by` step that would not fit is dealt out to disk by key first."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from functools import reduce
from operator import xor
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.process.engine import call
from headwater.process.keyed import expressions
from headwater.process.step import Step
from headwater.store.prefetch import prefetched

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["LocalEngine"]

_PROBED_ROWS = 200_000
_FEW_BUCKETS = 2
_MOST_BUCKETS = 512
_WORK = 12  # a step's function may need so many times the memory of what it is given


class LocalEngine:
    """Runs steps in this process.

    Guarantees: a row-by-row step sees batches of at most `batch_rows`; a `by` step is given at most about half of
    `memory_budget` bytes at a time (its function needs room to work in), unless one key alone has more. Up to two such
    parts are read from the inputs one after the other; where there were more, rows are dealt out to disk first, in parts
    of a quarter. That lies in a folder of its own below `spill` (the system's temporary folder by default), removed in any case.
    """

    def __init__(self, *, memory_budget: int = 512 << 20, batch_rows: int = 131_072, spill: Path | None = None) -> None:
        self.memory_budget = memory_budget
        self.batch_rows = batch_rows
        self.spill = spill

    def apply(self, step: Step, inputs: Mapping[str, pl.LazyFrame]) -> Iterator[pa.RecordBatch]:
        """The step's output, in batches. See `headwater.process.engine.Engine`."""
        shared = {name: inputs[name].collect() for name in step.broadcast}
        dealt = {name: inputs[name] for name in step.shared_out}
        with closing(self._pieces(step, dealt)) as pieces:
            made = (call(step, {**shared, **part}) for frames in pieces for part in self._parts(step, frames))
            with closing(prefetched(made)) as tables:  # the next is made while this one is written
                for table in tables:
                    yield from table.to_batches()

    def _parts(self, step: Step, frames: Mapping[str, pl.DataFrame]) -> Iterator[Mapping[str, pl.DataFrame]]:
        """A piece in parts that leave the step's function room to work in: keys stay whole."""
        import polars as pl

        if not any(frame.height for frame in frames.values()):
            return
        parts = -(-_size(frames.values()) * _WORK // self.memory_budget) if step.by else 1
        if parts <= 1:
            yield frames
            return
        numbered = {name: _with_bucket(step, frame.lazy(), parts, seed=64).collect() for name, frame in frames.items()}
        for number in range(parts):
            yield {name: frame.filter(pl.col("_bucket") == number).drop("_bucket") for name, frame in numbered.items()}

    def _pieces(self, step: Step, inputs: Mapping[str, pl.LazyFrame]) -> Generator[Mapping[str, pl.DataFrame], None, None]:
        import polars as pl

        if not step.by:
            for name, rows in inputs.items():  # there is one
                yield from ({name: frame} for frame in rows.collect_batches(chunk_size=self.batch_rows, maintain_order=True))
            return
        room = max(1, self.memory_budget // 2)
        probes = {name: rows.head(_PROBED_ROWS).collect() for name, rows in inputs.items()}
        if all(probe.height < _PROBED_ROWS for probe in probes.values()) and _size(probes.values()) <= room:
            yield probes
            return
        needed = sum(_bytes(rows, probes[name]) for name, rows in inputs.items())
        buckets = min(_MOST_BUCKETS, -(-needed // room))
        buckets = buckets if buckets <= _FEW_BUCKETS else min(_MOST_BUCKETS, 2 * buckets)
        del probes
        if buckets <= 1:
            yield {name: rows.collect() for name, rows in inputs.items()}
            return
        numbered = {name: _with_bucket(step, rows, buckets) for name, rows in inputs.items()}
        if buckets <= _FEW_BUCKETS:  # reading again is cheaper than writing
            for number in range(buckets):
                yield {name: rows.filter(pl.col("_bucket") == number).drop("_bucket").collect() for name, rows in numbered.items()}
            return
        if self.spill is not None:
            self.spill.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="headwater-", dir=self.spill) as home:
            yield from _dealt_out(numbered, buckets, Path(home))


def _size(frames: Iterable[pl.DataFrame]) -> int:
    return int(sum(frame.estimated_size() for frame in frames))


def _bytes(rows: pl.LazyFrame, probe: pl.DataFrame) -> int:
    """About how many bytes the rows need in memory, after the first of them."""
    import polars as pl

    if probe.height < _PROBED_ROWS:
        return _size([probe])
    return int(rows.select(pl.len()).collect().item()) * _size([probe]) // probe.height


def _with_bucket(step: Step, rows: pl.LazyFrame, buckets: int, *, seed: int = 0) -> pl.LazyFrame:
    """Rows of one key have one number, whichever input they are from."""
    parts = expressions(step.by, rows.collect_schema())
    return rows.with_columns(_bucket=reduce(xor, (part.hash(seed=seed + n) for n, part in enumerate(parts))) % buckets)


def _dealt_out(inputs: Mapping[str, pl.LazyFrame], buckets: int, home: Path) -> Iterator[Mapping[str, pl.DataFrame]]:
    """The rows bucket by bucket, by way of a folder."""
    import polars as pl

    schemas = {name: rows.drop("_bucket").collect_schema() for name, rows in inputs.items()}
    for name, rows in inputs.items():
        rows.sink_parquet(pl.PartitionBy(home / name, key="_bucket", include_key=False), compression="lz4", statistics=False, mkdir=True)
    for number in range(buckets):
        frames = {}
        for name, schema in schemas.items():
            files = sorted((home / name / f"_bucket={number}").glob("*.parquet"))
            frames[name] = pl.read_parquet(files, hive_partitioning=False) if files else pl.DataFrame(schema=schema)
            for file in files:
                file.unlink()
        yield frames
