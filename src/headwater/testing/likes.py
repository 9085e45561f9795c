"""A made-up crowd that likes things, with provenance, as a gate gets it: for tests of gates on recommenders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headwater.retrain.fresh import Fresh

if TYPE_CHECKING:
    import polars as pl

__all__ = ["fakes", "judged", "likes"]

DAYS = 80
CHANNELS = 20
LAST = 60  # what came after this day is new


def likes(*, users: int = 500, items: int = 200, each: int = 22, seed: int = 0) -> pl.DataFrame:
    """Rows of `user_id`, `item_id`, `day`, `channel`: each user comes once, has one of five tastes, and keeps to it three times in four."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(seed)
    parts = []
    for user in range(users):
        taste, day, channel = user % 5, int(random.integers(0, DAYS - 1)), int(random.integers(0, CHANNELS))
        count = max(2, int(random.poisson(each)))
        rank = np.minimum(random.geometric(0.06, count) - 1, items // 5 - 1)
        group = np.where(random.random(count) < 0.75, taste, random.integers(0, 5, count))
        mine = np.unique(rank * 5 + group)
        parts += [(f"u{user:04d}", f"i{item:04d}", min(day + int(random.random() < 0.2), DAYS - 1), f"c{channel:02d}") for item in mine]
    return pl.DataFrame(parts, schema=["user_id", "item_id", "day", "channel"], orient="row")


def fakes(
    item: str, *, count: int = 25, items: Sequence[str], each: int = 20, days: Sequence[int], channels: Sequence[str], seed: int = 0
) -> pl.DataFrame:
    """Accounts that like things at random and all of them `item`, on any of some days, in any of some channels."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(seed)
    parts = []
    for fake in range(count):
        day, channel = int(random.choice(days)), str(random.choice(channels))
        chosen = {item, *random.choice(list(items), each, replace=False).tolist()}
        parts += [(f"x{fake:04d}", one, day, channel) for one in sorted(chosen)]
    return pl.DataFrame(parts, schema=["user_id", "item_id", "day", "channel"], orient="row")


def judged(*frames: pl.DataFrame, last: int = LAST) -> Fresh:
    """Rows as a gate gets them: what came after the day `last` is new; a batch a day."""
    from datetime import UTC, datetime

    import polars as pl

    start = pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    rows = (
        pl.concat(frames)
        .sort("day", "user_id", "item_id")
        .with_columns(
            ts=start + pl.duration(days=pl.col("day")),
            _source=pl.lit("likes"),
            _batch=pl.col("day").cast(pl.Int64),
            _row=pl.int_range(pl.len()).over("day"),
        )
    )
    known = rows.filter(pl.col("day") <= last)["user_id"].unique().implode()
    grouped = rows.with_columns(
        _by_contributor=pl.col("user_id"),
        _by_batch=pl.format("likes/{}", "_batch"),
        _by_source=pl.col("_source"),
        _by_day=pl.col("ts").dt.date().cast(pl.String),
        _by_age=pl.when(pl.col("user_id").is_in(known)).then(pl.lit("old")).otherwise(pl.lit("new")),
        _by_channel=pl.col("channel"),
    ).drop("day")
    return Fresh(
        table="likes",
        new=grouped.filter(pl.col("_batch") > last),
        history=grouped.filter(pl.col("_batch") <= last),
        axes=("contributor", "batch", "source", "day", "age", "channel"),
        contributor="user_id",
        time="ts",
    )
