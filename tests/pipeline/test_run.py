"""The loop: everything new is carried to the deployment, once; what is not new costs nothing; answers are exact."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from headwater.core.errors import Retryable, UsageError
from headwater.core.files import locked
from headwater.pipeline.project import Project

Copy = Callable[[Path], Path]


def test_the_first_run_ends_with_a_signed_model_at_work(run_shop: Path) -> None:
    project = Project.open(run_shop)
    kinds = [entry.kind for entry in project.ledger.entries()]
    assert kinds[:2] == ["intent", "done"]
    assert kinds[-4:] == ["model", "decided", "deployed", "report"]
    assert project.deployments.current("shop").version == "1"


def test_every_broken_record_is_kept_with_its_reason(run_shop: Path) -> None:
    lake = Project.open(run_shop).lake
    rejected = pl.concat([lake.table(f"rejected/{name}").scan() for name in ("events", "reviews")]).collect()
    assert rejected.height == 12
    assert rejected["raw"].str.len_chars().min() > 0  # type: ignore[operator]
    assert rejected["at"].str.contains(r"^data/.*:\d+@\d+$").all()


def test_running_again_makes_nothing_again(run_shop: Path, copied: Copy) -> None:
    project = Project.open(copied(run_shop))
    before = project.ledger.head()[0]
    turn = project.run()
    assert [entry.kind for entry in project.ledger.entries(after=before)] == ["report"]
    assert turn.prepared is not None
    assert {turn.prepared.facts[f"{step}.run"] for step in turn.prepared.tables} == {"unchanged"}


def test_what_was_appended_is_collected_once_and_retrains(run_shop: Path, copied: Copy) -> None:
    folder = copied(run_shop)
    newest = max((folder / "data/events").glob("*.jsonl"))
    last_day = pl.read_ndjson(newest)
    later = last_day.with_columns(event_id=pl.col("event_id") + "x", ts=pl.lit("2030-01-01T00:00:00.000Z"))
    with open(newest, "ab") as file:
        file.write(later.write_ndjson().encode())
    turn = Project.open(folder).run()
    assert {c.source: c.rows for c in turn.collected}["events"] == later.height
    assert turn.model is not None
    assert turn.model.version == 2
    assert turn.decided is not None
    assert turn.decided.champion is not None


def test_two_runs_at_once_take_turns_or_say_why_not(run_shop: Path, copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.open(copied(run_shop))
    monkeypatch.setattr("headwater.pipeline.run.WAIT_S", 0.0)
    with locked(project.lake.root / "staged" / "run.lock", "held"), pytest.raises(Retryable, match="in use by another process"):
        project.run()


def test_why_walks_back_to_files_and_lines_and_impact_walks_forward(run_shop: Path) -> None:
    project = Project.open(run_shop)
    why = project.why("shop")
    assert {row["table"]: row["rows"] for row in why["tables"]}["events"] == sum(
        b["rows"] for b in why["batches"] if b["table"] == "events"
    )
    assert all("data/" in batch["read"] for batch in why["batches"])
    user = project.lake.table("tables/events").scan().head(1).collect()["user_id"][0]
    reached = project.impact(f"contributor:{user}")
    assert [model["model"] for model in reached["models"]] == ["shop@1"]
    assert project.impact("source:events")["subject"]["rows"] == project.lake.table("tables/events").scan().collect().height
    assert json.dumps([why, reached], default=str)


@pytest.mark.parametrize("subject", ["contributor:nobody", "batch:events/99", "source:nothing"])
def test_what_reached_nothing_is_said_to_be_unknown(run_shop: Path, subject: str) -> None:
    with pytest.raises(UsageError, match="wrote no row"):
        Project.open(run_shop).impact(subject)


def test_gc_keeps_what_a_model_was_made_from(run_shop: Path, copied: Copy) -> None:
    project = Project.open(copied(run_shop))
    before = project.why("shop")
    project.gc(keep=1)
    assert project.verify().clean
    assert project.why("shop") == before


def test_a_project_shows_itself_without_letting_html_in(run_shop: Path) -> None:
    project = Project.open(run_shop)
    assert "shop" in project._repr_html_()
    assert "<script" not in project._repr_html_()
