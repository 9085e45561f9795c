"""Admission: what one contributor or all newcomers bring beyond what history knows is left out, by name, the same each time."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.gate import Action, Evidence
from headwater.gates.admission import Admission, Caps, admitted
from headwater.testing.gate_laws import GateLaws
from headwater.testing.likes import fakes, judged, likes

HONEST = likes(seed=6)
ITEMS = HONEST["item_id"].unique().sort().to_list()
OLD = HONEST.filter(pl.col("day") <= 60)


def writes(name: str, items: list[str], times: int = 1) -> pl.DataFrame:
    rows = [(name, item, 70, "c01") for item in items for _ in range(times)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "day", "channel"], orient="row")


class TestGateLaws(GateLaws):
    @pytest.fixture
    def gate(self) -> Admission:
        return Admission("likes", item="item_id")

    @pytest.fixture
    def evidence(self) -> Evidence:
        return Evidence(inputs={"fresh": {"likes": judged(HONEST, writes("loud", ITEMS[:150]), writes("again", ITEMS[:2], 9))}, "seed": 5})


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_crowd_is_under_every_cap(seed: int) -> None:
    assert admitted(judged(likes(seed=seed)), Caps(), item="item_id") == ()


@settings(max_examples=15, deadline=None)
@given(many=st.integers(60, 200), seed=st.integers(0, 5))
def test_who_is_loud_keeps_as_many_rows_as_the_most_and_no_more(many: int, seed: int) -> None:
    fresh = judged(HONEST, writes("loud", ITEMS[:many]))
    busiest = OLD.group_by("user_id").len()["len"].quantile(0.999, interpolation="higher")
    assert busiest is not None
    (finding,) = admitted(fresh, Caps(), seed=seed) or (None,)
    most = max(50, -(-3 * int(busiest) // 2))
    assert finding is not None
    assert (finding.subject, finding.action, finding.code) == ("contributor:loud", Action.DOWN_WEIGHT, "admission.cap")
    assert len(finding.rows) == many - most
    mine = set(fresh.new.filter(pl.col("user_id") == "loud").select("_source", "_batch", "_row").iter_rows())
    assert set(finding.rows) <= mine


def test_which_rows_stay_is_drawn_by_the_seed_and_moves_no_other_row() -> None:
    alone = judged(HONEST, writes("loud", ITEMS[:120]))
    first, again, other = (set(admitted(alone, Caps(), seed=seed)[0].rows) for seed in (1, 1, 2))
    assert first == again != other
    louder = judged(HONEST, writes("loud", ITEMS[:120]), writes("zealous", ITEMS[:120]))
    assert set(admitted(louder, Caps(), seed=1)[0].rows) == first


def test_who_was_always_busy_may_stay_so() -> None:
    busy = pl.concat([writes("busy", ITEMS[:180]).with_columns(day=pl.lit(day, pl.Int64)) for day in (20, 40, 70)])
    assert admitted(judged(HONEST, busy), Caps()) == ()


def test_the_same_item_again_and_again_counts_as_often_as_history_has_it() -> None:
    (finding,) = admitted(judged(HONEST, writes("again", ITEMS[:2], 9)), Caps(), item="item_id")
    assert len(finding.rows) == 2 * (9 - 3)
    (one,) = admitted(judged(HONEST, writes("again", ITEMS[:2], 9)), Caps(per_item=1), item="item_id")
    assert len(one.rows) == 2 * (9 - 1)


def test_new_accounts_together_do_not_take_an_item_over() -> None:
    item = ITEMS[100]
    before = OLD.filter(pl.col("item_id") == item)["user_id"].n_unique()
    crowd = fakes(item, count=20 * before, items=ITEMS, each=2, days=range(61, 80), channels=["c01"])
    findings = [f for f in admitted(judged(HONEST, crowd), Caps(), item="item_id") if f.subject == f"item:{item}"]
    (finding,) = findings
    ratio = finding.evidence["most"]
    assert isinstance(ratio, float)
    honest = HONEST.filter(pl.col("day") > 60, pl.col("item_id") == item)["user_id"].n_unique()
    assert 20 * before + honest - len(finding.rows) <= ratio * before + 1
    assert len(finding.rows) > 10 * before


def test_without_contributors_or_enough_of_them_nothing_is_asked_for() -> None:
    fresh = judged(HONEST, writes("loud", ITEMS[:150]))
    few = fresh.history.filter(pl.col("user_id").is_in(fresh.history["user_id"].unique().sort().head(20).implode()))
    assert admitted(replace(fresh, history=few), Caps()) == ()
    assert admitted(replace(fresh, axes=("batch",)), Caps()) == ()
