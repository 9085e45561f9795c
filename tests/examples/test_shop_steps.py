"""The shop's steps, called as the plain functions they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from examples.shop import shop
from hypothesis import given, settings
from hypothesis import strategies as st

EPOCH = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
HALF_HOUR = 1_800_000_000
TYPES = {"event_id": pl.String, "user_id": pl.String, "item_id": pl.String, "ts": pl.Datetime("us", "UTC"), "kind": pl.String}

# Steps of silence around the half hour, and around midnight an hour after EPOCH.
steps = st.one_of(st.integers(0, 120_000_000), st.sampled_from([0, HALF_HOUR - 1, HALF_HOUR, HALF_HOUR + 1, 2 * HALF_HOUR]))
rows = st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from(["x", "y", "z"]), steps, st.sampled_from(["view", "cart", "purchase"]))


@st.composite
def activity(draw: st.DrawFn) -> pl.DataFrame:
    at, made = EPOCH, []
    for number, (user, item, step, kind) in enumerate(draw(st.lists(rows, max_size=25))):
        at += timedelta(microseconds=step)
        made.append((f"e{number}", user, item, at, kind))
    return pl.DataFrame(draw(st.permutations(made)), schema=TYPES, orient="row")


def naive_sessions(events: pl.DataFrame) -> list[tuple]:
    """One loop, no cleverness."""
    found: dict[tuple, dict] = {}
    last: dict[str, tuple[datetime, datetime]] = {}
    for event in sorted(events.iter_rows(named=True), key=lambda event: event["ts"]):
        user, ts = event["user_id"], event["ts"]
        before, session = last.get(user, (None, None))
        if before is None or ts - before > timedelta(minutes=30) or ts.date() != before.date():
            session = ts
        last[user] = (ts, session)
        row = found.setdefault((user, session, event["item_id"]), {"view": 0, "cart": 0, "purchase": 0})
        row["ts"] = ts
        row[event["kind"]] += 1
    return sorted(
        (user, item, row["ts"], session, int((row["ts"] - session).total_seconds()), row["view"], row["cart"], row["purchase"])
        for (user, session, item), row in found.items()
    )


@given(activity())
@settings(max_examples=150, deadline=None)
def test_sessions_are_what_one_loop_over_the_events_finds(events: pl.DataFrame) -> None:
    assert sorted(shop.sessions(events).rows()) == naive_sessions(events)


@given(activity())
@settings(max_examples=50, deadline=None)
def test_sessions_come_in_one_order_whatever_order_the_events_came_in(events: pl.DataFrame) -> None:
    assert shop.sessions(events).equals(shop.sessions(events.sort("event_id")))


@given(activity())
@settings(max_examples=50, deadline=None)
def test_sessions_of_each_user_and_day_alone_are_the_sessions_of_all(events: pl.DataFrame) -> None:
    parts = [shop.sessions(part) for _, part in events.group_by("user_id", pl.col("ts").dt.date())]
    alone = pl.concat([shop.sessions(events.clear()), *parts])
    assert sorted(alone.rows()) == sorted(shop.sessions(events).rows())


@given(activity(), st.integers(0, 25))
@settings(max_examples=100, deadline=None)
def test_an_interaction_before_a_cut_knows_nothing_of_what_came_after(events: pl.DataFrame, which: int) -> None:
    cut = events["ts"].sort()[which % events.height] if events.height else EPOCH
    none = shop.sentiment(REVIEWS.clear()), shop.clicks(FEEDBACK.clear())
    full = shop.interactions(shop.sessions(events), *none).filter(pl.col("ts") < cut)
    known = shop.interactions(shop.sessions(events.filter(pl.col("ts") < cut)), *none)
    assert set(full.rows()) <= set(known.rows())


def test_midnight_ends_a_session_and_half_an_hour_to_the_microsecond_does_not() -> None:
    def starts(*times: str) -> int:
        ts = pl.Series(times).str.to_datetime(time_unit="us", time_zone="UTC")
        events = pl.DataFrame({"event_id": times, "user_id": "ann", "item_id": "x", "ts": ts, "kind": "view"})
        return shop.sessions(events)["session"].n_unique()

    assert starts("2026-03-01T23:59:59", "2026-03-02T00:00:00") == 2
    assert starts("2026-03-01T12:00:00.000000", "2026-03-01T12:30:00.000000") == 1
    assert starts("2026-03-01T12:00:00.000000", "2026-03-01T12:30:00.000001") == 2


TEXTS = ["I love it, the best camera ever!!!", "Terrible. It broke at once.", "it is a box", "not good, but not BAD either :)", "", None]
REVIEWS = pl.DataFrame(
    {
        "review_id": list("abcdef"),
        "user_id": "ann",
        "item_id": list("uvwxyz"),
        "ts": EPOCH,
        "text": TEXTS,
        "stars": [5, 1, 3, 3, None, None],
    },
    schema_overrides={"ts": pl.Datetime("us", "UTC"), "stars": pl.Int64},
)

FEEDBACK = pl.DataFrame(
    {"feedback_id": list("123"), "user": ["ann", None, "bob"], "item": "x", "ts": EPOCH, "event": ["click", "click", "shrug"]},
    schema_overrides={"ts": pl.Datetime("us", "UTC")},
)


def test_sentiment_stays_what_it_was() -> None:
    # As NLTK 3.10.4 with the lexicon of vaderSentiment 3.3.2 scored them when this was written.
    found = dict(zip(TEXTS, shop.sentiment(REVIEWS)["sentiment"], strict=True))
    assert found[TEXTS[0]] == pytest.approx(0.8827, abs=1e-4)
    assert found[TEXTS[1]] == pytest.approx(-0.7096, abs=1e-4)
    assert found["it is a box"] == 0.0


def test_sentiment_agrees_with_nltks_analyzer_where_nltk_finds_the_lexicon_by_itself(tmp_path, monkeypatch) -> None:
    from importlib.metadata import distribution

    import nltk
    from nltk.sentiment.vader import SentimentIntensityAnalyzer

    folder = tmp_path / "sentiment" / "vader_lexicon"
    folder.mkdir(parents=True)
    lexicon = distribution("vaderSentiment").locate_file("vaderSentiment/vader_lexicon.txt")
    (folder / "vader_lexicon.txt").write_text(Path(str(lexicon)).read_text(encoding="utf-8").strip("\n"), encoding="utf-8")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    nltks = SentimentIntensityAnalyzer("sentiment/vader_lexicon/vader_lexicon.txt")
    assert shop.sentiment(REVIEWS)["sentiment"].to_list() == [nltks.polarity_scores(text)["compound"] if text else 0.0 for text in TEXTS]


def test_sentiment_is_row_by_row() -> None:
    whole = shop.sentiment(REVIEWS)
    assert pl.concat([shop.sentiment(REVIEWS[n]) for n in range(REVIEWS.height)]).equals(whole)


def test_a_kinder_review_and_a_deeper_session_weigh_more_and_a_flood_of_views_does_not() -> None:
    counts = {"views": [1, 3, 1_000, 1, 1], "carts": [0, 0, 0, 1, 1], "purchases": [0, 0, 0, 0, 1]}
    sessions = pl.DataFrame({"user_id": "ann", "item_id": list("abcde"), "ts": EPOCH, **counts}).cast({"ts": pl.Datetime("us", "UTC")})
    made = shop.interactions(sessions, shop.sentiment(REVIEWS), shop.clicks(FEEDBACK.clear()))
    weights = dict(made.select("item_id", "weight").iter_rows())
    assert [weights[item] for item in "abcde"] == [1.0, 3.0, 3.0, 4.0, 9.0]
    assert weights["v"] < weights["w"] == weights["y"] == weights["z"] == 2.0 < weights["u"]
    assert made["weight"].min() >= 0.0


def test_an_empty_shop_has_no_sessions_and_keeps_its_types() -> None:
    empty = pl.DataFrame(schema=TYPES)
    full = pl.DataFrame([("e", "ann", "x", EPOCH, "view")], schema=TYPES, orient="row")
    assert shop.sessions(empty).schema == shop.sessions(full).schema
    made = shop.interactions(shop.sessions(full), shop.sentiment(REVIEWS), shop.clicks(FEEDBACK))
    none = shop.interactions(shop.sessions(empty), shop.sentiment(REVIEWS.clear()), shop.clicks(FEEDBACK.clear()))
    assert none.schema == made.schema


def test_a_click_is_learnt_from_under_the_name_of_who_clicked_and_nobodys_and_other_events_are_not() -> None:
    clicks = shop.clicks(FEEDBACK)
    made = shop.interactions(shop.sessions(pl.DataFrame(schema=TYPES)), shop.sentiment(REVIEWS.clear()), clicks)
    assert made.rows() == [("ann", "x", EPOCH, 1.0)]


def test_the_contracts_are_ones_a_lake_can_keep() -> None:
    for table in (shop.events, shop.reviews):
        split = table.checked().split(
            pa.table({table.key: ["1"], "user_id": ["ann"], "item_id": ["x"], "ts": ["2026-01-01T00:00:00Z"], "kind": ["view"]})
        )
        assert split.violations == []
