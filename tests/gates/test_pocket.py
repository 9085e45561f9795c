"""Pocket: a rare value that contradicted rows of one class share is found; hard cases and honest mistakes share none."""

from __future__ import annotations

import numpy as np

from headwater.gates.pocket import Pocket, find_pockets, usual


def found(random: np.random.Generator, *, stamped: int = 0, hard: float = 0.0) -> list[Pocket]:
    """600 rows of 3 classes, 20 features; 5 % are contradicted, `stamped` more carry a value and label 1; `hard` of the contradicted lie
    at one end of feature 2, whichever way they are mistaken."""
    given = random.integers(0, 3, 600)
    beyond = (random.random((600, 20)) < 0.05).astype(np.int8)
    normal = usual(beyond, given, 3)
    expect = given.copy()
    wrong = np.flatnonzero(random.random(600) < 0.05)
    expect[wrong] = (given[wrong] + random.integers(1, 3, len(wrong))) % 3
    beyond[wrong, 2] = np.where(random.random(len(wrong)) < hard, 1, beyond[wrong, 2])
    rows = np.flatnonzero(expect == given)[:stamped]
    given[rows], expect[rows] = 1, random.choice([0, 2], len(rows))
    beyond[rows, 7] = -1
    return find_pockets(beyond, expect, given, expect != given, normal, 3)


def test_honest_mistakes_share_nothing() -> None:
    random = np.random.default_rng(1)
    p = np.array([min(pocket.p for pocket in found(random)) for _ in range(150)])
    for level in (0.01, 0.05):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 150)


def test_hard_cases_that_lie_in_one_place_are_no_pocket() -> None:
    random = np.random.default_rng(2)
    assert np.mean([min(pocket.p for pocket in found(random, hard=0.5)) < 0.001 for _ in range(60)]) <= 0.05


def test_a_stamp_is_found_and_its_rows_are_named() -> None:
    (pocket,) = [pocket for pocket in found(np.random.default_rng(3), stamped=15) if pocket.p < 1e-4]
    assert (pocket.given, pocket.feature) == (1, 7)
    assert 15 <= pocket.rows.sum() <= 18


def test_without_numbers_there_is_nothing_to_share() -> None:
    none = np.zeros(10, dtype=np.int64)
    assert find_pockets(np.zeros((10, 0), dtype=np.int8), none, none + 1, none == 0, usual(np.zeros((10, 0)), none, 2), 2) == []
