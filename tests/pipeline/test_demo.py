"""The demo: one story of figures, and told again it makes nothing again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.typed import typed

from headwater.pipeline.project import Project

FIELDS = {"source", "events", "rejected", "users", "items", "trials", "ndcg_at_10", "popularity_ndcg_at_10"}
FIELDS |= {"model", "dataset_digest", "seconds", "promoted"}


def test_offline_it_tells_one_object_and_then_a_short_story_without_making_anything_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "nothing was ever fetched"))
    folder = tmp_path / "demo"
    first = typed("demo", "shop", "--offline", "-C", folder, "-o", "json")
    assert first.code == 0, first.err
    story = first.json
    assert set(story) >= FIELDS
    assert story["source"] == "simulated"
    assert story["rejected"] == 12
    assert story["ndcg_at_10"] > story["popularity_ndcg_at_10"]
    assert story["ndcg_at_10_interval"][0] <= story["ndcg_at_10"] <= story["ndcg_at_10_interval"][1]
    assert {"collect", "process", "train", "deploy", "monitor", "serve"} <= set(story["seconds"])
    attack = story["attack"]
    assert attack["place_without_gates"] < attack["place_before"] <= attack["place_with_gates"] + 50
    assert attack["rows_taken_out"] > 0.25 * attack["rows"] > 0
    assert attack["others_rows_taken_out"] < 0.02 * story["events"]
    assert attack["late"]["clean"]
    project = Project.open(folder)
    before = project.ledger.head()[0]
    assert project.lake.table("tables/feedback").scan().collect().height > 0

    again = typed("demo", "shop", "--offline", "-C", folder)
    assert again.code == 0, again.err
    told = again.out.splitlines()
    assert len(told) <= 40
    assert any("Try next" in line for line in told)
    assert {entry.kind for entry in project.ledger.entries(after=before)} <= {"report"}
    assert typed("verify", "-C", folder).code == 0
