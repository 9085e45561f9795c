"""A process run in a process of its own, to be killed: `python killed_run.py FOLDER RUNS`."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import shop_steps as shop

from headwater.engines.local import LocalEngine
from headwater.process import process as stage
from headwater.process.prepared import Prepared
from headwater.testing.small_lake import SmallLake

STEPS = (shop.sessions, shop.sentiment, shop.interactions)
START = datetime(2026, 1, 1, tzinfo=UTC)


def grow(root: Path, runs: int) -> tuple[SmallLake, Prepared]:
    """Add `runs` batches (those that are there already are not added twice) and process what is there then."""
    stage.SETTLE_ROWS = 0
    lake = SmallLake(root)
    for number in range(runs):
        users = [number % 2, number % 3, 1]
        times = [START + timedelta(minutes=25 * (number * 7 % 4 + i)) for i in range(3)]
        lake.add("events", pl.DataFrame({"user_id": users, "ts": times, "item": ["a", "b", "c"], "value": [1, 2, 3]}))
        lake.add("reviews", pl.DataFrame({"user_id": users, "stars": [1, 3, 5]}))
    return lake, lake.process(STEPS, LocalEngine())


if __name__ == "__main__":
    grow(Path(sys.argv[1]), int(sys.argv[2]))
