"""The law of steps as a test: any sequence of increments gives what one run from scratch gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.process.engine import Engine
from headwater.process.law import difference
from headwater.process.step import Step
from headwater.testing.small_lake import SmallLake

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["Batch", "Shuffled", "check_increments"]

Batch = tuple[str, str, "pl.DataFrame"]
"""A table, a source of it, and the rows of one batch."""


class Shuffled:
    """An engine that is given the rows of its inputs in another order: files may hold them in any."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def apply(self, step: Step, inputs: Mapping[str, pl.LazyFrame]) -> Iterator[pa.RecordBatch]:
        mixed = {name: rows.collect().sample(fraction=1.0, shuffle=True, seed=1).lazy() for name, rows in inputs.items()}
        return self.engine.apply(step, mixed)


def check_increments(steps: Sequence[Step], runs: Sequence[Sequence[Batch]], root: Path, engine: Engine) -> None:
    """Process after each run's batches, and once after all of them in another lake, rows shuffled; assert equal rows, counts and digests.

    The first run has to bring a batch of every table.
    """
    grown, fresh = SmallLake(root / "grown"), SmallLake(root / "fresh")
    for run in runs:
        for table, source, rows in run:
            for lake in (grown, fresh):
                lake.add(table, rows, source=source)
        in_steps = grown.process(steps, engine)
    at_once = fresh.process(steps, Shuffled(engine))
    assert in_steps.digest == at_once.digest
    for name, expected in fresh.frames(at_once).items():
        found = grown.frames(in_steps)[name]
        what = difference(expected, found)
        assert what is None, f"{name}: {what}"
        assert in_steps.tables[name].rows == expected.height, f"{name}: the count of live rows is wrong"
        assert found.schema == expected.schema, name
