"""Shift: an honest mix of classes is no shift, heterogeneity as in history is none, and a stamp is one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headwater.gates.shift import Null, fit_null, p_values, residuals, units, widened


def history(random: np.random.Generator, rows: int = 800) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    given = random.integers(0, 3, rows)
    return (random.normal(size=(rows, 12)) + given[:, None]).astype(np.float32), given


def judged(
    rows: NDArray[np.float32], given: NDArray[np.int64], old: tuple[NDArray[np.float32], NDArray[np.int64]], null: Null | None = None
) -> float:
    far = residuals(*old, *old, 3)
    new = residuals(rows, given, *old, 3)
    doubt = np.array([(np.bincount(given, minlength=3) ** 2 / np.bincount(old[1], minlength=3)).sum()])
    (found,) = p_values(new.sum(axis=0)[None, :], np.array([float(len(rows))]), units(far), null or fit_null(far, 0), doubt)
    return found.p


def test_p_values_of_honest_groups_are_no_smaller_than_uniform_ones() -> None:
    random = np.random.default_rng(6)
    old = history(random)
    p = np.array([judged(*history(random, 40), old) for _ in range(300)])
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 300)


def test_another_mix_of_classes_is_no_shift() -> None:
    random = np.random.default_rng(7)
    old = history(random)
    rows, given = history(random, 300)
    only = given == 2
    assert judged(rows[only], given[only], old) > 0.001


def test_a_stamp_on_half_of_the_rows_is_a_shift() -> None:
    random = np.random.default_rng(8)
    old = history(random)
    rows, given = history(random, 40)
    rows[:20, 3] = 9.0
    assert judged(rows, given, old) < 1e-4


def test_groups_as_unlike_as_those_of_history_are_no_shift() -> None:
    random = np.random.default_rng(9)
    old, owner = history(random), np.arange(800) % 40
    moved = (old[0] + random.normal(size=(40, 12))[owner]).astype(np.float32)
    far = residuals(moved, old[1], moved, old[1], 3)
    sums = np.stack([far[owner == group].sum(axis=0) for group in range(40)])
    null = widened(fit_null(far, 0), units(far), sums, np.full(40, 20.0))
    rows, given = history(random, 20)
    rows = (rows + random.normal(size=12)).astype(np.float32)
    assert null.factor > 1.2
    assert judged(rows, given, (moved, old[1]), null) > 0.001
    assert judged(rows, given, (moved, old[1])) < 0.001
