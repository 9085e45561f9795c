"""The simulated shop has the shape of published ones, and the same arguments give the same bytes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from examples.shop import simulate
from hypothesis import example, given, settings
from hypothesis import strategies as st

EVENTS = 200_000


@pytest.fixture(scope="module")
def made() -> pl.DataFrame:
    return pl.concat(list(simulate.days(simulate.Population.of(EVENTS, 0), EVENTS)))


def test_views_carts_and_purchases_come_in_retailrockets_proportion(made: pl.DataFrame) -> None:
    shares = made.group_by("kind").len().sort("kind")["len"] / EVENTS
    assert shares.to_list() == pytest.approx([0.9667, 0.0252, 0.0081], abs=1e-4)


def test_a_visitor_leaves_two_events_and_few_leave_very_many(made: pl.DataFrame) -> None:
    counts = made.group_by("user").len()["len"]
    assert counts.mean() == pytest.approx(1.96, abs=0.1)
    assert (counts == 1).mean() > 0.5
    assert counts.max() > 200


def test_the_top_percent_of_items_has_a_third_of_the_events(made: pl.DataFrame) -> None:
    counts = made.group_by("item").len()["len"].sort(descending=True).to_numpy()
    below = np.cumsum(counts[::-1]) / counts.sum()
    assert counts[: len(counts) // 100].sum() / counts.sum() == pytest.approx(0.32, abs=0.03)
    assert 1 - 2 * below.mean() + 1 / len(counts) == pytest.approx(0.81, abs=0.03)


def test_who_buys_does_it_three_times(made: pl.DataFrame) -> None:
    assert made.filter(pl.col("kind") == 2).group_by("user").len()["len"].mean() == pytest.approx(2.96, abs=0.3)


def test_a_cart_follows_a_view_and_a_purchase_a_cart_of_the_same_item(made: pl.DataFrame) -> None:
    first = made.group_by("user", "item", "kind").agg(pl.col("at").min())
    steps = {kind: first.filter(pl.col("kind") == kind) for kind in range(3)}
    for later, earlier in ((1, 0), (2, 1)):
        both = steps[later].join(steps[earlier], on=["user", "item"], how="left")
        assert both["at_right"].null_count() == 0
        assert (both["at_right"] < both["at"]).all()


def test_two_visits_of_one_visitor_are_alike_so_there_is_taste_to_learn(made: pl.DataFrame) -> None:
    shop = simulate.Population.of(EVENTS, 0)
    views = made.filter(pl.col("kind") == 0).with_columns(
        shelf=pl.Series(np.searchsorted(shop.shelf_ends, shop.reach[made.filter(pl.col("kind") == 0)["item"].to_numpy()]))
    )
    pairs = (
        views.sort("user", "at").with_columns(other=pl.col("shelf").shift(), same=pl.col("user") == pl.col("user").shift()).filter("same")
    )
    strangers = views.sort("at").with_columns(other=pl.col("shelf").shift(), same=pl.col("user") != pl.col("user").shift()).filter("same")
    assert (pairs["shelf"] == pairs["other"]).mean() > 5 * (strangers["shelf"] == strangers["other"]).mean()


@given(st.integers(0, 3_000), st.integers(0, 2**32))
@example(0, 0)
@example(25, 0)
@settings(max_examples=4, deadline=None)
def test_there_are_exactly_as_many_events_as_asked_for_in_order_of_time(events: int, seed: int) -> None:
    found = pl.concat(list(simulate.days(simulate.Population.of(events, seed), events)))
    assert found["number"].to_list() == list(range(1, events + 1))
    assert found["at"].is_sorted()
    assert found.is_empty() or 0 <= found["at"].min() <= found["at"].max() < simulate.DAYS * simulate.DAY_MS


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    counts = [simulate.simulate(tmp_path / name, events=2_000, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    a, b, c = ({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()} for name in "abc")
    assert a == b != c
    assert counts[0] == counts[1]


def test_the_files_hold_what_the_counts_say(tmp_path: Path) -> None:
    counts = simulate.simulate(tmp_path, events=20_000)
    files = sorted((tmp_path / "data" / "events").glob("*.jsonl"))
    events = pl.concat([pl.read_ndjson(path) for path in files])
    with open(tmp_path / "data" / "reviews.csv", newline="", encoding="utf-8") as file:
        reviews = list(csv.DictReader(file))
    found = {"events": events.height, "users": events["user_id"].n_unique(), "items": events["item_id"].n_unique()}
    assert counts == {**found, "reviews": len(reviews), "files": len(files)}
    assert events["event_id"].n_unique() == events.height
    assert events["ts"].is_sorted()
    assert {review["stars"] for review in reviews} <= set("12345")


def test_with_a_steep_zipf_few_visitors_own_most_rows() -> None:
    shop = simulate.Population.of(100_000, 0, zipf=1.1)
    counts = pl.concat(list(simulate.days(shop, 100_000))).group_by("user").len()["len"].sort(descending=True)
    assert counts.head(counts.len() // 100).sum() > 0.5 * counts.sum()
