"""Lift: its p-values are valid for honest rounds, whatever the groups' sizes; history sets how much they may differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headwater.gates.lift import LEAST, Axis, Cells, Round, calibrated, cells, chances

ITEMS, GROUPS = 60, 8


def honest(seed: int, *, spread: float = 0.0, pairs: int = 6_000) -> Round:
    """A round whose groups differ in size, and in taste by gamma variables of relative variance `spread`."""
    random = np.random.default_rng(seed)
    rate = random.gamma(1.0, 1.0, ITEMS) + 0.1
    group = np.sort(random.choice(GROUPS, pairs, p=random.dirichlet(np.full(GROUPS, 5.0))))
    taste = random.gamma(1.0 / spread, spread, (GROUPS, ITEMS)) if spread else np.ones((GROUPS, ITEMS))
    drawn = [random.choice(ITEMS, int((group == g).sum()), p=rate * taste[g] / (rate * taste[g]).sum()) for g in range(GROUPS)]
    past = random.choice(ITEMS, 3 * pairs, p=rate / rate.sum())
    nobody: NDArray[np.int64] = np.zeros(0, np.int64)
    axis = Axis(name="channel", new=group, old=np.full(len(past), -1), lasts=False)
    return Round(items=ITEMS, fresh=np.concatenate(drawn), fresh_users=nobody, past=past, past_users=nobody, axes=(axis,))


def found(one: Round) -> Cells:
    return cells(one, one.axes[0])


def test_p_values_of_honest_rounds_are_as_small_as_they_say_and_no_smaller() -> None:
    """400 rounds of 480 cells, seeds fixed: at most 1.3 times as many p-values below each level as it allows."""
    p = np.concatenate([chances(found(honest(seed)), 0.02)[0] for seed in range(400)])
    for level in (0.05, 0.01, 0.001):
        assert (p <= level).sum() <= 1.3 * level * 400 * ITEMS * GROUPS


def test_where_groups_differ_history_says_how_much_and_no_more_alarms_come_of_it() -> None:
    """100 rounds whose groups differ (relative variance 0.3), each judged by eight before it: at most 5 give an alarm at 2 %."""
    spread = calibrated([found(honest(1_000 + n, spread=0.3)) for n in range(8)])
    assert 0.1 <= spread <= 2.0
    judged = [found(honest(seed, spread=0.3)) for seed in range(100)]
    assert sum(bool((chances(one, spread)[0] * one.tests <= 0.02).any()) for one in judged) <= 5
    assert sum(bool((chances(one, 0.02)[0] * one.tests <= 0.02).any()) for one in judged) >= 50  # without history: nothing but alarms


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), more=st.integers(20, 60))
def test_users_added_to_one_cell_make_it_the_least_likely(seed: int, more: int) -> None:
    one = honest(seed, pairs=3_000)
    rare = int(np.argmin(np.where(np.bincount(one.early, minlength=ITEMS) >= 20, np.bincount(one.past, minlength=ITEMS), 10**9)))
    small = int(np.argmin(np.bincount(one.axes[0].new, minlength=GROUPS)))
    axis = Axis(name="channel", new=np.append(one.axes[0].new, np.full(more, small)), old=one.axes[0].old, lasts=False)
    pushed = Round(
        items=ITEMS,
        fresh=np.append(one.fresh, np.full(more, rare)),
        fresh_users=one.fresh_users,
        past=one.past,
        past_users=one.past_users,
        axes=(axis,),
    )
    judged = cells(pushed, axis)
    p, mean = chances(judged, 0.02)
    at = int(np.argmin(p))
    assert (judged.item[at], judged.group[at]) == (rare, small)
    assert mean[at] < judged.count[at]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_names_and_the_order_of_groups_make_no_difference(seed: int) -> None:
    one = honest(seed, pairs=1_500)
    random = np.random.default_rng(seed)
    names, order = random.permutation(GROUPS), random.permutation(len(one.fresh))
    axis = Axis(name="channel", new=names[one.axes[0].new][order], old=one.axes[0].old, lasts=False)
    other = replace(one, fresh=one.fresh[order], axes=(axis,))
    assert np.allclose(np.sort(chances(found(one), 0.1)[0]), np.sort(chances(cells(other, axis), 0.1)[0]))


def test_what_a_group_did_before_is_expected_of_it_again() -> None:
    one = honest(3)
    fond = np.append(one.fresh, np.full(40, 5)), np.append(one.axes[0].new, np.full(40, 2))
    past = np.append(one.past, np.full(200, 5))
    group = np.append(np.random.default_rng(0).integers(0, GROUPS, len(one.past)), np.full(200, 2))
    p = {}
    for name, old in (("as before", group), ("as never", np.append(group[:-200], np.full(200, 7)))):
        axis = Axis(name="channel", new=fond[1], old=old, lasts=True)
        judged = cells(
            Round(items=ITEMS, fresh=fond[0], fresh_users=one.fresh_users, past=past, past_users=one.past_users, axes=(axis,)), axis
        )
        here = (judged.item == 5) & (judged.group == 2)
        p[name] = float(chances(judged, 0.5)[0][here][0])
    assert p["as before"] > 20 * p["as never"]


def test_an_item_only_just_launched_and_a_handful_of_users_are_not_judged() -> None:
    one = honest(4)
    axis = Axis(name="day", new=np.append(one.axes[0].new, np.zeros(50, np.int64)), old=one.axes[0].old, lasts=False)
    launched = Round(
        items=ITEMS + 1,
        fresh=np.append(one.fresh, np.full(50, ITEMS)),
        fresh_users=one.fresh_users,
        past=one.past,
        past_users=one.past_users,
        axes=(axis,),
    )
    judged = cells(launched, axis)
    assert ITEMS not in judged.item
    assert judged.count.min() >= LEAST
