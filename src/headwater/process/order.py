"""Order: the one order in which rows reach a step, whatever files held them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from headwater.process.keyed import column_of
from headwater.process.step import Step

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PLACE", "in_order", "with_place"]

PLACE = "_place"
"""The column that says where a row of a raw table comes: one number made of `_source`, `_batch` and `_row`."""

_BATCHES, _ROWS = 2**27, 2**28  # 63 bits with 256 sources
_MOST_RUNS = 4096


def with_place(rows: pl.LazyFrame, sources: Iterable[str]) -> pl.LazyFrame:
    """The user's columns of a raw table and `_place`, which orders rows by `_source`, `_batch` and `_row`."""
    import polars as pl

    source = pl.lit(0, dtype=pl.Int64)
    for number, name in enumerate(sorted(sources)):
        if number:  # with one source there is nothing to read
            source = pl.when(pl.col("_source") == name).then(pl.lit(number, dtype=pl.Int64)).otherwise(source)
    place = (source * _BATCHES + pl.col("_batch")) * _ROWS + pl.col("_row")
    return rows.with_columns(place.alias(PLACE)).drop("_source", "_batch", "_row")


def in_order(step: Step, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` without `_place`, in order if the step has a key or gets this input whole.

    A raw table is in the order in which it was collected (by source, batch and row), a prepared one in the order of its
    values, the key's columns first. A row-by-row step sees rows as they were read.
    """
    placed = PLACE in frame.columns
    if step.by or name in step.broadcast:
        frame = _by_place(frame) if placed else _by_values(step, frame)
    return frame.drop(PLACE) if placed else frame


def _by_values(step: Step, frame: pl.DataFrame) -> pl.DataFrame:
    first = [column for column in dict.fromkeys(map(column_of, step.key)) if column in frame.columns]
    return frame.sort([*first, *(column for column in frame.columns if column not in first)])


def _by_place(frame: pl.DataFrame) -> pl.DataFrame:
    """Files hold rows in order, so mostly it is enough to put a few runs of rows in order."""
    import polars as pl

    place = frame[PLACE]
    if place.is_sorted():
        return frame
    starts = [0, *(place < place.shift()).arg_true().head(_MOST_RUNS).to_list(), frame.height]
    if len(starts) <= _MOST_RUNS:
        runs = sorted((place[a], place[b - 1], a, b) for a, b in pairwise(starts))
        if all(before[1] <= after[0] for before, after in pairwise(runs)):
            return pl.concat([frame.slice(a, b - a) for _, _, a, b in runs])
    return frame.sort(PLACE)
