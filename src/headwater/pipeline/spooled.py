"""The tables that Headwater itself writes into: what was predicted, and what people did about it."""

from __future__ import annotations

import pandera.polars as pandera
import polars as pl

from headwater.collect.table import Table

__all__ = ["FEEDBACK", "PREDICTIONS", "SPOOLED"]


class Prediction(pandera.DataFrameModel):
    """One answer of a server, as its spool has it."""

    prediction_id: str = pandera.Field(str_length={"min_value": 1, "max_value": 4096})
    ts: pl.Datetime("us", "UTC")  # type: ignore[valid-type]
    model: str
    version: str
    epoch: int = pandera.Field(ge=1)
    user: str = pandera.Field(nullable=True)
    items: pl.List(pl.String)  # type: ignore[valid-type]
    scores: pl.List(pl.Float64)  # type: ignore[valid-type]
    k: int
    latency_us: int = pandera.Field(ge=0)


class Feedback(pandera.DataFrameModel):
    """What somebody did about a prediction; the server has checked that it was made and showed the item."""

    feedback_id: str = pandera.Field(str_length={"min_value": 1, "max_value": 4096})
    prediction_id: str
    ts: pl.Datetime("us", "UTC")  # type: ignore[valid-type]
    user: str = pandera.Field(nullable=True)
    item: str
    event: str
    position: int = pandera.Field(nullable=True)
    model: str
    version: str
    asserted_by: str = pandera.Field(nullable=True)


PREDICTIONS = Table("predictions", Prediction, key="prediction_id", contributor="user", time="ts")
FEEDBACK = Table("feedback", Feedback, key="feedback_id", contributor="user", time="ts")
SPOOLED = (PREDICTIONS, FEEDBACK)
