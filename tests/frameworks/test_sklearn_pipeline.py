"""A classifier in a pipeline: trained, compared with the one that serves, served; a contributor is forgotten shard by shard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pandera.polars as pandera
import polars as pl
import pytest

from headwater import Pipeline, Table, step
from headwater.core.keys import Keys
from headwater.frameworks.sklearn import Classifier
from headwater.pipeline.build import ServedClassifier, load_served, predictor_of
from headwater.pipeline.project import Project
from headwater.testing.symptoms import symptoms_frame
from headwater.train.certificate import Certified, Voting
from headwater.train.trainer import Data, Fitted, Trainer, Trial


class Case(pandera.DataFrameModel):
    """A row of the clinic."""

    case: str
    patient: str
    site: str
    ts: pl.Datetime("us", "UTC")  # type: ignore[valid-type]
    heat: float = pandera.Field(nullable=True)
    pulse: int
    cough: bool
    place: str = pandera.Field(nullable=True)
    finding: str


@step
def told(cases: pl.DataFrame) -> pl.DataFrame:
    return cases.select(pl.exclude("^_.*$"))


@dataclass(frozen=True)
class Counting(Classifier):
    """Says how often it learned."""

    fits: ClassVar[list[int]] = []

    def fit(self, data: Data, trial: Trial) -> Fitted:
        self.fits.append(1)
        return super().fit(data, trial)


PLAIN = Counting("told", "finding", time="ts", key="case", split_by="patient", contributor="site", method="linear", trials=2)
TOLD = symptoms_frame(rows=700, sites=12)


def project(folder: Path, trainer: Trainer) -> Project:
    table = Table("cases", Case, key="case", contributor="site", time="ts")
    return Project.open(folder, pipeline=Pipeline("clinic", collect=[table], process=[told], train=trainer))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "headwater.toml").write_text(
        '[default]\npipeline = "clinic.py"\nlake = "lake"\n[default.sources]\ncases = "data/*.jsonl"\n'
    )
    (tmp_path / "data").mkdir()
    Keys.make(tmp_path / "keys")
    write(tmp_path, 1, TOLD.head(400))
    return tmp_path


def write(folder: Path, number: int, rows: pl.DataFrame) -> None:
    rows.with_columns(pl.col("ts").dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ")).write_ndjson(folder / "data" / f"{number}.jsonl")


def test_a_newer_classifier_is_compared_on_what_neither_has_seen_and_takes_its_place(folder: Path) -> None:
    first = project(folder, PLAIN).run()
    assert first.decided
    assert first.decided.outcome == "promote"
    write(folder, 2, TOLD.tail(300))
    opened = project(folder, PLAIN)
    second = opened.run()
    assert second.decided
    assert second.decided.comparison["metric"] == "accuracy"
    assert second.decided.comparison["users"] > 60
    assert second.decided.outcome == "promote", second.decided.why
    served = load_served(opened.registry, opened.deployments.current("clinic"))
    assert isinstance(served, ServedClassifier)
    right = [one.best[0][0] for one in served.classify(TOLD.tail(100))] == TOLD.tail(100)["finding"]
    assert right.mean() > 0.85


def test_without_a_time_it_is_held_for_a_person_because_nothing_is_known_to_be_new(folder: Path) -> None:
    trainer = replace(PLAIN, time=None, features=("heat", "pulse", "cough"))
    project(folder, trainer).run()
    write(folder, 2, TOLD.tail(300))
    decided = project(folder, trainer).run().decided
    assert decided
    assert decided.outcome == "hold"
    assert "Name a column: time=" in decided.why


def test_a_contributor_that_is_excluded_costs_his_shard_alone(folder: Path) -> None:
    trainer = Certified(PLAIN, "site", k=4)
    opened = project(folder, trainer)
    PLAIN.fits.clear()
    opened.run()
    whole = len(PLAIN.fits)
    model, arrays = opened.registry.load("clinic", 1)
    assert isinstance(predictor_of(model, arrays), Voting)
    assert "certified@1" in model.metrics["test"]
    opened.exclude("site003", why="a test")
    PLAIN.fits.clear()
    again = project(folder, trainer).run()
    assert again.model
    assert again.model.version == 2
    known, _ = opened.registry.load("clinic", 2)
    others = [name for name in model.facts if name.startswith("shard.") and model.facts[name] != known.facts.get(name)]
    assert len(others) == 1
    assert len(PLAIN.fits) == whole - 3  # evaluation learns as before; of the four shards of the model that is kept, one
