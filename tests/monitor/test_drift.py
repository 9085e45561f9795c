"""Drift: what moves a column alarms, what does not move it does not, whatever the columns hold."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import UsageError
from headwater.monitor.drift import Drift
from headwater.monitor.report import watch

few = settings(max_examples=40, deadline=None)
RNG = np.random.default_rng(7)


def measured(was, now, **options):
    measures = Drift("t", **options).measure({"reference/t": was.lazy(), "current/t": now.lazy()})
    return {m.subject.removeprefix("t."): m for m in measures}


def one(was, now, **options):
    return measured(pl.DataFrame({"x": was}, strict=False), pl.DataFrame({"x": now}, strict=False), **options)["x"]


cells = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), min_size=30, max_size=80),
    st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=30, max_size=80),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=30, max_size=80),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=30, max_size=80),
    st.lists(st.one_of(st.none(), st.dates()), min_size=30, max_size=80),
    st.lists(
        st.one_of(st.none(), st.datetimes(min_value=dt.datetime(1700, 1, 1), max_value=dt.datetime(2200, 1, 1))), min_size=30, max_size=80
    ),
)


@few
@given(cells)
def test_a_frame_against_itself_shows_no_drift(column):
    measure = one(column, column, columns=["x"])
    assert measure.status == "ok"
    assert measure.value == 0
    assert measure.evidence["jensen_shannon"] == 0
    assert measure.evidence.get("ks", 0) == 0


@few
@given(cells, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(column, random):
    shuffled, half = random.sample(column, len(column)), column[: max(30, len(column) // 2)]
    frame = pl.DataFrame({"x": column, "y": column}, strict=False)
    again = pl.DataFrame({"x": shuffled, "y": shuffled}, strict=False)
    other = pl.DataFrame({"x": half, "y": half}, schema=frame.schema, strict=False)
    assert measured(frame, other, columns=["x", "y"]) == measured(again, other, columns=["x", "y"])


@few
@given(st.floats(0, 3), st.floats(0, 3))
def test_a_constant_shift_raises_psi_and_a_further_one_more(a, b):
    near, far = sorted((a, b))
    base = np.sort(np.random.default_rng(3).normal(size=4_000))
    less, more = one(base, base + near), one(base, base + far)
    assert less.evidence["ks"] <= more.evidence["ks"] + 1e-12
    assert more.value >= less.value - 0.02  # bins are coarse: not strictly
    assert more.value > 0 or far < 0.01


def test_half_a_standard_deviation_is_an_alarm_and_a_tenth_is_not_however_many_rows_there_are():
    base, other = RNG.normal(size=200_000), RNG.normal(size=200_000)
    half, tenth = one(base, other + 0.6), one(base, other + 0.1)
    assert half.status == "alarm"
    assert tenth.status == "ok"
    assert tenth.evidence["chi_square_p"] < 1e-100  # significant, and of no importance


def test_a_large_effect_in_few_rows_is_not_told_from_chance():
    rng = np.random.default_rng(0)
    alarms = [one(rng.normal(size=60), rng.normal(size=60)) for _ in range(50)]
    assert any(m.value > 0.2 for m in alarms)
    assert all(m.status != "alarm" for m in alarms)


def test_nulls_that_appear_are_drift_and_are_named():
    base = RNG.normal(size=2_000)
    holes = [None if i % 3 == 0 else v for i, v in enumerate(base)]
    measure = one(base, holes)
    assert measure.status == "alarm"
    assert "missing values went from 0.0% to 33.4%" in measure.detail


def test_nan_is_missing_and_infinity_is_a_value():
    base = [float(i % 50) for i in range(500)]
    nan, infinite = one(base, [*base[:400], *[math.nan] * 100]), one(base, [*base[:400], *[math.inf] * 100])
    assert nan.evidence["missing_current"] == pytest.approx(0.2)
    assert infinite.evidence["missing_current"] == 0
    assert infinite.evidence["wasserstein"] is None
    assert {nan.status, infinite.status} == {"alarm"}


def test_a_new_category_is_counted_and_named():
    measure = one(["a", "b"] * 500, ["a", "b", "c"] * 300)
    assert measure.status == "alarm"
    assert (measure.evidence["new_categories"], round(measure.evidence["new_share"], 3)) == (1, 0.333)
    assert set(measure.plot.labels) == {"a", "b", "c"}


@pytest.mark.parametrize("to", [2.0, 0.0, None])
def test_a_constant_column_that_moves_either_way_is_an_alarm(to):
    assert one([1.0] * 200, [1.0] * 200).status == "ok"
    assert one([1.0] * 200, [to] * 200).status == "alarm"


def test_columns_of_many_values_or_that_are_private_never_show_their_values():
    names = [f"person-{i % 70}" for i in range(2_000)]
    many = one(names, names)
    private = one(["alice", "bob"] * 200, ["alice", "bob"] * 200, private=["x"])
    age = one([float(i % 90) for i in range(900)], [float(i % 90) for i in range(900)], private=["x"])
    assert not any("person" in label for label in many.plot.labels)
    assert not any("alice" in label for label in private.plot.labels)
    assert all(label.startswith(("tenth", "missing")) for label in age.plot.labels)


def test_a_column_that_went_came_or_changed_its_type_says_so():
    was = pl.DataFrame({"gone": [1] * 40, "typed": [1] * 40, "ids": [[1]] * 40, "empty": [None] * 40})
    now = pl.DataFrame({"came": [1] * 40, "typed": ["1"] * 40, "ids": [[1]] * 40, "empty": [None] * 40})
    found = measured(was, now)
    assert {name: m.status for name, m in found.items()} == {
        "gone": "alarm",
        "typed": "alarm",
        "came": "warn",
        "ids": "unknown",
        "empty": "ok",
    }


def test_a_column_of_only_nulls_that_fills_is_drift():
    assert one([None] * 100, [1.5] * 100).status == "alarm"
    assert one(["a"] * 100, [None] * 100).status == "alarm"


def test_times_and_our_own_columns_are_compared_only_when_named():
    was = pl.DataFrame({"_row": range(100), "at": [dt.datetime(2026, 1, 1)] * 100, "x": [1] * 100})
    now = was.with_columns(at=pl.lit(dt.datetime(2026, 2, 1)))
    assert set(measured(was, now)) == {"x"}
    named = measured(was, now, columns=["at"])["at"]
    assert named.status == "alarm"
    assert any("2026-01-01" in label for label in named.plot.labels)


def test_numbers_that_are_only_names_are_compared_as_names():
    swapped = {1: 3, 2: 1, 3: 2}
    ids = [1] * 50 + [2] * 100 + [3] * 350
    measure = one(ids, [swapped[i] for i in ids], categorical=["x"])
    assert measure.evidence["categories"] == 3
    assert "ks" not in measure.evidence
    assert measure.status == "alarm"


@pytest.mark.parametrize("rows", [0, 5])
def test_too_few_rows_and_missing_frames_are_unknown_not_well(rows):
    some = pl.DataFrame({"x": [1.0] * rows}, schema={"x": pl.Float64})
    assert [m.status for m in measured(some, pl.DataFrame({"x": [1.0] * 100})).values()] == ["unknown"]
    assert [m.status for m in Drift("t").measure({})] == ["unknown"]


def test_large_frames_are_thinned_and_still_tell_the_same():
    base = pl.DataFrame({"x": RNG.normal(size=60_000), "c": np.tile(["a", "b"], 30_000)})
    full, thin = measured(base, base.with_columns(pl.col("x") + 1)), measured(base, base.with_columns(pl.col("x") + 1), max_rows=10_000)
    assert thin["x"].evidence["rows_reference"] == pytest.approx(10_000, rel=0.01)
    assert thin["c"].evidence["jensen_shannon"] < 0.01  # a period of two in the data does not meet the thinning
    assert thin["x"].value == pytest.approx(full["x"].value, rel=0.1)


def test_a_column_that_is_not_there_is_named_with_the_nearest_one():
    frame = pl.DataFrame({"price": [1.0] * 50})
    with pytest.raises(UsageError, match="Did you mean 'price'"):
        measured(frame, frame, columns=["prise"])


def test_a_probe_that_cannot_answer_is_an_alarm_in_the_report():
    frame = pl.DataFrame({"price": [1.0] * 50}).lazy()
    report = watch([Drift("t", columns=["nope"])], {"reference/t": frame, "current/t": frame}, uri="report:x", at="2026-01-01")
    assert (report.worst, report.measures[0].name) == ("alarm", "crashed")
