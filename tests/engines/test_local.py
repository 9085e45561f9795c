"""The local engine keeps the law of engines whatever memory it is given, and leaves nothing behind."""

from pathlib import Path

import polars as pl
import pytest

from headwater.core.errors import UsageError
from headwater.engines.local import LocalEngine
from headwater.process.engine import Engine
from headwater.process.order import in_order, with_place
from headwater.process.step import step
from headwater.testing.engine_laws import EngineLaws
from headwater.testing.small_lake import SmallLake


class TestInMemory(EngineLaws):
    @pytest.fixture
    def engine(self) -> Engine:
        return LocalEngine(batch_rows=64)


class TestInAFewParts(EngineLaws):
    @pytest.fixture
    def engine(self) -> Engine:
        return LocalEngine(memory_budget=80_000)


class TestSpilling(EngineLaws):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        return LocalEngine(memory_budget=4_000, batch_rows=7, spill=tmp_path / "spill")


@step(by="user_id")
def counted(events: pl.DataFrame) -> pl.DataFrame:
    calls.append(events.estimated_size())
    return events.group_by("user_id").agg(n=pl.len())


@step(by="user_id")
def summed(events: pl.DataFrame) -> pl.DataFrame:
    return events.group_by("user_id").agg(pl.col("value").sum())


calls: list[float] = []
EVENTS = pl.DataFrame({"user_id": [n % 500 for n in range(20_000)], "value": range(20_000)}).lazy()


def test_a_step_by_key_is_given_no_more_than_a_part_of_the_budget_at_a_time(tmp_path: Path) -> None:
    calls.clear()
    engine = LocalEngine(memory_budget=100_000, spill=tmp_path)
    rows = sum(batch.num_rows for batch in engine.apply(counted, {"events": EVENTS}))
    assert rows == 500
    assert len(calls) > 4
    assert max(calls) < 90_000


@pytest.mark.parametrize("end", ["done", "left", "failed"])
def test_the_spill_folder_is_removed_whatever_happens(tmp_path: Path, end: str) -> None:
    @step(by="user_id")
    def broken(events: pl.DataFrame) -> pl.DataFrame:
        assert list(tmp_path.iterdir())
        raise ValueError("no")

    engine = LocalEngine(memory_budget=10_000, spill=tmp_path)
    made = engine.apply(broken if end == "failed" else counted, {"events": EVENTS})
    if end == "failed":
        with pytest.raises(UsageError):
            next(made)
    elif end == "left":
        next(made)
        assert list(tmp_path.iterdir())
        made.close()  # type: ignore[attr-defined]
    else:
        assert list(made)
    assert list(tmp_path.iterdir()) == []


def test_the_rows_of_a_key_come_in_the_order_in_which_they_were_collected() -> None:
    raw = pl.DataFrame(
        {"user_id": [1] * 6, "at": range(6), "_source": list("aaabbb"), "_batch": [0, 0, 1, 0, 0, 2**26], "_row": [0, 1, 0, 0, 2**27, 0]}
    )
    placed = with_place(raw.lazy(), ["b", "a"]).collect()
    assert placed.columns == ["user_id", "at", "_place"]
    for seed in range(20):
        mixed = placed.sample(fraction=1.0, shuffle=True, seed=seed)
        assert in_order(counted, "events", mixed)["at"].to_list() == list(range(6))
    runs = pl.concat([placed[4:], placed[2:4], placed[:2]])
    assert in_order(counted, "events", runs)["at"].to_list() == list(range(6))


def test_a_stage_that_spills_equals_one_that_does_not(tmp_path: Path) -> None:
    made = {}
    for name, budget in (("small", 20_000), ("large", 1 << 30)):
        lake = SmallLake(tmp_path / name)
        for _ in range(2):
            lake.add("events", EVENTS.collect())
            prepared = lake.process([summed], LocalEngine(memory_budget=budget))
        made[name] = (prepared.digest, lake.frames(prepared)["summed"])
    assert made["small"][0] == made["large"][0]
    assert made["small"][1].equals(made["large"][1])
