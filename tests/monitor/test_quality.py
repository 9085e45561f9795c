"""Click-through, ranking quality and latency count what was shown, and believe nothing that feedback claims."""

import math
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from tests.monitor.served import clicked, clicks, evidence, predictions

from headwater.core.errors import DataError, UsageError
from headwater.monitor.quality import ClickThrough, Latency, RankingQuality, wilson

few = settings(max_examples=30, deadline=None)
hits = st.lists(st.tuples(st.integers(0, 119), st.integers(0, 2)), max_size=60)


def rates(frames, **options):
    return {m.subject: m for m in ClickThrough(**{"wait": "1s", "min_shown": 1, **options}).measure(frames)}


@given(st.integers(0, 300), st.integers(1, 300))
def test_the_interval_is_wilsons(a, b):
    hit, of = min(a, b), max(a, b)
    expected = binomtest(hit, of).proportion_ci(0.95, method="wilson")
    assert wilson(hit, of) == pytest.approx((expected.low, expected.high), abs=1e-9)


@few
@given(hits.filter(bool), st.randoms(use_true_random=False))
def test_the_rate_counts_each_prediction_once_in_any_order_and_however_often_it_is_clicked(pairs, random_):
    # the last prediction is younger than `wait`, so it is not among those that count
    pairs = [(min(i, 118), place) for i, place in pairs]
    shown = predictions(120)
    once = rates(evidence(shown, clicks(pairs)))
    again = rates(
        evidence(shown.sample(fraction=1, shuffle=True, seed=random_.randrange(99)), clicks(random_.sample(pairs * 2, len(pairs) * 2)))
    )
    assert once == again
    assert once["shop 1"].value == len({i for i, _ in pairs}) / 119


def test_feedback_on_what_was_not_shown_or_by_another_event_counts_nothing():
    lies = pl.concat([clicks([(0, 9), (999, 0)]), clicks([(1, 0)], event="view"), clicks([(2, 1)])])
    found = rates(evidence(predictions(101), lies))
    assert found["shop 1"].evidence["hits"] == 1
    assert found["by place"].evidence == {"place_1": 0.0, "place_2": 0.01, "place_3": 0.0}


def test_predictions_that_are_too_young_for_feedback_are_left_out():
    found = rates(evidence(predictions(100), clicks([(5, 0), (99, 0)])), wait="10m")
    assert (found["shop 1"].evidence["shown"], found["shop 1"].evidence["hits"]) == (90, 1)


def two_versions(first, second):
    shown = pl.concat([predictions(2_000), predictions(2_000, version="2", first=2_000)])
    return evidence(shown, clicks(clicked(0, 2_000, first) + clicked(2_000, 2_000, second)))


def test_a_new_version_that_is_clearly_worse_is_an_alarm_and_the_old_one_is_not():
    found = rates(two_versions(0.3, 0.2), min_shown=100)
    assert (found["shop 2"].status, found["shop 1"].status) == ("alarm", "ok")
    assert rates(two_versions(0.3, 0.29), min_shown=100)["shop 2"].status == "ok"


def test_a_fall_that_a_hundred_predictions_cannot_show_is_no_alarm():
    shown = pl.concat([predictions(150), predictions(150, version="2", first=150)])
    found = rates(evidence(shown, clicks([(i, 0) for i in range(20)] + [(150 + i, 0) for i in range(14)])), min_shown=100)
    assert found["shop 2"].status == "ok"


@pytest.mark.parametrize("probe", [ClickThrough(), RankingQuality(), Latency()])
@pytest.mark.parametrize("frames", [{}, evidence(predictions(0)), evidence(predictions(0), clicks([]))])
def test_nothing_to_look_at_is_unknown(probe, frames):
    assert {m.status for m in probe.measure(frames)} == {"unknown"}


def test_no_feedback_at_all_is_unknown_and_not_a_rate_of_zero():
    assert [m.value for m in ClickThrough().measure(evidence(predictions(500), clicks([])))] == [None]


def test_ndcg_and_mrr_are_those_of_the_definition():
    found = {
        m.name: m for m in RankingQuality(wait="1s", min_hits=1).measure(evidence(predictions(4), clicks([(0, 0), (1, 2), (2, 0), (2, 2)])))
    }
    third = 1 / math.log2(4)
    expected = [1.0, third, (1 + third) / (1 + 1 / math.log2(3))]
    assert found["ndcg"].value == pytest.approx(sum(expected) / 3, abs=1e-8)
    assert found["mrr"].value == pytest.approx((1 + 1 / 3 + 1) / 3, abs=1e-8)


def test_ranking_quality_alarms_only_when_the_whole_interval_is_below_what_was_asked():
    frames = evidence(predictions(400), clicks([(i, i % 3) for i in range(390)]))
    statuses = {at: next(iter(RankingQuality(at_least=at).measure(frames))).status for at in (0.5, 0.72, 0.9)}
    assert statuses == {0.5: "ok", 0.72: "ok", 0.9: "alarm"}


def test_latency_quantiles_are_in_milliseconds_and_answers_without_items_are_failures():
    rng = random.Random(1)
    times = [rng.randrange(1_000, 9_000) for _ in range(1_000)]
    shown = predictions(1_000).with_columns(latency_us=pl.Series(times))
    found = {m.name: m for m in Latency().measure(evidence(shown))}
    assert found["p99_ms"].value == pytest.approx(sorted(times)[989] / 1000, abs=0.02)
    assert (found["p99_ms"].status, found["failed"].value) == ("ok", 0.0)
    broken = shown.with_row_index().with_columns(
        items=pl.when(pl.col("index") < 15).then(pl.lit([], dtype=pl.List(pl.String))).otherwise("items"),
        latency_us=pl.when(pl.col("index") > 984).then(None).otherwise(60_000),
    )
    slow = {m.name: m for m in Latency().measure(evidence(broken))}
    assert (slow["failed"].value, slow["failed"].status, slow["p99_ms"].status) == (0.03, "alarm", "warn")


def test_a_frame_without_the_columns_is_named_and_a_wait_that_is_none_too():
    with pytest.raises(DataError, match="predictions lack items"):
        ClickThrough().measure(evidence(predictions(5).drop("items")))
    with pytest.raises(UsageError, match="wait='soon'"):
        ClickThrough(wait="soon")


@pytest.mark.parametrize(
    "as_ts", [pl.col("ts").dt.to_string("iso:strict"), pl.col("ts").dt.timestamp("us") / 1e6, pl.col("ts").dt.replace_time_zone(None)]
)
def test_times_may_be_text_seconds_or_without_a_zone(as_ts):
    shown, feedback = predictions(200), clicks([(3, 0), (7, 1), (198, 0)])
    assert rates(evidence(shown.with_columns(ts=as_ts), feedback), wait="10m") == rates(evidence(shown, feedback), wait="10m")
