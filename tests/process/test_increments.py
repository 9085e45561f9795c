"""Any sequence of increments gives what one run from scratch gives."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headwater.engines.local import LocalEngine
from headwater.testing.small_lake import SmallLake
from headwater.testing.step_laws import Batch, check_increments

sys.path.insert(0, str(Path(__file__).parent))
import shop_steps as shop

START = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = {"user_id": pl.Int64, "ts": pl.Datetime("us", "UTC"), "item": pl.String, "value": pl.Int64}
REVIEWS = {"user_id": pl.Int64, "stars": pl.Int64}
PRICES = {"stars": pl.Int64, "price": pl.Int64}

LAW = settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])


def batches(seed: int, *tables: str) -> list[list[Batch]]:
    """Two to four runs of batches, crowded: few keys, late rows, nulls, empty batches, two sources."""
    random = Random(seed)

    def frame(table: str, rows: int) -> pl.DataFrame:
        user = [random.choice([None, 1, 2, 3, 4, 5]) for _ in range(rows)]
        if table == "events":
            ts = [random.choice([None, *[START + timedelta(minutes=25 * random.randrange(200)) for _ in range(9)]]) for _ in range(rows)]
            made = zip(user, ts, random.choices("abc", k=rows), random.choices([-1, -1, 0, 1, 1, 2], k=rows), strict=True)
            return pl.DataFrame(list(made), schema=EVENTS, orient="row")
        if table == "reviews":
            return pl.DataFrame({"user_id": user, "stars": random.choices(range(1, 6), k=rows)}, schema=REVIEWS)
        return pl.DataFrame({"stars": random.choices(range(1, 6), k=rows), "price": random.choices(range(3), k=rows)}, schema=PRICES)

    first = [(table, "one", frame(table, random.randrange(20))) for table in tables]
    later = [
        [(random.choice(tables), random.choice(["one", "two"]), "") for _ in range(random.randrange(3))]
        for _ in range(random.randrange(1, 4))
    ]
    return [first, *([(table, source, frame(table, random.choice([0, 1, 2, 3, 8]))) for table, source, _ in run] for run in later)]


@pytest.fixture(autouse=True)
def _settle_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.process.process.SETTLE_ROWS", 0)


@LAW
@given(seed=st.integers(0, 2**32))
def test_steps_by_key_and_row_by_row_in_increments_equal_one_run(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    check_increments(shop.RAW_BY_KEY, batches(seed, "events", "reviews"), tmp_path_factory.mktemp("law"), LocalEngine())


@LAW
@given(seed=st.integers(0, 2**32))
def test_steps_local_in_time_in_increments_equal_one_run(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    check_increments(shop.RAW_BY_TIME, batches(seed, "events"), tmp_path_factory.mktemp("law"), LocalEngine())


@LAW
@given(seed=st.integers(0, 2**32))
def test_steps_with_a_broadcast_table_in_increments_equal_one_run(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    check_increments((shop.priced,), batches(seed, "reviews", "prices"), tmp_path_factory.mktemp("law"), LocalEngine())


def rows(*found: tuple[int, int, int]) -> pl.DataFrame:
    return pl.DataFrame([(u, START + timedelta(minutes=m), "a", v) for u, m, v in found], schema=EVENTS, orient="row")


def test_a_step_whose_code_and_inputs_did_not_change_does_not_run(tmp_path: Path) -> None:
    lake, engine = SmallLake(tmp_path), LocalEngine()
    lake.add("events", rows((1, 0, 1), (2, 0, 1)))
    first = lake.process([shop.sessions, shop.daily], engine)
    entries = lake.ledger.head()
    again = lake.process([shop.sessions, shop.daily], engine)
    assert again.tables == first.tables
    assert lake.ledger.head() == entries
    assert {first.facts["sessions.run"], again.facts["sessions.run"]} == {"whole", "unchanged"}


def test_only_the_keys_that_new_rows_touch_are_given_to_a_step_again(tmp_path: Path) -> None:
    class Watched(LocalEngine):
        def apply(self, step, inputs):  # type: ignore[no-untyped-def]
            seen.append(
                (step.name, inputs["events"].collect().select("user_id", pl.col("ts").dt.day()).unique().sort("user_id", "ts").rows())
            )
            return super().apply(step, inputs)

    seen: list[object] = []
    lake = SmallLake(tmp_path)
    lake.add("events", rows((1, 0, 1), (1, 1500, 1), (2, 0, 1), (2, 1500, 1)))
    lake.process([shop.buyers, shop.daily], Watched())
    seen.clear()
    lake.add("events", rows((1, 1501, 1)))
    made = lake.process([shop.buyers, shop.daily], Watched())
    assert seen == [("buyers", [(1, 1), (1, 2)]), ("daily", [(1, 2)])]
    assert made.facts["daily.run"] == "increment"


def test_an_unchanged_input_costs_its_downstream_nothing_but_an_entry(tmp_path: Path) -> None:
    lake, engine = SmallLake(tmp_path), LocalEngine()
    lake.add("events", rows((1, 0, 1)))
    before = lake.process([shop.buyers], engine).tables["buyers"]
    lake.add("events", rows())
    after = lake.process([shop.buyers], engine).tables["buyers"]
    assert (after.version, after.last) == (before.version, before.last)
    assert after.digest != before.digest


def test_superseded_rows_are_rewritten_once_they_are_the_most(tmp_path: Path) -> None:
    lake, engine = SmallLake(tmp_path), LocalEngine()
    lake.add("events", rows((1, 0, 1), (1, 100, 1)))
    for minute in (200, 300):
        lake.add("events", rows((1, minute, 1)))
        table = lake.process([shop.sessions], engine).tables["sessions"]
    lake.add("events", rows((1, 400, 1)))
    table = lake.process([shop.sessions], engine).tables["sessions"]
    assert table.stored < 2 * table.rows + 1
    assert any(entry.body["how"] == "settled" for entry in lake.ledger.entries("prepared"))
    stored = lake.lake.table("prepared/sessions").scan(table.version).collect()
    assert stored.height == table.rows or table.settled < table.last


def test_a_batch_that_is_gone_from_the_snapshot_means_to_start_again(tmp_path: Path) -> None:
    one, other = SmallLake(tmp_path), LocalEngine()
    one.add("events", rows((1, 0, 1)), source="good")
    one.add("events", rows((2, 0, 1)), source="bad")
    one.process([shop.buyers], other)
    del one.batches["events"]["bad"]
    assert one.process([shop.buyers], other).facts["buyers.run"] == "whole"


def test_a_rewrite_that_died_before_it_was_recorded_is_not_built_upon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, engine = SmallLake(tmp_path), LocalEngine()
    lake.add("events", rows((1, 0, 1), (2, 0, 1)))
    lake.process([shop.buyers], engine)
    with monkeypatch.context() as dying:
        dying.setattr(lake.ledger, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            lake.process([shop.buyers], engine, rebuild=["buyers"])
    lake.add("events", rows((3, 0, 1)))
    prepared = lake.process([shop.buyers], engine)
    assert lake.frames(prepared)["buyers"]["user_id"].to_list() == [1, 2, 3]
