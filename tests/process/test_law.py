"""A step that depends on anything but its rows is caught on its first run, and what differed is named."""

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from headwater.core.errors import DataError, HeadwaterError, Refused, UsageError
from headwater.engines.local import LocalEngine
from headwater.process.law import difference
from headwater.process.step import Step, day, step
from headwater.testing.small_lake import SmallLake

START = datetime(2026, 1, 1, 20, tzinfo=UTC)
calls: list[int] = []


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    made = SmallLake(tmp_path)
    made.add("events", events(60))
    return made


def events(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": [n % 7 for n in range(rows)],
            "ts": [START + timedelta(minutes=40 * n) for n in range(rows)],
            "value": list(range(rows)),
        }
    )


def first_run(lake: SmallLake, one: Step, kind: type[HeadwaterError]) -> str:
    with pytest.raises(kind) as caught:
        lake.process([one], LocalEngine())
    assert one.name in str(caught.value)
    assert lake.ledger.last("prepared") is None
    return str(caught.value)


def test_a_step_that_reads_the_clock_is_refused(lake: SmallLake) -> None:
    @step
    def stamped(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(made=pl.lit(time.time_ns()))

    assert "column 'made' differed" in first_run(lake, stamped, Refused)


def test_a_step_that_throws_dice_is_refused(lake: SmallLake) -> None:
    @step(by="user_id")
    def sampled(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(die=pl.lit(random.random()))

    assert "column 'die' differed" in first_run(lake, sampled, Refused)


def test_a_step_that_counts_in_a_global_is_refused(lake: SmallLake) -> None:
    @step
    def counted(events: pl.DataFrame) -> pl.DataFrame:
        calls.append(1)
        return events.with_columns(calls=pl.lit(len(calls)))

    assert "column 'calls' differed" in first_run(lake, counted, Refused)


def test_a_row_step_that_looks_at_other_rows_is_refused(lake: SmallLake) -> None:
    @step
    def ranked(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(share=pl.col("value") / pl.col("value").sum())

    assert "column 'share' differed" in first_run(lake, ranked, Refused)


def test_a_step_by_key_that_looks_at_other_keys_is_refused(lake: SmallLake) -> None:
    @step(by="user_id")
    def scaled(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(pl.col("value") - pl.col("value").min())

    assert "column 'value' differed" in first_run(lake, scaled, Refused)


def test_a_step_by_day_that_looks_at_other_days_is_refused(lake: SmallLake) -> None:
    @step(by=("user_id", day("ts")))
    def cumulated(events: pl.DataFrame) -> pl.DataFrame:
        return events.sort("ts").with_columns(pl.col("value").cum_sum().over("user_id"))

    assert "column 'value' differed" in first_run(lake, cumulated, Refused)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_step_that_looks_further_than_it_says_is_refused(lake: SmallLake, backwards: bool) -> None:
    @step(by="user_id", time="ts", lookback="1h")
    def cumulated(events: pl.DataFrame) -> pl.DataFrame:
        return events.sort("ts").with_columns(pl.col("value").cum_sum(reverse=backwards).over("user_id"))

    assert "lookback" in first_run(lake, cumulated, Refused)


def test_a_step_that_renames_keys_is_refused(lake: SmallLake) -> None:
    @step(by="user_id")
    def shifted(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(pl.col("user_id") + 100)

    assert "keys" in first_run(lake, shifted, Refused)


def test_a_step_that_raises_is_named_with_its_error(lake: SmallLake) -> None:
    @step
    def broken(events: pl.DataFrame) -> pl.DataFrame:
        return events.select("nothing")

    assert "ColumnNotFoundError" in first_run(lake, broken, UsageError)


def test_a_key_or_a_contributor_that_does_not_come_out_is_named(lake: SmallLake) -> None:
    @step(by="user_id")
    def keyless(events: pl.DataFrame) -> pl.DataFrame:
        return events.select("value", user_ids="user_id")

    @step
    def nameless(events: pl.DataFrame) -> pl.DataFrame:
        return events.select("value")

    assert "Did you mean 'user_ids'" in first_run(lake, keyless, UsageError)
    with pytest.raises(UsageError, match="loses the contributor 'user_id'"):
        lake.process([nameless], LocalEngine(), contributors={"events": "user_id"})


def test_types_that_cannot_be_kept_are_refused_and_unsigned_ones_become_signed(lake: SmallLake) -> None:
    @step
    def odd(events: pl.DataFrame) -> pl.DataFrame:
        return events.with_columns(span=pl.col("ts") - pl.col("ts"))

    @step
    def unsigned(events: pl.DataFrame) -> pl.DataFrame:
        return events.select(pl.col("value").cast(pl.UInt32), word=pl.lit("a", dtype=pl.Categorical))

    assert "'span' as duration" in first_run(lake, odd, UsageError)
    prepared = lake.process([unsigned], LocalEngine())
    assert prepared.scan(lake.lake, "unsigned").collect_schema() == {"value": pl.Int64, "word": pl.String}


def test_a_later_change_of_columns_or_types_is_an_error_that_says_to_rebuild(lake: SmallLake) -> None:
    @step
    def shaped(events: pl.DataFrame) -> pl.DataFrame:
        big = events["value"].max() or 0
        return events.with_columns(pl.col("value").cast(pl.String)) if int(str(big)) >= 1000 else events

    before = lake.process([shaped], LocalEngine())
    lake.add("events", events(60).with_columns(pl.col("value") + 1000))
    with pytest.raises(DataError, match=r"'value' as .*string.*not int64.*rebuild"):
        lake.process([shaped], LocalEngine())
    assert before.scan(lake.lake, "shaped").collect().height == 60


def test_steps_get_the_kind_of_frame_that_they_ask_for_and_the_users_columns_only(lake: SmallLake) -> None:
    import pandas as pd

    @step
    def arrow(events: pa.Table) -> pa.Table:
        assert events.column_names == ["user_id", "ts", "value"]
        return events

    @step(by="user_id")
    def panda(arrow: pd.DataFrame) -> pd.DataFrame:
        return arrow.groupby("user_id", as_index=False)["value"].sum()

    prepared = lake.process([arrow, panda], LocalEngine())
    assert prepared.scan(lake.lake, "panda").select(pl.col("value").sum()).collect().item() == sum(range(60))


def test_changed_code_runs_again_and_a_comment_does_not(lake: SmallLake) -> None:
    def made(line: str) -> Step:
        names: dict[str, object] = {"step": step, "__name__": "made_up", "FACTOR": 2}
        exec(f"def scaled(events):\n    {line}\n    return events", names)
        return step(names["scaled"])  # type: ignore[arg-type]

    runs = [lake.process([made(line)], LocalEngine()).facts["scaled.run"] for line in ("pass", "pass  # same", "events = events.head(0)")]
    assert runs == ["whole", "unchanged", "whole"]


def test_a_difference_in_one_float_beyond_rounding_is_named() -> None:
    one = pl.DataFrame({"a": [1, 2], "b": [0.1 + 0.2, None]})
    assert difference(one, pl.DataFrame({"a": [2, 1], "b": [None, 0.3]})) is None
    assert difference(one, pl.DataFrame({"a": [2, 1], "b": [None, 0.31]})) == "column 'b' differed in 1 of 2 rows"
    assert difference(one, pl.DataFrame({"a": [2, 1], "b": [0.3, 0.3]})) == "column 'b' differed in 1 of 2 rows"
