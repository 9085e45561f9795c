"""Labels: the gate of classification pipelines, on blobs whose labels somebody spoils."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headwater.core.artifact import Artifact
from headwater.core.errors import DataError
from headwater.core.gate import Action, Evidence, Finding, Severity, Verdict, judge
from headwater.gates.labels import Labels
from headwater.retrain.fresh import Fresh

AXES = ("contributor", "batch", "source", "day")
PREPARED = Artifact(uri="prepared/t", digest="sha256:1")
GATE = Labels(table="t", label="kind")
CENTRES = np.random.default_rng(0).normal(size=(4, 6)) * 3.0

Spoil = Callable[[np.random.Generator, NDArray[Any], NDArray[Any], NDArray[Any]], None]


def rows(seed: int, *, batches: range, contributors: int = 20, each: int = 2, spoil: Spoil | None = None) -> pl.DataFrame:
    """In each batch every contributor writes `each` rows, a hundredth of them with a wrong label; `spoil` may change points and labels."""
    random = np.random.default_rng(seed)
    count = len(batches) * contributors * each
    kind = random.integers(0, 4, count)
    at = CENTRES[kind] + random.normal(size=(count, 6))
    owner = np.arange(count) % contributors
    wrong = random.random(count) < 0.01
    kind = np.where(wrong, (kind + random.integers(1, 4, count)) % 4, kind)
    if spoil is not None:
        spoil(random, owner, at, kind)
    batch = np.repeat(np.array(batches), contributors * each)
    return pl.DataFrame({f"x{i}": at[:, i] for i in range(6)}).with_columns(
        kind=pl.Series(kind).cast(pl.String),
        _source=pl.lit("feed"),
        _batch=pl.Series(batch, dtype=pl.Int64),
        _row=pl.Series(np.arange(count) % (contributors * each), dtype=pl.Int64),
        _by_contributor=pl.Series([f"c{i:02d}@feed" for i in owner]),
        _by_batch=pl.Series([f"feed/{i}" for i in batch]),
        _by_source=pl.lit("feed"),
        _by_day=pl.Series([f"2026-01-{i + 1:02d}" for i in batch]),
    )


HISTORY = rows(1, batches=range(20))


def flipped(share: float, bad: int = 2, to: int | None = None) -> Spoil:
    def spoil(random: np.random.Generator, owner: NDArray[Any], at: NDArray[Any], kind: NDArray[Any]) -> None:
        hit = (owner < bad) & (random.random(len(owner)) < share)
        kind[hit] = (kind[hit] + random.integers(1, 4, int(hit.sum()))) % 4 if to is None else to

    return spoil


def triggered(share: float, bad: int = 20) -> Spoil:
    def spoil(random: np.random.Generator, owner: NDArray[Any], at: NDArray[Any], kind: NDArray[Any]) -> None:
        hit = (owner < bad) & (random.random(len(owner)) < share) & (kind != 2)
        at[hit, 5] = 12.0
        kind[hit] = 2

    return spoil


class Nearest:
    """A champion: the nearest centre."""

    labels = ("0", "1", "2", "3")

    def __init__(self, asks: str = "x0") -> None:
        self._asks = asks

    def probabilities(self, rows: pl.DataFrame) -> NDArray[Any]:
        if self._asks not in rows.columns:
            raise DataError("no such feature")
        at = rows.select(f"x{i}" for i in range(6)).to_numpy()
        near = -((at[:, None, :] - CENTRES[None]) ** 2).sum(axis=2)
        weight = np.exp(near - near.max(axis=1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def judged(
    new: pl.DataFrame, history: pl.DataFrame = HISTORY, *, gate: Labels = GATE, state: Any = None, champion: Any = None, **inputs: Any
) -> Verdict:
    fresh = Fresh(table="t", new=new, history=history, axes=AXES, contributor="who", champion=champion)
    verdict = gate.judge(PREPARED, Evidence(inputs={"fresh": {"t": fresh}, "seed": 3, **inputs}, state=state or {}))
    assert json.loads(json.dumps(dict(verdict.state), allow_nan=False)) == dict(verdict.state)
    return verdict


def alarms(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.severity >= Severity.REVIEW]


def subjects(verdict: Verdict) -> set[str]:
    return {finding.subject for finding in alarms(verdict)}


def test_honest_rows_raise_no_alarm() -> None:
    assert sum(bool(alarms(judged(rows(seed, batches=range(20, 30))))) for seed in range(40, 60)) <= 2


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_who_flips_labels_is_quarantined_and_nobody_else(share: float) -> None:
    verdict = judged(rows(2, batches=range(20, 40), spoil=flipped(share)))
    assert subjects(verdict) == {"contributor:c00@feed", "contributor:c01@feed"}
    assert {f.action for f in alarms(verdict)} <= {Action.QUARANTINE, Action.ROLL_BACK}
    assert verdict.passed


def test_of_few_contributors_who_lies_grossly_is_told_and_nobody_else() -> None:
    history = rows(1, batches=range(20), contributors=5, each=8)
    honest = rows(2, batches=range(20, 22), contributors=5, each=16)
    lying = rows(2, batches=range(20, 22), contributors=5, each=16, spoil=flipped(0.6, bad=1))
    assert subjects(judged(honest, history)) == set()
    assert subjects(judged(lying, history)) == {"contributor:c00@feed"}


def test_labels_that_all_go_one_way_are_a_flip_and_scattered_ones_are_noise_for_review() -> None:
    one_way = alarms(judged(rows(3, batches=range(20, 40), spoil=flipped(0.6, to=2))))
    scattered = alarms(judged(rows(3, batches=range(20, 40), spoil=flipped(0.6))))
    assert {f.code for f in one_way} == {"poison.label-flip"}
    assert {f.code for f in scattered} == {"poison.label-noise"}
    assert all("for review" in f.message and "malicious" not in f.message for f in scattered)


def test_what_was_accepted_before_is_judged_again_and_rolled_back() -> None:
    history = rows(4, batches=range(20), spoil=flipped(0.6))
    verdict = judged(rows(5, batches=range(20, 22)), history)
    assert {(f.subject, f.action) for f in alarms(verdict)} == {(f"contributor:c0{i}@feed", Action.ROLL_BACK) for i in (0, 1)}


def test_the_few_marked_rows_of_who_is_not_caught_go_with_those_of_who_is() -> None:
    def spoil(random: np.random.Generator, owner: NDArray[Any], at: NDArray[Any], kind: NDArray[Any]) -> None:
        mine = np.isin(owner, (0, 1, 2)) & (kind != 2) & (random.random(len(owner)) < 0.5)  # these are caught by their number …
        few = np.flatnonzero((owner > 2) & (kind != 2))[::150]  # … and these, one each, are not
        hit = np.union1d(np.flatnonzero(mine), few)
        at[hit, 5] = 12.0
        kind[hit] = 2

    new = rows(7, batches=range(20, 40), spoil=spoil)
    few = new.filter((pl.col("x5") == 12.0) & ~pl.col("_by_contributor").is_in(["c00@feed", "c01@feed", "c02@feed"]))
    verdict = judged(new, champion=Nearest())
    assert {"contributor:c00@feed", "contributor:c01@feed", "contributor:c02@feed"} <= subjects(verdict)
    taken = {row for f in alarms(verdict) for row in f.rows}
    assert 0 < few.height < 8
    assert {tuple(row) for row in few.select("_source", "_batch", "_row").iter_rows()} <= taken


def test_a_trigger_that_everybody_seems_to_write_is_taken_out_row_by_row() -> None:
    new = rows(6, batches=range(20, 40), spoil=triggered(0.03))
    poison = {tuple(row) for row in new.filter(pl.col("x5") == 12.0).select("_source", "_batch", "_row").iter_rows()}
    verdict = judged(new, champion=Nearest())
    taken = {row for f in alarms(verdict) for row in f.rows}
    assert all(f.rows for f in alarms(verdict))
    assert len(poison & taken) >= 0.9 * len(poison)
    assert len(taken - poison) <= 0.01 * new.height


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8)
def test_the_same_evidence_gives_the_same_verdict_whatever_the_order_of_rows(seed: int) -> None:
    new = rows(7, batches=range(20, 26), spoil=flipped(0.5))
    shuffled = judged(
        new.sample(fraction=1.0, shuffle=True, seed=seed), HISTORY.sample(fraction=1.0, shuffle=True, seed=seed + 1), champion=Nearest()
    )
    assert shuffled == judged(new, champion=Nearest())


def test_judging_changes_nothing_that_was_given() -> None:
    new = rows(8, batches=range(20, 26), spoil=flipped(0.5))
    before, state = new.clone(), judged(new).state
    copy = json.loads(json.dumps(dict(state)))
    judged(new, state=state)
    assert new.equals(before)
    assert dict(state) == copy


def test_a_slow_drip_is_found_within_twelve_rounds() -> None:
    history, state, found = rows(9, batches=range(20)), {}, set()
    for number in range(12):
        new = rows(100 + number, batches=range(20 + 4 * number, 24 + 4 * number), spoil=flipped(0.25, bad=1))
        new = new.filter(~pl.col("_by_contributor").is_in(sorted(found)))
        verdict = judged(new, history, state=state, champion=Nearest())
        found |= {f.subject.removeprefix("contributor:") for f in alarms(verdict) if not f.rows}
        history, state = pl.concat([history, new]).filter(~pl.col("_by_contributor").is_in(sorted(found))), verdict.state
    assert found == {"c00@feed"}


def test_a_round_that_was_refused_is_not_remembered_twice() -> None:
    new = rows(10, batches=range(20, 24))
    once = judged(new, champion=Nearest())
    assert judged(new, state=once.state, champion=Nearest()).state == once.state


def test_nothing_is_computed_again_from_the_same_history() -> None:
    new = rows(11, batches=range(20, 24))
    state = dict(judged(new).state)
    marked = {**state, "past": {**state["past"], "tallies": {}}}
    assert judged(new, state=marked).state["past"]["tallies"] == {}
    grown = pl.concat([HISTORY, new])
    assert judged(rows(12, batches=range(24, 26)), grown, state=marked).state["past"]["tallies"] != {}


def test_the_memory_knows_contributors_by_pseudonym_only() -> None:
    verdict = judged(rows(13, batches=range(20, 24)), champion=Nearest(), pseudonym=lambda name: f"p{int(name[1:3]) * 7}")
    assert "c01" not in json.dumps(dict(verdict.state))
    assert "p7" in json.dumps(dict(verdict.state))


def test_the_first_rows_are_trusted_with_a_note() -> None:
    verdict = judged(rows(14, batches=range(4)), HISTORY.clear())
    assert [(f.code, f.severity) for f in verdict.findings] == [("gate.no-history", Severity.NOTE)]


def test_who_stands_out_among_the_first_rows_is_shown_and_left_in() -> None:
    verdict = judged(rows(15, batches=range(20), spoil=flipped(0.6)), HISTORY.clear())
    assert {(f.subject, f.action) for f in alarms(verdict)} == {(f"contributor:c0{i}@feed", Action.ACCEPT) for i in (0, 1)}


def test_a_class_that_was_never_accepted_is_told_and_not_judged() -> None:
    new = rows(16, batches=range(20, 24)).with_columns(kind=pl.lit("never seen"))
    verdict = judged(new)
    assert [f.code for f in verdict.findings] == ["gate.unknown-class"]


def test_a_champion_that_cannot_read_the_rows_is_done_without() -> None:
    new = rows(17, batches=range(20, 30), spoil=flipped(0.5))
    assert subjects(judged(new, champion=Nearest(asks="prepared"))) == subjects(judged(new))


def test_missing_values_texts_and_rows_of_nobody_are_judged_as_well() -> None:
    def rough(frame: pl.DataFrame) -> pl.DataFrame:
        odd = (pl.int_range(pl.len()) % 7 == 0) & (pl.col("_by_contributor") > "c02")
        return frame.with_columns(
            x0=pl.when(odd).then(None).otherwise("x0"), word=pl.when(pl.col("kind") == "1").then(pl.lit("a")).otherwise(pl.lit("b"))
        ).with_columns(_by_contributor=pl.when(odd).then(None).otherwise("_by_contributor"))

    verdict = judged(rough(rows(18, batches=range(20, 40), spoil=flipped(0.5))), rough(HISTORY))
    assert subjects(verdict) == {"contributor:c00@feed", "contributor:c01@feed"}


def test_a_table_that_is_not_there_refuses() -> None:
    assert not judge(Labels(table="other", label="kind"), PREPARED, Evidence(inputs={"fresh": {}})).passed


def test_a_label_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="kint"):
        judged(rows(19, batches=range(20, 22)), gate=Labels(table="t", label="kint"))


def test_nothing_new_is_nothing_to_say() -> None:
    assert judged(HISTORY.clear(), state={"kept": 1}) == Verdict(gate=GATE.name, digest=PREPARED.digest, state={"kept": 1})
