"""Concept drift: a fall is found near where it began; none is found where there is none; state is never needed."""

import polars as pl
import pytest
from tests.monitor.served import START, clicked, clicks, evidence, predictions

from headwater.core.errors import UsageError
from headwater.monitor.concept import Concept


def stream(*parts):
    """Predictions of one version in parts of (how many, share of hits)."""
    pairs, first = [], 0
    for n, share in parts:
        pairs += clicked(first, n, share, seed=first)
        first += n
    return predictions(first), clicks(pairs)


def measured(shown, feedback, **options):
    return {m.name: m for m in Concept(**options).measure(evidence(shown, feedback))}


def minute(measure):
    return int((pl.Series([measure.evidence["begun"]]).str.to_datetime(time_zone="UTC")[0] - START).total_seconds() // 60)


def test_a_fall_is_found_by_both_detectors_near_where_it_began():
    found = measured(*stream((3_000, 0.3), (3_000, 0.15)))
    assert {m.status for m in found.values()} == {"alarm"}
    assert all(abs(minute(m) - 3_000) < 200 for m in found.values())
    assert found["adwin"].value == pytest.approx(-0.5, abs=0.08)
    assert found["adwin"].evidence["before"] == pytest.approx(0.3, abs=0.03)
    assert found["adwin"].plot.mark == pytest.approx(20, abs=1)


def test_a_rise_is_a_warning_not_an_alarm():
    assert measured(*stream((3_000, 0.15), (3_000, 0.3)))["adwin"].status == "warn"


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_a_steady_stream_shows_no_change_however_rare_or_common_hits_are(share):
    found = measured(*stream((8_000, share)))
    assert [(m.value, m.status) for m in found.values()] == [(0.0, "ok")] * 2


def test_the_same_rows_in_any_order_give_the_same_answer():
    shown, feedback = stream((1_500, 0.3), (1_500, 0.1))
    shuffled = shown.sample(fraction=1, shuffle=True, seed=3), feedback.sample(fraction=1, shuffle=True, seed=4)
    assert measured(shown, feedback) == measured(*shuffled)


def test_a_new_version_starts_a_new_stream_so_an_answered_change_is_no_longer_an_alarm():
    shown, feedback = stream((3_000, 0.3), (3_000, 0.15))
    deployed = shown.with_columns(version=pl.when(pl.int_range(pl.len()) >= 4_000).then(pl.lit("2")).otherwise(pl.lit("1")))
    assert measured(shown, feedback)["adwin"].status == "alarm"
    assert measured(deployed, feedback)["adwin"].status == "ok"


def test_only_the_window_is_looked_at():
    shown, feedback = stream((3_000, 0.3), (3_000, 0.15))
    found = measured(shown, feedback, window=2_500)["adwin"]
    assert (found.status, found.evidence["predictions"]) == ("ok", 2_500)


def test_feedback_that_may_be_on_its_way_is_waited_for():
    shown, feedback = stream((4_000, 0.3), (600, 0.0))  # the last ten hours have no feedback yet
    assert measured(shown, feedback, wait="1m")["adwin"].status == "alarm"
    assert measured(shown, feedback, wait="10h")["adwin"].status == "ok"


@pytest.mark.parametrize(
    "frames", [{}, evidence(predictions(0)), evidence(predictions(100), clicks([(1, 0)])), evidence(predictions(900), clicks([]))]
)
def test_too_little_to_tell_is_unknown(frames):
    assert [m.status for m in Concept().measure(frames)] == ["unknown"]


@pytest.mark.parametrize("wrong", [{"fall": 0}, {"fall": 1}, {"min_shown": 10}, {"window": 100, "min_shown": 200}, {"wait": "1"}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(UsageError):
        Concept(**wrong)
