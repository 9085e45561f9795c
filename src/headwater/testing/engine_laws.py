"""The law of engines as tests: any engine gives the rows that the local one gives, and leaves nothing behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from headwater.core.errors import UsageError
from headwater.engines.local import LocalEngine
from headwater.process.engine import Engine
from headwater.process.law import difference, pl_frame
from headwater.process.step import Step, day, step

if TYPE_CHECKING:
    import polars as pl

__all__ = ["EngineLaws"]


def visits(events: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    ordered = events.sort("user_id", "ts", maintain_order=True)
    return ordered.group_by("user_id", maintain_order=True).agg(pl.col("ts").first(), first=pl.col("value").first(), n=pl.len())


def joined(events: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    seen = events.group_by("user_id").agg(pl.col("value").sum())
    return users.group_by("user_id").agg(pl.col("name").last()).join(seen, on="user_id", how="full", coalesce=True, nulls_equal=True)


def plain(events: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return events.filter(pl.col("value") % 3 != 0).with_columns(twice=pl.col("value") * 2)


def named(events: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    return events.join(users.unique("user_id", keep="last", maintain_order=True), on="user_id")


def days(events: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return events.group_by("user_id", date=pl.col("ts").dt.date()).agg(pl.col("ts").min(), pl.col("value").sum())


_STEPS = {
    "row by row": step(plain),
    "by key": step(by="user_id")(visits),
    "by key, two tables": step(by="user_id")(joined),
    "by key and day": step(by=("user_id", day("ts")))(days),
    "broadcast": step(broadcast="users")(named),
}


class EngineLaws:
    """Inherit it, and give the fixture `engine`."""

    @pytest.mark.parametrize("kind", _STEPS)
    @pytest.mark.parametrize("rows", [0, 1, 3_000])
    def test_it_gives_the_rows_that_the_local_engine_gives(self, engine: Engine, kind: str, rows: int) -> None:
        one = _STEPS[kind]
        inputs = {name: frame for name, frame in _inputs(rows).items() if name in one.inputs}
        what = difference(_run(LocalEngine(), one, inputs), _run(engine, one, inputs))
        assert what is None, what

    def test_it_may_be_asked_again(self, engine: Engine) -> None:
        one, inputs = _STEPS["by key"], {"events": _inputs(500)["events"]}
        assert difference(_run(engine, one, inputs), _run(engine, one, inputs)) is None

    def test_a_step_that_fails_is_named(self, engine: Engine) -> None:
        @step(by="user_id")
        def broken(events: pl.DataFrame) -> pl.DataFrame:
            raise ValueError("no")

        with pytest.raises(UsageError, match="broken failed: ValueError"):
            _run(engine, broken, {"events": _inputs(500)["events"]})


def _run(engine: Engine, one: Step, inputs: dict[str, pl.LazyFrame]) -> pl.DataFrame:
    import polars as pl
    import pyarrow as pa

    batches = list(engine.apply(one, inputs))
    return pl_frame(pa.Table.from_batches(batches)) if batches else pl.DataFrame()


def _inputs(rows: int) -> dict[str, pl.LazyFrame]:
    import polars as pl

    start = datetime(2026, 1, 1)
    events = pl.DataFrame(
        {
            "user_id": [None if n % 97 == 0 else f"u{n * n % 41}" for n in range(rows)],
            "ts": [start + timedelta(minutes=n * 7919 % 9000 // 50 * 50) for n in range(rows)],
            "value": [n * 31 % 1000 for n in range(rows)],
            "_place": list(range(rows)),
        },
        schema={
            "user_id": pl.String,
            "ts": pl.Datetime("us"),
            "value": pl.Int64,
            "_place": pl.Int64,
        },
    )
    users = pl.DataFrame({"user_id": [f"u{n % 45}" for n in range(90)], "name": [f"n{n}" for n in range(90)]})
    return {"events": events.sample(fraction=1.0, shuffle=True, seed=rows).lazy(), "users": users.lazy()}
