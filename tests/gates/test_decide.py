"""Decide: the chance of a false alarm is bounded, power grows with company, and a person is asked when too much would go."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.gate import Action, Finding, Severity
from headwater.gates.decide import Kind, Limits, decide
from headwater.gates.suspicion import Suspicion

KINDS = {
    "a": Kind(code="poison.a", words="does a", weight=0.5),
    "b": Kind(code="poison.b", words="does b", action=Action.ROLL_BACK, weight=0.5),
}


def suspected(group: str, p: float, test: str = "a", axis: str = "contributor", records: int = 10) -> Suspicion:
    return Suspicion(axis=axis, group=group, test=test, p=p, records=records)


def decided(*suspicions: Suspicion, tested: int = 40, rows: int = 10_000, limits: Limits | None = None) -> tuple[Finding, ...]:
    axes = {s.axis for s in suspicions} | {"contributor"}
    return decide(suspicions, KINDS, table="t", tested=dict.fromkeys(axes, tested), rows=rows, limits=limits)


def test_uniform_p_values_raise_any_alarm_no_more_often_than_alpha() -> None:
    random = np.random.default_rng(10)
    runs, alpha = 600, 0.2
    alarms = 0
    for _ in range(runs):
        found = [
            suspected(f"g{i}", p, test, axis) for axis in ("contributor", "day") for test in "ab" for i, p in enumerate(random.random(40))
        ]
        alarms += bool(decided(*found, limits=Limits(alpha=alpha)))
    assert alarms / runs <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)
    assert alarms > 0


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1), st.sampled_from("ab")), max_size=30), st.randoms())
@settings(max_examples=60)
def test_the_order_of_suspicions_makes_no_difference(found: list[tuple[int, float, str]], random: object) -> None:
    suspicions = [suspected(f"g{i}", p, test) for i, p, test in found]
    shuffled = list(suspicions)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [(f.subject, f.action) for f in decided(*shuffled)] == [(f.subject, f.action) for f in decided(*suspicions)]


@given(st.floats(1e-9, 1), st.integers(1, 12))
@settings(max_examples=40)
def test_more_bad_company_never_clears_a_group(p: float, others: int) -> None:
    alone = decided(suspected("x", p), rows=10**6)
    together = decided(suspected("x", p), *(suspected(f"g{i}", 1e-9) for i in range(others)), rows=10**6)
    assert {f.subject for f in alone} <= {f.subject for f in together}


def test_groups_about_which_nothing_was_suspected_count_too() -> None:
    p = Limits().alpha * 0.5 / 30
    assert decided(suspected("x", p), tested=10)
    assert not decided(suspected("x", p), tested=100)


def test_the_strongest_action_that_is_sure_wins() -> None:
    (found,) = decided(suspected("x", 1e-9), suspected("x", 1e-8, "b"))
    assert (found.code, found.action, found.severity) == ("poison.a", Action.ROLL_BACK, Severity.REVIEW)
    (found,) = decided(suspected("x", 1e-9), suspected("x", 0.5, "b"))
    assert found.action is Action.QUARANTINE


def test_a_finding_shows_its_numbers() -> None:
    (found,) = decided(suspected("x", 1e-9), suspected("x", 0.5, "b"))
    assert {"p", "q", "threshold", "level", "records", "test", "p.b"} <= found.evidence.keys()
    assert float(str(found.evidence["p"])) <= float(str(found.evidence["threshold"]))


def test_named_rows_are_all_that_a_finding_asks_for() -> None:
    row = ("s", 1, 2)
    (found,) = decided(Suspicion(axis="round", group="new", test="a", p=1e-9, records=1, rows=(row,)))
    assert found.rows == (row,)


def test_a_person_decides_when_too_many_would_go() -> None:
    many = [suspected(f"g{i}", 1e-9) for i in range(20)]
    assert decided(*many)[-1].action is Action.HOLD
    assert decided(*many[:3])[-1].action is Action.QUARANTINE
    assert decided(suspected("g", 1e-9, records=900), rows=1000)[-1].action is Action.HOLD


def test_a_person_decides_about_a_whole_source() -> None:
    found = decided(suspected("feed", 1e-9, axis="source"))
    assert found[-1].action is Action.HOLD
    assert found[-1].severity is Severity.BLOCK
