"""Classifiers are judged subject by subject, on rows that they did not learn from, as the field's own measures would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from headwater.core.errors import DataError, UsageError
from headwater.testing.symptoms import symptoms, symptoms_frame
from headwater.train.classify import check_metric, scores_of
from headwater.train.examples import ExampleColumns
from headwater.train.interactions import Frame
from headwater.train.rowsplit import RowHoldout, rows_after, rows_middle_since, rows_rolling
from headwater.train.trainer import Window

COLUMNS = ExampleColumns(table="cases", label="finding", group="patient", key="case", contributor="site", time="ts")
BY_HASH = replace(COLUMNS, time=None)
LABELS = ("a", "b", "c")


def framed(frame: pl.DataFrame) -> Frame:
    return Frame(name="cases", frame=frame, digest="sha256:0")


def rows_of(window: Window) -> pl.DataFrame:
    return window.train.table("cases").collect()


@given(st.lists(st.tuples(st.sampled_from([*LABELS, "new"]), st.integers(0, 6), st.integers(0, 2**32)), min_size=2, max_size=40))
def test_the_means_over_subjects_are_the_usual_measures(rows: list[tuple[str, int, int]]) -> None:
    truth = tuple(label for label, _, _ in rows)
    shares = np.array([np.random.default_rng(seed).dirichlet([0.3, 0.3, 0.3]) for _, _, seed in rows])
    told = [LABELS[at] for at in shares.argmax(axis=1)]
    alone = scores_of(LABELS, shares, RowHoldout(rows=pl.DataFrame(), truth=truth, subjects=tuple(str(n) for n in range(len(rows)))))
    assert alone.mean("accuracy") == pytest.approx(accuracy_score(truth, told))
    assert alone.mean("f1") == pytest.approx(f1_score(truth, told, average="macro", zero_division=0))
    grouped = scores_of(LABELS, shares, RowHoldout(rows=pl.DataFrame(), truth=truth, subjects=tuple(f"g{group}" for _, group, _ in rows)))
    assert len(grouped.subjects) == len({group for _, group, _ in rows})
    assert grouped.mean("f1") == pytest.approx(alone.mean("f1"))


def test_log_loss_is_minus_the_usual_one_and_bounded_by_what_was_held_to_be_impossible() -> None:
    shares, truth = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), ("a", "c")
    holdout = RowHoldout(rows=pl.DataFrame(), truth=truth, subjects=("1", "2"))
    assert scores_of(LABELS, shares, holdout).mean("log-loss") == pytest.approx(-log_loss(truth, shares, labels=LABELS))
    never = replace(holdout, truth=("never seen", "c"))
    assert scores_of(LABELS, shares, never).values["log-loss"][0] == pytest.approx(np.log(1e-6))


def test_a_metric_that_is_none_says_which_there_are() -> None:
    with pytest.raises(UsageError, match="log-loss"):
        check_metric("logloss")


def test_in_time_nothing_later_is_learned_from() -> None:
    windows = rows_rolling(symptoms(), COLUMNS)
    frame = symptoms_frame()
    assert len(windows.validation) == 2
    for window in (*windows.validation, windows.test):
        newest = rows_of(window)["ts"].max()
        asked = frame.filter(pl.col("patient").is_in(set(window.holdout.subjects)) & (pl.col("ts") > newest))
        assert asked.height >= len(window.holdout.truth)
    assert len(windows.test.holdout.truth) == 80


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(250, 400))
def test_by_hash_a_group_is_on_one_side_and_stays_there_whatever_else_comes_or_is_said_of_it(seed: int, rows: int) -> None:
    frame = symptoms_frame()
    test = set(rows_rolling(framed(frame), BY_HASH).test.holdout.subjects)
    fewer = frame.sample(rows, seed=seed).with_columns(finding=pl.col("finding").shuffle(seed=seed), pulse=pl.col("pulse") * 2)
    windows = rows_rolling(framed(fewer), BY_HASH)
    assert set(windows.test.holdout.subjects) == test & set(fewer["patient"])
    for window in (*windows.validation, windows.test):
        assert not set(window.holdout.subjects) & set(rows_of(window)["patient"])


def test_equal_rows_without_a_name_are_on_one_side() -> None:
    frame = symptoms_frame(rows=200)
    twice = pl.concat([frame, frame.with_columns(finding=pl.lit("kind0"))])
    window = rows_rolling(framed(twice), replace(BY_HASH, group=None, key=None)).test
    features = ["cough", "heat", "place", "pulse"]
    assert window.holdout.rows.join(rows_of(window), on=features, how="semi", nulls_equal=True).height == 0
    assert 2 * len(set(window.holdout.subjects)) <= window.holdout.rows.height


def test_the_middle_of_what_is_new_parts_it_in_two() -> None:
    data = symptoms()
    times = data.frame["ts"].dt.epoch("us")
    after = int(times[200])
    middle = rows_middle_since(data, COLUMNS, after)
    assert abs(int((times > middle).sum()) - int(((times > after) & (times <= middle)).sum())) <= 2
    window = rows_after(data, COLUMNS, middle)
    assert len(window.holdout.truth) == int((times >= middle).sum())
    with pytest.raises(DataError, match="not learned from"):
        rows_middle_since(data, COLUMNS, int(times.max()))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least 20"):
        rows_after(data, COLUMNS, int(times[395]))
    for ask in (rows_after, rows_middle_since):
        with pytest.raises(DataError, match="no time"):
            ask(data, BY_HASH, 0)


def test_reading_gives_the_same_whatever_the_order_or_the_kind_of_number() -> None:
    frame = symptoms_frame().with_columns(zero=pl.Series([0.0, -0.0] * 200), gap=pl.lit(float("nan")))
    other = frame.sample(fraction=1.0, shuffle=True, seed=1).with_columns(pl.col("pulse").cast(pl.Float32), gap=pl.lit(None, pl.Float64))
    read = COLUMNS.read(framed(frame))
    assert read.equals(COLUMNS.read(framed(other)))
    assert read.equals(COLUMNS.read(framed(read)))
