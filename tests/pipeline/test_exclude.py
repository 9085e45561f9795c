"""Whoever is taken out is out of everything that comes, the last clean model serves at once, and a release undoes it exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from headwater.core.errors import Refused, UsageError
from headwater.pipeline.project import Project
from headwater.pipeline.review import exclusions

Copy = Callable[[Path], Path]
LATER = '{{"event_id":"late{n}","user_id":"late","item_id":"i{n}","ts":"2030-01-01T00:{n:02d}:00.000Z","kind":"view"}}\n'


def busiest(project: Project) -> str:
    rows = project.lake.table("tables/events").scan().group_by("user_id").agg(pl.len().alias("n"))
    return str(rows.sort("n", "user_id", descending=True).head(1).collect()["user_id"][0])


def users_in(project: Project, table: str = "interactions") -> set[str]:
    prepared = project.run(until="process").prepared
    assert prepared is not None
    return set(prepared.scan(project.lake, table).collect()["user_id"])


def later_contributor(folder: Path) -> Project:
    """A second model that alone has learned from the contributor `late`, promoted by a person."""
    newest = max((folder / "data/events").glob("*.jsonl"))
    with open(newest, "a") as file:
        file.writelines(LATER.format(n=n) for n in range(20))
    project = Project.open(folder)
    project.run(until="train")
    project.promote("2")
    return project


def test_the_last_clean_model_serves_at_once_and_the_next_one_never_saw_him(run_shop: Path, copied: Copy) -> None:
    project = later_contributor(copied(run_shop))
    answer = project.exclude("contributor:late", why="fake account")
    assert answer["affected_models"] == ["shop@2"]
    assert answer["serving"] == {"model": "lake:models/shop@1", "clean": True, "rolled_back": True}
    assert "late" not in users_in(project)
    turn = project.run()
    assert turn.model is not None
    assert [model["model"] for model in project.impact("contributor:late")["models"]] == ["shop@2"]
    assert project.verify().clean


def test_a_model_that_learned_from_him_is_not_served_again(run_shop: Path, copied: Copy) -> None:
    project = later_contributor(copied(run_shop))
    project.exclude("contributor:late")
    with pytest.raises(Refused, match="took out"):
        project.rollback("2")
    with pytest.raises(Refused, match="took out"):
        project.promote("2")


def test_without_a_clean_model_it_is_said_so_and_the_next_one_takes_over(run_shop: Path, copied: Copy) -> None:
    project = Project.open(copied(run_shop))
    answer = project.exclude(f"contributor:{busiest(project)}")
    assert answer["serving"]["clean"] is False
    turn = project.run()
    assert turn.decided is not None
    assert turn.decided.outcome == "promote"
    assert "took out" in turn.decided.why


@pytest.mark.parametrize("subject", ["contributor", "source:reviews", "batch:events/1"])
def test_a_release_puts_back_exactly_what_was_there(run_shop: Path, copied: Copy, subject: str) -> None:
    project = Project.open(copied(run_shop))
    before = project.run(until="process")
    name = f"contributor:{busiest(project)}" if subject == "contributor" else subject
    entry = project.exclude(name)["excluded"]["entry"]
    without = project.run(until="process")
    project.release(entry)
    after = project.run(until="process")
    assert before.prepared
    assert without.prepared
    assert after.prepared
    assert before.snapshot
    assert after.snapshot
    assert after.snapshot.digest == before.snapshot.digest
    assert after.prepared.digest == before.prepared.digest != without.prepared.digest
    rows = [p.scan(project.lake, "interactions").collect().sort(pl.all()) for p in (before.prepared, after.prepared)]
    assert rows[0].equals(rows[1])


def test_rows_since_a_time_go_and_earlier_ones_stay(run_shop: Path, copied: Copy) -> None:
    project = Project.open(copied(run_shop))
    user = busiest(project)
    mine = project.lake.table("tables/events").scan().filter(pl.col("user_id") == user).collect()["ts"].sort()
    cut = mine[len(mine) // 2]
    project.exclude(f"contributor:{user}", since=cut.isoformat())
    snapshot = project.run(until="process").snapshot
    assert snapshot is not None
    left = snapshot.scan(project.lake, "events").filter(pl.col("user_id") == user).collect()["ts"]
    assert left.sort().equals(mine.filter(mine < cut))


def test_what_increments_leave_is_what_a_run_from_scratch_gives_without_him(run_shop: Path, copied: Copy, tmp_path: Path) -> None:
    project = Project.open(copied(run_shop))
    user = busiest(project)
    project.exclude(f"contributor:{user}")
    prepared = project.run(until="process").prepared
    assert prepared is not None
    from headwater.engines.local import LocalEngine
    from headwater.pipeline.build import read_tables
    from headwater.process.process import process
    from headwater.store.snapshot import take_snapshot

    tables = read_tables(project.pipeline)
    snapshot = take_snapshot(tables, lake=project.lake, ledger=project.ledger)
    steps = project.pipeline.process
    whole = process(
        snapshot,
        steps,
        lake=project.lake,
        ledger=project.ledger,
        engine=LocalEngine(),
        contributors={table.name: table.contributor for table in tables},
        rebuild=[step.name for step in steps],
    )
    for step in steps:
        one, other = (p.scan(project.lake, step.name).collect().sort(pl.all()) for p in (prepared, whole))
        assert one.equals(other), step.name


def test_a_contributor_is_in_the_ledger_only_by_his_pseudonym(run_shop: Path, copied: Copy) -> None:
    project = Project.open(copied(run_shop))
    user = busiest(project)
    project.exclude(f"contributor:{user}", why="seen on a list")
    project.run(until="process")
    assert f'"{user}"' not in "".join(str(dict(entry.body)).replace("'", '"') for entry in project.ledger.entries())
    assert exclusions(project)[0]["name"].startswith("p:")


@pytest.mark.parametrize(
    ("subject", "since", "said"),
    [
        ("contributor:nobody", None, "nothing was changed"),
        ("batch:events/x", None, "is no batch"),
        ("source:events", "yesterday", "is no time"),
    ],
)
def test_what_cannot_be_taken_out_changes_nothing(run_shop: Path, copied: Copy, subject: str, since: str | None, said: str) -> None:
    project = Project.open(copied(run_shop))
    head = project.ledger.head()
    with pytest.raises(UsageError, match=said):
        project.exclude(subject, since=since)
    with pytest.raises(UsageError, match="takes nothing out"):
        project.release(1)
    assert project.ledger.head() == head


def test_taking_out_twice_is_said_to_be_done_already(run_shop: Path, copied: Copy) -> None:
    project = Project.open(copied(run_shop))
    project.exclude("batch:events/1")
    with pytest.raises(UsageError, match="taken out already"):
        project.exclude("batch:events/1")


def test_said_again_after_a_kill_it_does_what_was_left(run_shop: Path, copied: Copy) -> None:
    folder = copied(run_shop)
    project = later_contributor(folder)
    environment = {**os.environ, "HEADWATER_FAILPOINT": "ledger.excluded.after"}
    command = [sys.executable, "-m", "headwater", "exclude", "contributor:late", "-C", str(folder)]
    assert subprocess.run(command, env=environment, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert project.exclude("contributor:late")["serving"]["rolled_back"]
    assert len(exclusions(project)) == 1
