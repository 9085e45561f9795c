"""Order: the one order in which rows reach a step, whatever files held them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from headwater.process.step import Day, Step

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MARKS", "without_marks"]

MARKS = ("_source", "_batch", "_row")
_MOST_RUNS = 4096
_SOURCES, _BATCHES, _ROWS = 2**8, 2**27, 2**28  # together 63 bits


def without_marks(step: Step, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` without the marks of its order, and in that order if the step has a key or gets this input whole.

    A raw table is in the order of `_source, _batch, _row`; a prepared one in the order of its values, the key's columns
    first. A row-by-row step sees rows as they were read.
    """
    marked = "_row" in frame.columns
    if step.by or name in step.broadcast:
        frame = _by_marks(frame) if marked else _by_values(step, frame)
    return frame.drop(MARKS) if marked else frame


def _by_values(step: Step, frame: pl.DataFrame) -> pl.DataFrame:
    first = [part.column if isinstance(part, Day) else part for part in step.key]
    first = [column for column in dict.fromkeys(first) if column in frame.columns]
    return frame.sort([*first, *(column for column in frame.columns if column not in first)], nulls_last=False)


def _by_marks(frame: pl.DataFrame) -> pl.DataFrame:
    """Sorted by the marks. Files hold rows in order, so mostly it is enough to put a few runs of rows in order."""
    import polars as pl

    if frame.height < 2:
        return frame
    bounds = frame.select(pl.col("_source").n_unique(), pl.col("_batch").max(), pl.col("_row").max()).row(0)
    if bounds[0] >= _SOURCES or bounds[1] >= _BATCHES or bounds[2] >= _ROWS:
        return frame.sort(MARKS)
    source = pl.lit(0) if bounds[0] == 1 else pl.col("_source").rank("dense").cast(pl.Int64)
    place = frame.select(place=(source * _BATCHES + pl.col("_batch")) * _ROWS + pl.col("_row")).to_series()
    if place.is_sorted():
        return frame
    starts = [0, *((place.diff() < 0).arg_true().head(_MOST_RUNS + 1).to_list()), frame.height]
    if len(starts) <= _MOST_RUNS:
        runs = sorted((place[a], place[b - 1], a, b) for a, b in pairwise(starts))
        if all(before[1] <= after[0] for before, after in pairwise(runs)):
            return pl.concat([frame.slice(a, b - a) for _, _, a, b in runs])
    return frame.with_columns(place.alias("_place")).sort("_place").drop("_place")
