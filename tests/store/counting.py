"""A source that counts, and a table for it: small enough to say what must be in the lake."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandera.polars as pandera
import pyarrow as pa

from headwater.collect.source import Chunk, Cursor, Place, Reject
from headwater.collect.table import Table
from headwater.core.keys import Keys
from headwater.ledger.entries import Ledger
from headwater.store.commit import Collector
from headwater.store.lake import Lake


class Number(pandera.DataFrameModel):
    key: str
    n: int = pandera.Field(ge=0)


NUMBERS = Table("numbers", Number, key="key")


class Counting:
    """Yields the numbers below `end`, seven at a time; every fifth is negative, every eleventh cannot be read."""

    def __init__(self, end: int, name: str = "counter") -> None:
        self.end = end
        self.name = name

    def read(self, after: Cursor | None = None) -> Iterator[Chunk]:
        start = after["next"] if after else 0
        while start < self.end:
            numbers = range(start, min(start + 7, self.end))
            rows = [n for n in numbers if n % 11 != 3]
            yield Chunk(
                rows=pa.table({"key": [f"k{n}" for n in rows], "n": pa.array([-n if n % 5 == 2 else n for n in rows], pa.int64())}),
                cursor={"next": numbers[-1] + 1},
                rejects=[
                    Reject(code="number.unreadable", reason="eleven", place=Place(at=str(n), raw=str(n))) for n in numbers if n % 11 == 3
                ],
                place=lambda row, rows=rows: Place(at=str(rows[row]), raw=f"n={rows[row]}"),  # type: ignore[misc]
            )
            start = numbers[-1] + 1


def expected(end: int) -> tuple[set[int], set[int]]:
    """The numbers that are rows, and those that are rejects."""
    bad = {n for n in range(end) if n % 11 == 3 or n % 5 == 2}
    return set(range(end)) - bad, bad


def collector(folder: Path) -> Collector:
    """A collector on the lake below `folder`, made if it is not there."""
    keys = folder / "keys"
    opened = Keys(keys) if keys.exists() else Keys.make(keys)
    return Collector(NUMBERS, lake=Lake(folder / "lake"), ledger=Ledger(folder / "ledger.db", opened), batch_rows=20)


if __name__ == "__main__":
    collector(Path(sys.argv[1])).collect(Counting(int(sys.argv[2])))
