"""A step that takes lazy frames is given what its plan reads, and gives what one that takes whole frames gives."""

from pathlib import Path

import polars as pl
import pytest

from headwater.core.errors import UsageError
from headwater.engines.local import LocalEngine
from headwater.process.lazily import pruned
from headwater.process.order import PLACE
from headwater.process.step import Step, step

EVENTS = pl.DataFrame(
    {
        "user_id": [f"u{n % 7}" for n in range(100)],
        "value": list(range(100)),
        "text": ["long"] * 100,
        PLACE: list(range(100)),
    }
)


@step(by="user_id")
def lazy(events: pl.LazyFrame) -> pl.LazyFrame:
    return events.group_by("user_id").agg(pl.col("value").last())


@step(by="user_id")
def eager(events: pl.DataFrame) -> pl.DataFrame:
    return events.group_by("user_id").agg(pl.col("value").last())


@step
def everything(events: pl.LazyFrame) -> pl.LazyFrame:
    return events.with_columns(twice=pl.col("value") * 2)


@step(by="user_id")
def narrowed(events: pl.LazyFrame) -> pl.LazyFrame:
    return events.filter(pl.col("text") == "long").select("user_id", "value")


@step(by="user_id")
def broken(events: pl.LazyFrame) -> pl.LazyFrame:
    return events.select("user_id", "nothing")


def _columns(one: Step) -> set[str]:
    return set(pruned(one, {"events": EVENTS.lazy()})["events"].collect_schema())


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (lazy, {"user_id", "value", PLACE}),
        (eager, {"user_id", "value", "text", PLACE}),
        (everything, {"user_id", "value", "text", PLACE}),
        (narrowed, {"user_id", "value", "text", PLACE}),
        (broken, {"user_id", "value", "text", PLACE}),
    ],
    ids=["lazy", "eager", "everything", "a filter reads too", "broken"],
)
def test_only_what_a_lazy_plan_reads_is_left_and_its_key_and_the_order(one: Step, expected: set[str]) -> None:
    assert _columns(one) == expected


@pytest.mark.parametrize("budget", [512 << 20, 2_000])
def test_it_gives_what_the_eager_step_gives_in_order_and_in_parts(budget: int, tmp_path: Path) -> None:
    shuffled = {"events": EVENTS.sample(fraction=1.0, shuffle=True, seed=1).lazy()}
    made = [
        pl.concat([pl.DataFrame(batch) for batch in LocalEngine(memory_budget=budget, spill=tmp_path).apply(one, pruned(one, shuffled))])
        for one in (lazy, eager)
    ]
    assert made[0].sort("user_id").equals(made[1].sort("user_id"))
    assert made[0].filter(pl.col("user_id") == "u1")["value"].to_list() == [99]


def test_a_lazy_plan_that_fails_is_named() -> None:
    with pytest.raises(UsageError, match="step broken failed: ColumnNotFoundError"):
        list(LocalEngine().apply(broken, pruned(broken, {"events": EVENTS.lazy()})))
