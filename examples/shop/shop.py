"""The shop: what people looked at, bought and wrote becomes what we show them next."""

from functools import cache
from importlib.metadata import distribution
from typing import Annotated, Any

import pandera.polars as pandera
import polars as pl

from headwater import Pipeline, Table, day, step
from headwater.frameworks.factors import Recommender
from headwater.monitor.drift import Drift
from headwater.monitor.quality import ClickThrough
from headwater.retrain.policy import Policy

SILENCE = pl.duration(minutes=30)
KINDS = {"views": "view", "carts": "cart", "purchases": "purchase"}
ID = {"min_value": 1, "max_value": 64}


class Event(pandera.DataFrameModel):
    """Somebody looked at an item, put it into the cart, or bought it."""

    event_id: str = pandera.Field(str_length=ID)
    user_id: str = pandera.Field(str_length=ID)
    item_id: str = pandera.Field(str_length=ID)
    ts: Annotated[pl.Datetime, "us", "UTC"]
    kind: str = pandera.Field(isin=list(KINDS.values()))


class Review(pandera.DataFrameModel):
    """Somebody wrote about an item; the stars are optional."""

    review_id: str = pandera.Field(str_length=ID)
    user_id: str = pandera.Field(str_length=ID)
    item_id: str = pandera.Field(str_length=ID)
    ts: Annotated[pl.Datetime, "us", "UTC"]
    text: str = pandera.Field(str_length={"max_value": 5_000}, nullable=True)
    stars: int = pandera.Field(ge=1, le=5, nullable=True)


events = Table("events", contract=Event, key="event_id", contributor="user_id", time="ts")
reviews = Table("reviews", contract=Review, key="review_id", contributor="user_id", time="ts")


@step(by=("user_id", day("ts")))
def sessions(events: pl.LazyFrame) -> pl.LazyFrame:
    """What a user did with an item in one session: one row for each user, session and item.

    30 minutes of silence end a session. Midnight (UTC) ends one too: so a new event touches one day of one user, not his
    whole life. `session` is when it began, `ts` when the item was last touched in it, `seconds` what lies between: so a row knows
    nothing that happened after its `ts`.
    """
    ts = pl.col("ts")
    begins = _changes("user_id") | (ts - ts.shift() > SILENCE) | (ts.dt.date() != ts.shift().dt.date())
    by_time = (
        events.select("user_id", "item_id", "ts", *(pl.col("kind").eq(kind).cast(pl.Int64).alias(column) for column, kind in KINDS.items()))
        .sort("user_id", "ts")
        .with_columns(begins=begins.fill_null(True))
        .with_columns(number=pl.col("begins").cum_sum(), session=pl.when("begins").then(ts).forward_fill())
    )
    # Sorted so, an item's rows in a session stand together, and a count is the difference of two running sums: a third
    # faster than a group_by.
    counts = pl.col(*KINDS)
    by_item = (
        by_time.sort("number", "item_id", "ts")
        .with_columns(first=(_changes("number") | _changes("item_id")).fill_null(True))
        .with_columns(counts.cum_sum(), last=pl.col("first").shift(-1).fill_null(True))
        .filter("last")
        .with_columns(counts.diff().fill_null(counts), seconds=(ts - pl.col("session")).dt.total_seconds())
    )
    return by_item.select("user_id", "item_id", "ts", "session", "seconds", *KINDS)


def _changes(column: str) -> pl.Expr:
    return pl.col(column) != pl.col(column).shift()


@step
def sentiment(reviews: pl.DataFrame) -> pl.DataFrame:
    """How a review sounds: VADER's compound score, -1 to 1; no text is neutral."""
    scores = [_vader().polarity_scores(text)["compound"] if text else 0.0 for text in reviews["text"]]
    return reviews.select("review_id", "user_id", "item_id", "ts", sentiment=pl.Series(scores, dtype=pl.Float64))


@step(contributor="user_id")
def clicks(feedback: pl.DataFrame) -> pl.DataFrame:
    """What the shop's own recommendations brought: the table `feedback` is collected from what `headwater serve` writes."""
    known = feedback.filter(pl.col("user").is_not_null() & pl.col("event").is_in(["click", *KINDS.values()]))
    return known.select("ts", "event", user_id="user", item_id="item")


@step(by="user_id")
def interactions(sessions: pl.DataFrame, sentiment: pl.DataFrame, clicks: pl.DataFrame) -> pl.DataFrame:
    """How much a user showed that he wants an item: a row for each session in which he touched it, each review, each click.

    A session weighs 1 for each view (at most 3), 3 more with a cart, 5 more with a purchase; a review 0 (furious) to
    4 (delighted); a click on a recommendation 1. Rows are not summed over time: what is learnt from before a point in
    time must not know what came after.
    """
    return pl.concat([_acted(sessions), _wrote(sentiment), clicks.select("user_id", "item_id", "ts", weight=pl.lit(1.0))])


def _acted(sessions: pl.DataFrame) -> pl.DataFrame:
    looked = pl.col("views").clip(0, 3).cast(pl.Float64)
    weight = looked + 3.0 * (pl.col("carts") > 0) + 5.0 * (pl.col("purchases") > 0)
    return sessions.select("user_id", "item_id", "ts", weight=weight)


def _wrote(sentiment: pl.DataFrame) -> pl.DataFrame:
    return sentiment.select("user_id", "item_id", "ts", weight=2.0 * (1.0 + pl.col("sentiment")))


@cache
def _vader() -> Any:
    """NLTK's analyzer with the lexicon that the package vaderSentiment ships: nothing is downloaded."""
    from nltk.sentiment.vader import SentimentIntensityAnalyzer, VaderConstants

    class Vader(SentimentIntensityAnalyzer):  # NLTK's own constructor takes files from nltk_data only
        def __init__(self, lexicon: str) -> None:
            self.lexicon_file = lexicon.strip("\n")
            self.lexicon = self.make_lex_dict()
            self.constants = VaderConstants()

    path = distribution("vaderSentiment").locate_file("vaderSentiment/vader_lexicon.txt")
    with open(str(path), encoding="utf-8") as file:
        return Vader(file.read())


pipeline = Pipeline(
    "shop",
    collect=[events, reviews],
    process=[sessions, sentiment, clicks, interactions],
    train=Recommender("interactions", user="user_id", item="item_id", weight="weight", metric="ndcg@10", trials=20),
    monitor=[ClickThrough(wait="1s"), Drift("interactions", columns=["item_id", "weight"])],
    retrain=Policy(every="1d", min_new_rows=1_000),
)
