"""The distances equal scipy's, and keep the laws of distances."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from headwater.monitor.distance import FLOOR, chi_square, jensen_shannon, kolmogorov_smirnov, merged, psi, wasserstein

few = settings(max_examples=80, deadline=None)
counts = st.integers(2, 12).flatmap(lambda k: st.tuples(*[st.lists(st.integers(0, 5_000), min_size=k, max_size=k)] * 2))
# few distinct values, so that ties within and between the samples are the rule
values = st.lists(st.one_of(st.integers(-4, 4).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60)


def vectors(pair):
    both = [np.array(side, dtype=float) for side in pair]
    assume(all(side.sum() > 0 for side in both))
    return both


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy's own, from its p for samples of one or two
@few
@given(values, values)
def test_the_kolmogorov_smirnov_statistic_is_scipys_with_ties_and_unequal_sizes(a, b):
    ours, p = kolmogorov_smirnov(merged(np.sort(a), np.sort(b)))
    assert ours == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert 0 <= p <= 1


def test_the_kolmogorov_smirnov_p_is_near_the_asymptotic_one_of_scipy():
    rng = np.random.default_rng(1)
    a, b = np.sort(rng.normal(size=3_000)), np.sort(rng.normal(0.05, 1, 2_000))
    assert kolmogorov_smirnov(merged(a, b))[1] == pytest.approx(stats.ks_2samp(a, b, method="asymp").pvalue, abs=0.01)


@few
@given(values, values)
def test_the_wasserstein_distance_is_scipys(a, b):
    assert wasserstein(merged(np.sort(a), np.sort(b))) == pytest.approx(stats.wasserstein_distance(a, b), rel=1e-9, abs=1e-9)


def test_infinite_values_have_a_gap_and_no_finite_wasserstein_distance():
    both = merged(np.array([-math.inf, 0.0, 1.0]), np.array([0.0, 1.0, math.inf]))
    assert kolmogorov_smirnov(both)[0] == pytest.approx(1 / 3)
    assert wasserstein(both) is None


@few
@given(counts)
def test_jensen_shannon_is_scipys_in_base_2_and_symmetric(pair):
    a, b = vectors(pair)
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2), abs=1e-7)
    assert jensen_shannon(a, b) == pytest.approx(jensen_shannon(b, a), abs=1e-9)


@few
@given(counts)
def test_chi_square_and_its_p_are_scipys_and_columns_without_rows_do_not_count(pair):
    a, b = vectors(pair)
    kept = np.stack([a, b])[:, a + b > 0]
    assume(kept.shape[1] > 1)
    expected = stats.chi2_contingency(kept, correction=False)
    statistic, p, v = chi_square(a, b)
    assert statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert v == pytest.approx(stats.contingency.association(kept.astype(int), method="cramer"), abs=1e-9)


@few
@given(counts)
def test_psi_is_symmetric_never_negative_and_nothing_for_equal_shares(pair):
    a, b = vectors(pair)
    assert psi(a, b) >= 0
    assert psi(a, b) == pytest.approx(psi(b, a))
    assert psi(a, a * 7) == pytest.approx(0)


def test_psi_is_the_textbook_sum_where_no_bin_is_nearly_empty():
    a, b = np.array([50.0, 30.0, 20.0]), np.array([30.0, 30.0, 40.0])
    assert psi(a, b) == pytest.approx(0.2 * math.log(5 / 3) + 0.2 * math.log(2))


def test_an_empty_bin_costs_much_and_not_infinitely_much():
    assert psi(np.array([1.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(0.5 * math.log(2) + (0.5 - FLOOR) * math.log(0.5 / FLOOR))
