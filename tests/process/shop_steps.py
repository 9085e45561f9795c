"""Steps of every kind, for the tests of this folder."""

from datetime import timedelta

import polars as pl

from headwater.process.step import day, step

SILENCE = timedelta(minutes=30)


@step(by="user_id")
def sessions(events: pl.DataFrame) -> pl.DataFrame:
    """Half an hour of silence ends a session; the item is that of its first event, so the order of rows matters."""
    number = (pl.col("ts").diff() > SILENCE).fill_null(True).cum_sum().over("user_id")
    ordered = events.sort("user_id", "ts", maintain_order=True).with_columns(number=number)
    return ordered.group_by("user_id", "number", maintain_order=True).agg(
        pl.col("ts").min(), pl.col("item").first(), events=pl.len(), value=pl.col("value").sum()
    )


@step(by="user_id")
def buyers(events: pl.DataFrame) -> pl.DataFrame:
    """Users come and go: whose values add up to nothing is none."""
    return events.group_by("user_id").agg(pl.col("value").sum(), pl.col("item").last()).filter(pl.col("value") > 0)


@step(by=("user_id", day("ts")))
def daily(events: pl.DataFrame) -> pl.DataFrame:
    return (
        events.group_by("user_id", date=pl.col("ts").dt.date())
        .agg(pl.col("ts").min(), pl.col("value").sum(), pl.col("item").last(), n=pl.len())
        .filter(pl.col("value") != 0)
    )


@step(by="user_id", time="ts", lookback="20h")
def recent(events: pl.DataFrame) -> pl.DataFrame:
    known = events.drop_nulls("ts").sort("ts")
    return known.rolling("ts", period="20h", closed="both", group_by="user_id").agg(n=pl.len(), value=pl.col("value").sum())


@step
def sentiment(reviews: pl.DataFrame) -> pl.DataFrame:
    return reviews.filter(pl.col("stars") > 1).select("user_id", good=pl.col("stars") >= 4)


@step(by="user_id", contributor="user_id")
def interactions(sessions: pl.DataFrame, sentiment: pl.DataFrame) -> pl.DataFrame:
    left = sessions.group_by("user_id").agg(pl.col("value").sum(), n=pl.len())
    right = sentiment.group_by("user_id").agg(pl.col("good").sum(), first=pl.col("good").first())
    return left.join(right, on="user_id", how="full", coalesce=True, nulls_equal=True)


@step(by="item", contributor=None)
def demand(daily: pl.DataFrame, buyers: pl.DataFrame) -> pl.DataFrame:
    """By another key than the tables that it reads: rows that went away matter."""
    return (
        pl.concat([daily.select("item", "value"), buyers.select("item", "value")]).group_by("item").agg(pl.col("value").sum(), n=pl.len())
    )


@step
def loud(sessions: pl.DataFrame) -> pl.DataFrame:
    """Row by row on rows that are replaced: it keeps their key."""
    return sessions.filter(pl.col("events") > 1).with_columns(twice=pl.col("value") * 2)


@step(contributor=None)
def nameless(buyers: pl.DataFrame) -> pl.DataFrame:
    """Row by row on rows that are replaced, but the key is lost: it starts again each time."""
    return buyers.select("item", "value")


@step(broadcast="prices")
def priced(reviews: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    return reviews.join(prices.group_by("stars").agg(pl.col("price").last()), on="stars")


RAW_BY_KEY = (sessions, buyers, sentiment, interactions, loud, nameless)
RAW_BY_TIME = (daily, recent, buyers, demand)
ALL = (*RAW_BY_KEY, daily, recent, demand, priced)
