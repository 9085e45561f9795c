"""Rowsplit: what a classifier learns from and what it is asked about; cut in time, or else by a hash of what a row is about.

Without a time a test set says how well rows alike are told apart; it cannot say how well those to come will be.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from headwater.core.digest import json_digest
from headwater.core.errors import DataError
from headwater.train.examples import ExampleColumns, subjects_of
from headwater.train.interactions import Frame
from headwater.train.split import TEST_SHARE, VALIDATION_SHARE
from headwater.train.trainer import Data, Window, Windows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["MIN_SUBJECTS", "RowHoldout", "rows_after", "rows_middle_since", "rows_rolling"]

MIN_SUBJECTS = 20
"""Fewer than these in the test say nothing."""


@dataclass(frozen=True, kw_only=True)
class RowHoldout:
    """Rows that a model did not learn from: their features, what is true of each, and whom or what it is about."""

    rows: pl.DataFrame
    truth: tuple[str, ...]
    subjects: tuple[str, ...]


def rows_rolling(data: Data, columns: ExampleColumns, *, folds: int = 2) -> Windows:
    """A fifth as the test and `folds` tenths as validation: the last ones in time, each with what came before it.

    Without a time, subjects are drawn by the hash of their name, so that each is on one side as a whole, for ever; a
    validation tenth is then left out of everything but the test. Raises `DataError` if the test has fewer than 20 subjects,
    or nothing is left to learn from.
    """
    frame = columns.read(data)
    if not frame.height:
        raise DataError(f"table {columns.table} holds no examples: nothing to learn from")
    windows = _in_time(data, columns, frame, folds) if columns.time is not None else _by_hash(data, columns, frame, folds)
    *validation, test = windows
    _require(columns, test, MIN_SUBJECTS)
    for window in validation:
        _require(columns, window, 1)
    return Windows(validation=tuple(validation), test=test)


def rows_after(data: Data, columns: ExampleColumns, cut: int) -> Window:
    """Everything before `cut` (microseconds since 1970) to learn from, everything after it to be asked about."""
    _require_time(columns)
    frame = columns.read(data)
    times = columns.times(frame)
    window = _window(data, columns, frame, times < cut, times >= cut, ["before", cut])
    _require(columns, window, MIN_SUBJECTS)
    return window


def rows_middle_since(data: Data, columns: ExampleColumns, after: int) -> int:
    """The time of the middle one of all rows later than `after`, both in microseconds since 1970. Raises `DataError` if there is none."""
    import numpy as np

    _require_time(columns)
    times = columns.times(columns.read(data))
    later = np.sort(times[times > after])
    if not len(later):
        raise DataError(f"table {columns.table} has no row that the champion has not learned from: nothing to compare on yet")
    return int(later[len(later) // 2])


def _in_time(data: Data, columns: ExampleColumns, frame: pl.DataFrame, folds: int) -> list[Window]:
    import numpy as np

    times = columns.times(frame)
    ordered = np.sort(times)
    shares = [1 - TEST_SHARE - VALIDATION_SHARE * left for left in range(folds, -1, -1)]
    cuts = sorted({int(ordered[int(len(ordered) * share)]) for share in shares})
    bounds = [*cuts, int(ordered[-1]) + 1]
    found = [
        _window(data, columns, frame, times < start, (times >= start) & (times < end), ["before", start, end])
        for start, end in pairwise(bounds)
    ]
    if len(found) < 2:
        raise DataError(f"table {columns.table}: too few different times to cut at. Leave out time=, or collect over a longer time")
    return found


def _by_hash(data: Data, columns: ExampleColumns, frame: pl.DataFrame, folds: int) -> list[Window]:
    import numpy as np

    subjects = subjects_of(frame, columns)
    places = {subject: _place(subject) for subject in set(subjects)}
    at = np.array([places[subject] for subject in subjects])
    rest = at >= TEST_SHARE
    found = []
    for fold in range(folds):
        start = TEST_SHARE + fold * VALIDATION_SHARE
        asked = (at >= start) & (at < start + VALIDATION_SHARE)
        found.append(_window(data, columns, frame, rest & ~asked, asked, ["hash", fold]))
    return [*found, _window(data, columns, frame, rest, ~rest, ["hash", "test"])]


def _place(subject: str) -> float:
    """Where a subject lies from 0 to 1, whatever else is in the table."""
    return int.from_bytes(hashlib.blake2b(b"headwater split 1\n" + subject.encode(), digest_size=6).digest(), "big") / 2**48


def _window(
    data: Data, columns: ExampleColumns, frame: pl.DataFrame, before: NDArray[np.bool_], asked: NDArray[np.bool_], what: list[str | int]
) -> Window:
    train = Frame(name=columns.table, frame=frame.filter(before), digest=json_digest([data.digest, columns.table, *what]))
    held = frame.filter(asked)
    features = [feature.name for feature in columns.features_in(frame)]
    holdout = RowHoldout(rows=held.select(features), truth=tuple(held[columns.label]), subjects=tuple(subjects_of(held, columns)))
    return Window(train=train, holdout=holdout)


def _require(columns: ExampleColumns, window: Window, needed: int) -> None:
    if (there := len(set(window.holdout.subjects))) < needed:
        raise DataError(f"table {columns.table}: {there} to be asked about, at least {needed} needed: rows or groups. Collect more data")
    train = window.train
    assert isinstance(train, Frame)
    if train.frame[columns.label].n_unique() < 2:
        raise DataError(f"table {columns.table}: what there is to learn from shows fewer than two values of {columns.label!r}")


def _require_time(columns: ExampleColumns) -> None:
    if columns.time is None:
        raise DataError(f"table {columns.table} has no time, so what is new to the champion cannot be told. Name a column: time=…")
