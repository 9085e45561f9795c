"""Outcomes: predictions joined with the feedback that came later, by prediction. What outsiders claim is checked against what was shown."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from headwater.core.errors import DataError, UsageError
from headwater.monitor.probe import Evidence

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FEEDBACK", "PREDICTIONS", "outcomes", "seconds", "timestamps"]

PREDICTIONS = ("prediction_id", "ts", "model", "version", "items", "latency_us")
FEEDBACK = ("prediction_id", "item", "event")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def seconds(text: str, what: str = "duration") -> int:
    """A duration like `30s`, `10m`, `12h`, `1d`, `2w` in seconds. Raises `UsageError` for anything else, and for zero."""
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhdw])", text) if isinstance(text, str) else None
    if not found:
        raise UsageError(f"{what}={text!r} is no duration. Expected a whole number and one of s, m, h, d, w: '30m', '12h', '1d'")
    return int(found[1]) * _UNITS[found[2]]


def outcomes(evidence: Evidence, *, event: str, wait_s: int) -> pl.LazyFrame | None:
    """One row a prediction that showed something: `prediction_id`, `ts`, `model`, `version`, `shown` (how many items), `hits`
    (the places, from 0, of the shown items that got the event, ascending, each once).

    Predictions of the last `wait_s` seconds before the newest one are left out: their feedback may be on its way.
    Feedback on an item that was not shown, or on no known prediction, and repeated feedback, count nothing: the place is
    taken from what we showed, never from what the feedback says. None if there are no predictions to look at. Raises
    `DataError` if a frame lacks a column.
    """
    import polars as pl

    if "predictions" not in evidence:
        return None
    predictions = _with(evidence["predictions"], PREDICTIONS, "predictions")
    predictions = predictions.select("prediction_id", timestamps(predictions), "model", "version", "items").with_columns(
        shown=pl.col("items").list.len().cast(pl.Int64)
    )
    predictions = predictions.filter(pl.col("shown") > 0).unique("prediction_id", keep="any")
    newest = predictions.select(pl.col("ts").max()).collect(engine="streaming").item()
    if newest is not None:
        predictions = predictions.filter(pl.col("ts") <= newest - timedelta(seconds=wait_s))
    kept = predictions.select("prediction_id", "ts", "model", "version", "shown")
    if "feedback" not in evidence:
        return kept.with_columns(hits=pl.lit([], dtype=pl.List(pl.Int64)))
    feedback = _with(evidence["feedback"], FEEDBACK, "feedback")
    asked = feedback.filter(pl.col("event") == event).select("prediction_id", "item")
    hits = (
        predictions.select("prediction_id", "items", place=pl.int_ranges(0, pl.col("shown")))
        .join(asked.select("prediction_id").unique(), on="prediction_id", how="semi")
        .explode("items", "place")
        .join(asked, left_on=["prediction_id", "items"], right_on=["prediction_id", "item"], how="semi")
        .group_by("prediction_id")
        .agg(hits=pl.col("place").sort())
    )
    return kept.join(hits, on="prediction_id", how="left").with_columns(pl.col("hits").fill_null([]))


def timestamps(frame: pl.LazyFrame) -> pl.Expr:
    """`ts` as UTC microseconds: from a datetime, a text in ISO 8601, or a number of seconds since 1970."""
    import polars as pl

    kind, ts = frame.collect_schema()["ts"], pl.col("ts")
    if kind.is_numeric():
        return (ts.cast(pl.Float64) * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    if kind == pl.String:
        return ts.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        return ts.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return ts.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _with(frame: pl.LazyFrame, columns: tuple[str, ...], what: str) -> pl.LazyFrame:
    missing = [name for name in columns if name not in frame.collect_schema()]
    if missing:
        raise DataError(f"{what} lack {', '.join(missing)}. Expected the columns {', '.join(columns)}")
    return frame
