"""Drip: the memory of an honest contributor raises no alarm, that of a slow poisoner does."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.gates.drip import e_values, remember, slow_p
from headwater.gates.memory import Memory, recall, stored


def walked(random: np.random.Generator, rate: float, rounds: int, records: int = 15) -> list[float]:
    memory: dict[str, float] = {}
    p = []
    for number in range(1, rounds + 1):
        (e,) = e_values(np.array([float(random.binomial(records, rate))]), np.array([float(records)]), np.array([0.03]), 0.003)
        memory = remember(memory, {"a": float(e)})
        p.append(slow_p(memory["a"], number))
    return p


def test_in_each_round_an_honest_contributor_is_suspected_no_more_often_than_the_level() -> None:
    random = np.random.default_rng(4)
    runs = np.array([walked(random, 0.03, 12) for _ in range(400)])
    assert ((runs <= 0.05).mean(axis=0) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)).all()


def test_a_quarter_of_wrong_labels_is_found_within_twelve_rounds_of_fifteen() -> None:
    random = np.random.default_rng(5)
    assert np.mean([min(walked(random, 0.28, 12)) < 1e-5 for _ in range(50)]) >= 0.9


@given(news=st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e6)), memory=st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e9)))
@settings(max_examples=40)
def test_who_writes_nothing_stays_where_he_was(news: dict[str, float], memory: dict[str, float]) -> None:
    after = remember(memory, news)
    assert {group: after[group] for group in memory.keys() - news.keys()} == {g: r for g, r in memory.items() if g not in news}


def test_rows_that_come_again_are_not_remembered_twice() -> None:
    before, after = Memory(rounds=3, slow={"a": 1.0}), Memory(rounds=4, slow={"a": 7.0})
    state = stored(before, after, "history-1", {})
    assert recall(state, "history-1") == before
    assert recall(state, "history-2") == after
    assert recall({}, "history-2") == Memory()
