"""Made-up predictions and feedback for the tests of this folder."""

import datetime as dt
import random

import polars as pl

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PREDICTIONS = {
    "prediction_id": pl.String,
    "ts": pl.Datetime("us", "UTC"),
    "model": pl.String,
    "version": pl.String,
    "items": pl.List(pl.String),
    "latency_us": pl.Int64,
}
FEEDBACK = {"prediction_id": pl.String, "item": pl.String, "event": pl.String, "position": pl.Int64}


def predictions(n, *, version="1", first=0, shown=3, latency_us=2_000):
    """`n` predictions of one version, a minute apart."""
    rows = [
        (f"p{i}", START + dt.timedelta(minutes=i), "shop", version, [f"i{k}" for k in range(shown)], latency_us)
        for i in range(first, first + n)
    ]
    return pl.DataFrame(rows, schema=PREDICTIONS, orient="row")


def clicks(pairs, event="click"):
    """Feedback on (prediction number, place) pairs; the place that the feedback claims is a lie."""
    return pl.DataFrame([(f"p{i}", f"i{place}", event, 0) for i, place in pairs], schema=FEEDBACK, orient="row")


def clicked(first, n, share, seed=0):
    """Clicks on the first place of a share of predictions."""
    rng = random.Random(seed)
    return [(i, 0) for i in range(first, first + n) if rng.random() < share]


def evidence(shown, feedback=None):
    """The frames as a probe gets them."""
    return {"predictions": shown.lazy()} | ({} if feedback is None else {"feedback": feedback.lazy()})
