"""A classification pipeline under attack, from the file to the served model, with the gates that it has by default."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.pipeline import review
from headwater.pipeline.init import init
from headwater.pipeline.project import Project
from headwater.testing.symptoms import symptoms_frame

Copy = Callable[[Path], Path]

TOML = '[default]\npipeline = "cases.py"\nlake = "lake"\n[default.sources]\ncases = "data/*.parquet"\n'
PIPELINE = '''
from typing import Annotated

import pandera.polars as pandera
import polars as pl

from headwater import Pipeline, Table, step
from headwater.frameworks.sklearn import Classifier


class Case(pandera.DataFrameModel):
    """What was seen and what it was called."""

    case: str
    site: str
    ts: Annotated[pl.Datetime, "us", "UTC"]
    heat: float = pandera.Field(nullable=True)
    pulse: int
    place: str = pandera.Field(nullable=True)
    finding: str


@step
def examples(cases: pl.DataFrame) -> pl.DataFrame:
    """Cases as they are learned from."""
    return cases.select("case", "site", "ts", "heat", "pulse", "place", "finding")


pipeline = Pipeline(
    "cases",
    collect=[Table("cases", contract=Case, key="case", contributor="site", time="ts")],
    process=[examples],
    train=Classifier(
        "examples", "finding", features=("heat", "pulse", "place"), time="ts", key="case", contributor="site", method="linear", trials=1
    ),
)
'''
LIARS = ["site003", "site007"]


def cases(seed: int, rows: int, *, after: int) -> pl.DataFrame:
    """Some days' cases of twenty sites."""
    frame = symptoms_frame(rows=rows, sites=20, classes=3, seed=seed).drop("patient", "cough")
    later = pl.col("ts").dt.replace_time_zone("UTC") + pl.duration(days=after)
    return frame.with_columns(ts=later, case=pl.format("{}-{}", pl.lit(seed), "case"))


def turned(frame: pl.DataFrame) -> pl.DataFrame:
    """The same with half of what two sites say turned one way, by the number of the case."""
    half = pl.col("site").is_in(LIARS) & (pl.col("case").str.slice(-1).cast(pl.Int64) < 5)
    other = pl.col("finding").replace({"kind0": "kind1", "kind1": "kind2", "kind2": "kind0"})
    return frame.with_columns(finding=pl.when(half).then(other).otherwise("finding"))


def arrive(folder: Path, name: str, frame: pl.DataFrame) -> None:
    (folder / "data").mkdir(exist_ok=True)
    frame.write_parquet(folder / "data" / f"{name}.parquet")


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has learned from what it was founded on. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("cases") / "project"
    folder.mkdir()
    (folder / "headwater.toml").write_text(TOML)
    (folder / "cases.py").write_text(PIPELINE)
    init(folder)
    arrive(folder, "1", cases(1, 1_600, after=0))
    assert Project.open(folder).run().model is not None
    return folder


@pytest.fixture
def project(trusted: Path, tmp_path: Path) -> Project:
    return Project.open(Path(shutil.copytree(trusted, tmp_path / "project")))


def named(project: Project, judged: Any) -> set[str]:
    people = {project.keys.pseudonym(f"site{n:03d}"): f"site{n:03d}" for n in range(20)}
    return {people[taken["name"]] for taken in judged.taken_out if taken["kind"] == "contributor"}


def test_more_of_the_same_is_learned_from_and_nobody_is_taken_out(project: Project) -> None:
    arrive(project.profile.root, "2", cases(2, 800, after=61))
    turn = project.run()
    assert turn.judged is not None
    assert turn.judged.taken_out == ()
    assert turn.model is not None
    assert turn.snapshot is not None
    assert turn.snapshot.scan(project.lake, "cases").collect().height == 2_400


def test_liars_are_named_by_the_default_gates_and_the_model_learns_from_the_others(project: Project) -> None:
    arrive(project.profile.root, "2", turned(cases(3, 800, after=61)))
    turn = project.run()
    assert turn.judged is not None
    assert named(project, turn.judged) == set(LIARS)
    assert turn.snapshot is not None
    learned = turn.snapshot.scan(project.lake, "cases").collect()
    assert set(learned["site"]).isdisjoint(LIARS)
    assert turn.model is not None
    assert learned.height < 2_400
    assert project.verify().clean


def test_a_person_puts_one_of_them_back_exactly(project: Project) -> None:
    arrive(project.profile.root, "2", turned(cases(3, 800, after=61)))
    project.run()
    mine = project.keys.pseudonym(LIARS[0])
    (entry,) = [line["entry"] for line in review.exclusions(project) if line["name"].startswith(mine)]
    project.release(entry)
    turn = project.run()
    assert turn.snapshot is not None
    everything = project.lake.table("tables/cases").scan().filter(pl.col("site") == LIARS[0]).collect().height
    again = turn.snapshot.scan(project.lake, "cases").filter(pl.col("site").is_in(LIARS)).collect()
    assert set(again["site"]) == {LIARS[0]}
    assert again.height == everything
