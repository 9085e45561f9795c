"""Collecting in a process of its own, to be killed: what a source gives is in the lake exactly once, whatever dies when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandera.polars as pandera

from headwater.collect.table import Table
from headwater.connectors.registry import open_source
from headwater.core.keys import Keys
from headwater.ledger.entries import Ledger
from headwater.store.commit import Collected, Collector
from headwater.store.lake import Lake

__all__ = ["KILL_POINTS", "THINGS", "Thing", "collect", "collect_in_a_process", "kept"]

KILL_POINTS = (
    "ledger.intent.before",
    "ledger.intent.after",
    "collect.rows.before",
    "collect.rows.after",
    "ledger.done.before",
    "ledger.done.after",
)
"""Where a collector may be killed, as `HEADWATER_FAILPOINT` names it; `name:2` is the second time it comes by."""


class Thing(pandera.DataFrameModel):
    """What the sources of these tests give: a number of its own, and of what kind it is."""

    id: int
    kind: str = pandera.Field(nullable=True)


THINGS = Table("things", contract=Thing, key="id")


def collect(folder: Path, url: str, *, batch_rows: int = 10) -> Collected:
    """Collect what came to `url` into the lake in `folder`, in small batches, as the source `things`."""
    keys = Keys(folder / "keys") if (folder / "keys").is_dir() else Keys.make(folder / "keys")
    work = Collector(THINGS, lake=Lake(folder / "lake"), ledger=Ledger(folder / "ledger.db", keys), batch_rows=batch_rows)
    return work.collect(open_source(url, name="things", schema=work.contract.schema, root=folder))


def collect_in_a_process(folder: Path, url: str, *, kill_at: str | None = None) -> bool:
    """The same in a process of its own; whether it came to its end, not killed. Raises what a test should see if it failed."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "HEADWATER_FAILPOINT": kill_at or ""}
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(folder), url], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"collecting ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.returncode == 0


def kept(folder: Path) -> list[dict[str, Any]]:
    """Every row that is in the lake in `folder`, by what it says."""
    rows = Lake(folder / "lake").table("tables/things").scan().select("id", "kind").sort("id").collect()
    return rows.to_dicts()


if __name__ == "__main__":
    collect(Path(sys.argv[1]), sys.argv[2])
