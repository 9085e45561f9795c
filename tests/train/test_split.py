"""The split: what was fitted knows nothing of what came later, and users are asked with all that was known of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import DataError
from headwater.testing.tastes import tastes, tastes_frame
from headwater.train.interactions import Columns, Frame
from headwater.train.split import MIN_USERS, cut_at, middle_since, rolling

COLUMNS = Columns(table="interactions", user="user_id", item="item_id", time="ts")
DAY = 86_400_000_000


def frame(rows: list[tuple[str, str, int]]) -> Frame:
    """Rows of user, item, second."""
    table = pl.DataFrame(rows, schema={"user_id": pl.String, "item_id": pl.String, "ts": pl.Int64}, orient="row")
    return Frame(name="interactions", frame=table, digest="sha256:x")


def crowd(after: int, users: int = MIN_USERS) -> list[tuple[str, str, int]]:
    """Users with four events each after a second, about items of their own."""
    return [(f"crowd{n}", f"c{n}-{i}", after + i) for n in range(users) for i in range(4)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_no_window_trains_on_what_came_after_its_cut_and_none_reaches_into_the_next(seed: int) -> None:
    windows = rolling(tastes(seed=seed), COLUMNS)
    every = (*windows.validation, windows.test)
    for window in every:
        known = COLUMNS.read(window.train)
        assert known["time"].max() < window.holdout.cut < window.holdout.until  # type: ignore[operator]
    for one, other in pairwise(every):
        assert one.holdout.until <= other.holdout.cut


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_target_is_in_the_period_new_to_its_user_and_after_all_of_his_history(seed: int) -> None:
    data = tastes(seed=seed)
    holdout = rolling(data, COLUMNS).test.holdout
    events: dict[tuple[str, str], list[int]] = {}
    for user, item, _, time in COLUMNS.read(data).iter_rows():
        events.setdefault((user, item), []).append(time)
    for user, history, target in zip(holdout.users, holdout.histories, holdout.targets, strict=True):
        assert target
        assert not target & set(history)
        first_target = min(t for item in target for t in events[user, item] if t >= holdout.cut)
        assert all(min(events[user, item]) <= first_target for item in history)
        before = {item for (who, item), times in events.items() if who == user and min(times) < holdout.cut}
        assert before <= set(history)


def test_the_first_half_of_a_users_new_events_is_history_and_the_second_is_asked_for() -> None:
    rows = [
        ("old", "a", 1),
        *crowd(50),
        ("old", "b", 100),
        ("old", "c", 101),
        ("old", "d", 102),
        ("old", "a", 103),
        ("new", "b", 100),
        ("new", "c", 101),
    ]
    holdout = cut_at(frame(rows), COLUMNS, 10_000_000).holdout
    found = dict(zip(holdout.users, zip(holdout.histories, holdout.targets, holdout.warm.tolist(), strict=True), strict=True))
    assert found["old"] == (("a", "b", "c"), frozenset({"d"}), True)
    assert found["new"] == (("b",), frozenset({"c"}), False)


def test_who_did_one_thing_only_is_not_asked() -> None:
    rows = [("old", "a", 1), *crowd(50), ("once", "b", 100)]
    assert "once" not in cut_at(frame(rows), COLUMNS, 10_000_000).holdout.users


def test_too_few_users_are_an_error_that_says_how_many_are_needed() -> None:
    with pytest.raises(DataError, match=f"19 users can be asked in the comparison, at least {MIN_USERS} needed"):
        cut_at(frame([("old", "a", 1), *crowd(50, MIN_USERS - 1)]), COLUMNS, 10_000_000)
    with pytest.raises(DataError, match="users can be asked in the test"):
        rolling(frame([("u", "a", 1), ("v", "b", 1)]), COLUMNS)
    with pytest.raises(DataError, match="holds no interactions"):
        rolling(frame([]), COLUMNS)


def test_the_middle_of_what_is_new_halves_it_and_is_later_than_what_was_known() -> None:
    data = frame([("u", "i", second) for second in range(10)])
    assert middle_since(data, COLUMNS, 5_000_000) == 8_000_000  # of 6, 7, 8, 9
    assert middle_since(data, COLUMNS, -1) == 5_000_000
    with pytest.raises(DataError, match="nothing to compare on yet"):
        middle_since(data, COLUMNS, 9_000_000)


def test_asking_the_same_time_of_every_row_is_an_error_and_no_crash() -> None:
    with pytest.raises(DataError):
        rolling(frame([(f"u{n}", f"i{i}", 5) for n in range(40) for i in range(4)]), COLUMNS)


def test_the_part_before_a_cut_has_a_digest_of_its_own_and_no_other_table() -> None:
    windows = rolling(tastes(), COLUMNS)
    digests = {windows.test.train.digest, *(w.train.digest for w in windows.validation), tastes().digest}
    assert len(digests) == 2 + len(windows.validation)
    with pytest.raises(DataError, match="cut in time"):
        windows.test.train.table("clicks")


@pytest.mark.parametrize(
    "column",
    [
        pl.col("ts"),
        pl.col("ts").dt.replace_time_zone("UTC"),
        pl.col("ts").dt.cast_time_unit("ns"),
        pl.col("ts").dt.epoch("s"),
        pl.col("ts").dt.epoch("s").cast(pl.Float64),
    ],
)
def test_time_is_read_from_datetimes_of_any_unit_and_from_seconds(column: pl.Expr) -> None:
    table = pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "ts": [datetime(2024, 1, 2, 3, 4, 5)]}).with_columns(column)
    read = COLUMNS.read(Frame(name="interactions", frame=table, digest=""))
    assert read["time"][0] == (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": None}, "1 of 2400 rows have no user"),
        ({"ts": None}, "no time"),
        ({"weight": float("nan")}, "not a finite number"),
        ({"weight": None}, "not a finite number"),
    ],
)
def test_a_row_without_user_time_or_finite_weight_is_named_as_an_error(change: dict[str, Any], message: str) -> None:
    (name, value), table = next(iter(change.items())), tastes_frame()
    table[0, name] = value
    columns = Columns(table="interactions", user="user_id", item="item_id", time="ts", weight="weight")
    with pytest.raises(DataError, match=message):
        columns.read(Frame(name="interactions", frame=table, digest=""))


def test_a_missing_column_is_named_with_what_was_perhaps_meant() -> None:
    with pytest.raises(DataError, match=r"no column 'user'. Did you mean 'user_id'"):
        Columns(table="interactions", user="user", item="item_id", time="ts").read(tastes())


def test_rows_that_weigh_nothing_are_no_interest() -> None:
    table = tastes_frame(events=10).with_columns(weight=pl.Series([1.0, 0.0, -2.0] + [1.0] * 7))
    columns = Columns(table="interactions", user="user_id", item="item_id", time="ts", weight="weight")
    assert columns.read(Frame(name="interactions", frame=table, digest="")).height == 8
