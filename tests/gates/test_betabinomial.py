"""Beta-binomial: the tail is a valid p-value, and the spread of honest groups is found in spite of bad ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import betabinom

from headwater.gates.betabinomial import fit_spread, log_likelihood, upper_tail
from headwater.gates.calibration import temper


def drawn(random: np.random.Generator, groups: int, records: int, rate: float, rho: float) -> NDArray[np.float64]:
    spread = (1 - rho) / rho
    return random.binomial(records, random.beta(rate * spread, (1 - rate) * spread, groups)).astype(float)


@given(records=st.integers(1, 200), rate=st.floats(0.002, 0.5), rho=st.floats(0.003, 0.3), level=st.floats(0.0005, 0.5))
@settings(max_examples=60)
def test_a_tail_is_under_a_level_no_more_often_than_that_level(records: int, rate: float, rho: float, level: float) -> None:
    counts = np.arange(records + 1)
    spread = (1 - rho) / rho
    chance = betabinom.pmf(counts, records, rate * spread, (1 - rate) * spread)
    under = upper_tail(counts, records, rate, rho) <= level
    assert chance[under].sum() <= level + 1e-9


@given(records=st.integers(0, 100), rate=st.floats(0.001, 0.9))
@settings(max_examples=30)
def test_more_disagreements_are_never_less_surprising(records: int, rate: float) -> None:
    tails = upper_tail(np.arange(records + 1), records, rate, 0.02)
    assert (np.diff(tails) <= 1e-12).all()
    assert tails[0] == 1.0


def test_no_records_say_nothing() -> None:
    assert upper_tail(0, 0, 0.1, 0.02) == 1.0


def test_the_ratio_of_likelihoods_has_mean_one_for_honest_groups() -> None:
    counts = np.arange(31.0)
    honest, other = (log_likelihood(counts, np.full(31, 30.0), np.full(31, rate), 0.02) for rate in (0.05, 0.3))
    chance = betabinom.pmf(counts, 30, 0.05 * 49, 0.95 * 49)
    assert (chance * np.exp(other - honest)).sum() == np.float64(1).round(6) or abs((chance * np.exp(other - honest)).sum() - 1) < 1e-9


def test_the_spread_of_honest_groups_is_found() -> None:
    random = np.random.default_rng(1)
    count = drawn(random, 400, 100, 0.05, 0.05)
    fitted = fit_spread(count, np.full(400, 100.0), np.full(400, 3.0))
    assert 1.4 < fitted.factor < 1.9
    assert 0.03 < fitted.rho < 0.08


def test_bad_groups_do_not_hide_behind_the_spread_that_they_make() -> None:
    random = np.random.default_rng(2)
    honest, bad = drawn(random, 32, 100, 0.03, 0.005), drawn(random, 8, 100, 0.28, 0.005)
    count, records = np.concatenate([honest, bad]), np.full(40, 100.0)
    fitted = fit_spread(count, records, np.full(40, count.sum() / 40))
    tails = upper_tail(bad, 100.0, count.sum() / 4000 * fitted.factor, fitted.rho)
    assert (tails < 1e-4).all()
    assert sum(fitted.honest[32:]) == 0


def test_no_disagreement_at_all_is_no_sign_of_spread() -> None:
    count = np.zeros(40)
    count[:6] = 1.0
    assert fit_spread(count, np.full(40, 20.0), np.full(40, 6 / 40)).rho < 0.02


def test_uniform_p_values_are_left_alone_and_small_ones_are_tempered() -> None:
    random = np.random.default_rng(3)
    uniform = random.random(200)
    assert temper(uniform) == 1.0
    assert temper(uniform**2) < 0.75
    few_bad = np.concatenate([uniform[:190], np.full(10, 1e-9)])
    assert temper(few_bad) > 0.8
