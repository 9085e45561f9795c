"""Scores: equal to what one would count by hand, with intervals that are honest about how few were asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import DataError, UsageError
from headwater.train.baselines import Popularity, popularity
from headwater.train.evaluate import cutoff, ndcg, score
from headwater.train.scores import Interval, Scores, interval, paired
from headwater.train.split import Holdout

items = st.sampled_from("abcdefgh")


class Says:
    """Recommends what it was told to, by user."""

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self.lists = lists

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]:
        return [(item, 1.0) for item in self.lists.get(user or "", [])][:k]


def holdout(targets: dict[str, set[str]]) -> Holdout:
    n = len(targets)
    return Holdout(
        users=tuple(targets), histories=((),) * n, targets=tuple(map(frozenset, targets.values())),
        warm=np.array([i % 2 == 0 for i in range(n)]), cut=0, until=1, catalogue=8,
    )  # fmt: skip


def naive_ndcg(shown: list[str], target: set[str], k: int) -> float:
    gain = sum(1 / math.log2(rank + 2) for rank, item in enumerate(shown[:k]) if item in target)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(k, len(target))))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.lists(items, unique=True), st.sets(items, min_size=1)), min_size=1, max_size=6), st.integers(1, 10))
def test_scores_are_what_one_counts_by_hand(cases: list[tuple[list[str], set[str]]], k: int) -> None:
    users = [f"u{n}" for n in range(len(cases))]
    found = score(
        Says(dict(zip(users, [c[0] for c in cases], strict=True))), holdout(dict(zip(users, [c[1] for c in cases], strict=True))), k
    )
    assert found.values[f"ndcg@{k}"] == pytest.approx([naive_ndcg(shown, target, k) for shown, target in cases])
    assert found.values[f"recall@{k}"] == pytest.approx([len(target & set(shown[:k])) / len(target) for shown, target in cases])
    assert found.totals[f"coverage@{k}"] == pytest.approx(len({item for shown, _ in cases for item in shown[:k]}) / 8)


def test_ndcg_is_one_for_the_ideal_and_none_where_nothing_was_relevant() -> None:
    assert ndcg(np.array([[True, True, False], [False, False, False]]), np.array([2, 0])).tolist() == [1.0, 0.0]


def test_warm_and_cold_users_are_told_apart_and_nobody_is_named() -> None:
    summary = score(Says({"u0": ["a"]}), holdout({"u0": {"a"}, "u1": {"a"}})).summary()
    assert (summary["warm"]["ndcg@10"]["value"], summary["cold"]["ndcg@10"]["value"]) == (1.0, 0.0)
    assert "u0" not in str(summary)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(0, 99))
def test_an_interval_holds_its_mean_and_comes_again_with_its_seed(values: list[float], seed: int) -> None:
    found = interval(np.array(values), seed)
    assert found == interval(np.array(values), seed)
    assert min(values) - 1e-12 <= found.low <= found.high <= max(values) + 1e-12
    assert found.value == pytest.approx(sum(values) / len(values))


def test_few_subjects_have_a_wide_interval_and_many_a_narrow_one() -> None:
    values = np.random.default_rng(0).random(10_000)

    def width(found: Interval) -> float:
        return found.high - found.low

    few, many = interval(values[:20]), interval(values)
    assert width(few) > 10 * width(many)
    assert width(many) == pytest.approx(2 * 1.96 * values.std() / 100, rel=0.1)


def test_a_difference_is_paired_and_so_far_narrower_than_its_parts() -> None:
    base = np.random.default_rng(1).random(200)
    names = tuple(f"u{n}" for n in range(200))
    ours, theirs = Scores(subjects=names, values={"m": base + 0.01}), Scores(subjects=names, values={"m": base})
    assert paired(ours, theirs, "m").low == pytest.approx(0.01)
    with pytest.raises(DataError, match="same subjects"):
        paired(ours, Scores(subjects=names[::-1], values={"m": base}), "m")
    with pytest.raises(DataError, match="at least 1"):
        interval(np.array([]))


@pytest.mark.parametrize("metric", ["ndcg", "ndcg@0", "auc@10", "ndcg@10\n", "NDCG@10", "ndcg@99999"])
def test_a_metric_that_is_none_is_said_to_be_none(metric: str) -> None:
    with pytest.raises(UsageError, match="expected 'ndcg@10'"):
        cutoff(metric)


def test_recent_popularity_halves_with_each_half_life() -> None:
    day = 86_400_000_000
    found = popularity(np.array([0, 0, 1, 2]), np.array([0, 0, 7 * day, 14 * day]), 4, 7.0)
    assert found.tolist() == [0.5, 0.5, 1.0, 0.0]
    assert popularity(np.array([0, 0, 1]), np.zeros(3, np.int64), 3).tolist() == [2.0, 1.0, 0.0]


def test_popularity_counts_a_user_once_an_item_and_leaves_out_what_he_knows() -> None:
    import polars as pl

    rows = [("u", "a"), ("u", "a"), ("u", "a"), ("v", "b"), ("w", "b"), ("w", "c")]
    frame = pl.DataFrame([(u, i, 1.0, 0) for u, i in rows], schema=["user", "item", "weight", "time"], orient="row")
    found = Popularity(frame)
    assert [item for item, _ in found.recommend(None)] == ["b", "a", "c"]
    assert [item for item, _ in found.recommend("x", history=["b"], k=1)] == ["a"]
