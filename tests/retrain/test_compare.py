"""The comparison of champion and challenger: fair, repeatable, and in doubt for a person."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.digest import canonical_json
from headwater.core.errors import DataError, UsageError
from headwater.retrain.compare import Scores, compare, settle

few = settings(max_examples=30, deadline=None)
pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=80)


def scores(values, model="sha256:a", data="sha256:d"):
    return Scores(model=model, data=data, by_user={f"u{i}": v for i, v in enumerate(values)})


def compared(first, second, **options):
    return compare(scores(first, "sha256:a"), scores(second, "sha256:b"), **{"draws": 2_000, **options})


@few
@given(pairs)
def test_swapped_models_give_the_mirrored_interval(both):
    first, second = zip(*both, strict=True)
    forth, back = compared(first, second), compared(second, first)
    assert forth.difference == pytest.approx(-back.difference, abs=1e-12)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-12)


@few
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_users_changes_nothing(both, random):
    users = [(f"u{i}", *pair) for i, pair in enumerate(both)]
    shuffled = random.sample(users, len(users))
    sides = [
        [Scores(model=m, data="d", by_user={u[0]: u[k] for u in order}) for k, m in ((1, "a"), (2, "b"))] for order in (users, shuffled)
    ]
    assert compare(*sides[0], draws=2_000) == compare(*sides[1], draws=2_000)


@few
@given(st.lists(st.floats(0.01, 1), min_size=30, max_size=60))
def test_a_model_against_itself_is_not_worse(values):
    assert compared(values, values).decision == "promote"


def test_clearly_better_is_promoted_clearly_worse_is_kept_even_within_the_margin():
    rng = np.random.default_rng(2)
    base = rng.uniform(0.2, 0.6, 500)
    assert compared(base, base + rng.normal(0.05, 0.05, 500)).decision == "promote"
    assert compared(base, base - rng.normal(0.05, 0.05, 500)).decision == "keep"
    slightly = compared(base, base - 0.001)
    assert slightly.low > -slightly.margin
    assert slightly.decision == "keep"


def test_equal_within_the_margin_is_promoted_and_what_the_data_cannot_tell_is_held():
    rng = np.random.default_rng(3)
    base = rng.uniform(0.2, 0.6, 400)
    noise = rng.normal(0, 1, 400)
    noise -= noise.mean()
    assert compared(base, base + 0.02 * noise).decision == "promote"
    assert compared(base, base + 0.4 * noise).decision == "hold"
    assert compared(base, base + 0.02 * noise, margin=0.0).decision == "hold"


def test_few_users_are_held_for_a_person_however_good_it_looks():
    assert compared([0.1] * 29, [0.9] * 29).decision == "hold"
    assert compared([0.1] * 30, [0.9] * 30).decision == "promote"
    assert compared([], []).decision == "hold"


def test_the_interval_is_as_wide_as_its_level_says():
    differences = np.random.default_rng(4).normal(0.01, 0.1, 2_000)
    error = differences.std() / 2_000**0.5
    told = compared(np.full(2_000, 0.5), 0.5 + differences, draws=4_000)
    assert (told.low, told.high) == pytest.approx((told.difference - 1.645 * error, told.difference + 1.645 * error), abs=0.15 * error)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(bad):
    with pytest.raises(DataError, match="1 of the challenger's 40 scores"):
        compared([0.5] * 40, [0.5] * 39 + [bad])


def test_different_data_or_users_are_refused():
    with pytest.raises(DataError, match="different data"):
        compare(scores([0.5]), scores([0.5], data="sha256:e"))
    with pytest.raises(DataError, match="1 users were scored with one model only"):
        compare(scores([0.5, 0.5]), scores([0.5]))


def test_everything_that_decided_is_written_down_as_plain_json():
    told = compared([0.5] * 40, [0.6] * 40, seed=9).to_json()
    assert json.loads(canonical_json(told)) == told
    assert {
        "users",
        "difference",
        "low",
        "high",
        "margin",
        "decision",
        "test",
        "seed",
        "draws",
        "level",
        "data",
        "champion",
        "challenger",
    } <= told.keys()


def test_a_promotion_waits_for_as_many_different_persons_as_the_policy_says():
    good = compared([0.5] * 40, [0.6] * 40)
    assert settle(good)[0] == "promote"
    assert settle(good, approve=2, approvals=["ann", "ann"]) == ("hold", good.why + "; 1 of 2 approvals")
    assert settle(good, approve=2, approvals=["ann", "bob"])[0] == "promote"


def test_a_person_settles_what_the_data_held_and_nobody_promotes_what_is_worse():
    held, worse = compared([0.1] * 5, [0.9] * 5), compared([0.6] * 40, [0.5] * 40)
    assert settle(held)[0] == "hold"
    assert settle(held, approvals=["ann"])[0] == "promote"
    assert settle(worse, approve=1, approvals=["ann", "bob"])[0] == "keep"


@pytest.mark.parametrize("wrong", [{"margin": -0.1}, {"margin": float("nan")}, {"level": 1.0}, {"draws": 10}, {"min_users": 1}])
def test_settings_that_make_no_test_are_refused(wrong):
    with pytest.raises(UsageError):
        compared([0.5] * 40, [0.5] * 40, **wrong)
