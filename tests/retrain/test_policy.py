"""When to train again: by time, rows, drift and request; and when silence is an alarm."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.collect.request import Request
from headwater.core.errors import UsageError
from headwater.monitor.probe import Measure
from headwater.monitor.report import Report
from headwater.retrain.policy import Policy, State, decide, retrain, staleness

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def state(**changes):
    return State(**{"now": NOW, "tables": ("events",), "new_rows": 5_000, "trained_at": NOW - timedelta(hours=2), **changes})


def report(status, probe="drift"):
    return Report.of([Measure(probe=probe, name="psi", subject="t.x", value=0.5, status=status)], uri="report:x", at="2026")


def test_the_first_model_is_trained_as_soon_as_there_are_rows():
    assert decide(Policy(), state(trained_at=None, new_rows=1)).trigger == "first"
    assert not decide(Policy(), state(trained_at=None, new_rows=0)).retrain


@settings(max_examples=100, deadline=None)
@given(st.integers(-100, 400), st.integers(0, 3_000))
def test_time_trains_exactly_when_both_the_time_and_the_rows_have_come(hours, rows):
    decision = decide(Policy(every="3d", min_new_rows=1_000), state(trained_at=NOW - timedelta(hours=hours), new_rows=rows))
    assert decision.retrain == (hours >= 72 and rows >= 1_000)
    assert decision.why


def test_drift_trains_before_its_time_but_not_without_new_rows_and_not_by_a_warning():
    assert decide(Policy(), state(), report("alarm")).trigger == "drift"
    assert decide(Policy(), state(), report("alarm", "concept")).trigger == "drift"
    assert not decide(Policy(), state(), report("warn")).retrain
    assert not decide(Policy(), state(), report("alarm", "latency")).retrain
    assert not decide(Policy(), state(new_rows=10), report("alarm")).retrain
    assert not decide(Policy(on_drift=False), state(), report("alarm")).retrain


def test_a_refused_try_is_not_repeated_at_once():
    tried = state(trained_at=NOW - timedelta(days=9), tried_at=NOW - timedelta(hours=1), held_up="refused: poison.label-flip")
    assert not decide(Policy(), tried).retrain
    assert not decide(Policy(), state(trained_at=None, tried_at=NOW - timedelta(hours=1), new_rows=0)).retrain


def test_on_request_only_a_person_starts_it_and_a_person_may_always():
    asked = Policy(on_request=True)
    assert not decide(asked, state(trained_at=None)).retrain
    assert not decide(asked, state(), report("alarm")).retrain
    assert decide(asked, state(requested=True)).trigger == "requested"
    assert decide(Policy(), state(requested=True, new_rows=0)).trigger == "requested"


def test_no_end_of_a_training_for_long_is_an_alert_that_says_what_held_it_up():
    assert staleness(Policy(), state(trained_at=NOW - timedelta(days=7))) is None
    old = state(trained_at=NOW - timedelta(days=8), tried_at=NOW, held_up="refused: poison.label-flip")
    alert = staleness(Policy(), old)
    assert alert.event == "stale"
    assert "8.0d" in alert.message
    assert "poison.label-flip" in alert.message
    assert staleness(Policy(), state(trained_at=None, tried_at=NOW - timedelta(days=8))).event == "stale"
    assert staleness(Policy(), state(trained_at=None)) is None
    assert staleness(Policy(on_request=True), state(trained_at=NOW - timedelta(days=80))) is None


def test_the_request_names_tables_sources_and_the_report_it_answers():
    seen = report("alarm")
    request = retrain(seen, Policy(), state(tables=("reviews", "events"), sources=("web",)))
    assert (request.tables, request.sources, request.trigger, request.parents) == (("events", "reviews"), ("web",), "drift", (seen.digest,))
    assert request == retrain(seen, Policy(), state(tables=("events", "reviews"), sources=("web",)))
    assert retrain(None, Policy(), state()) is None


def test_a_request_is_named_by_what_it_asks():
    one, other = (Request.of(["events"], trigger="time", why=why) for why in ("a", "b"))
    assert one.digest != other.digest
    assert one.to_json()["tables"] == ["events"]
    for tables in ([], ["../etc"], ["Events"]):
        with pytest.raises(UsageError):
            Request.of(tables, trigger="time", why="x")


@pytest.mark.parametrize("wrong", ["", "1", "d", "0d", "-1d", "1.5h", "1 d", "1y", "٣d", "99999999d", 5, None])
def test_a_duration_that_is_none_says_what_one_is(wrong):
    with pytest.raises(UsageError, match=r"every=.*'12h'"):
        Policy(every=wrong)


@pytest.mark.parametrize("wrong", [{"every": "2w"}, {"min_new_rows": 0}, {"approve": -1}, {"margin": 1.0}, {"min_users": 1}])
def test_a_policy_that_could_never_work_is_refused(wrong):
    with pytest.raises(UsageError):
        Policy(**wrong)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(UsageError, match="no time zone"):
        state(trained_at=datetime(2026, 1, 1))
