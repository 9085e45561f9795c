"""The certificate: whatever r contributors write, a prediction with a radius of r or more stays what it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.train.training import opened

from headwater.core.errors import DataError, UsageError
from headwater.formats import safetensors
from headwater.frameworks.sklearn import Classifier
from headwater.testing.symptoms import symptoms, symptoms_frame
from headwater.testing.trainer_laws import TrainerLaws
from headwater.train.certificate import Certified, certified_accuracy, forget, radii, shard_of, voting
from headwater.train.interactions import Frame
from headwater.train.train import train
from headwater.train.trainer import Data, Fitted, Trial

K = 7
FEATURES = ("cough", "heat", "place", "pulse")


@dataclass(frozen=True)
class Counting(Classifier):
    """Says how often it learned."""

    fits: ClassVar[list[int]] = []

    def fit(self, data: Data, trial: Trial) -> Fitted:
        self.fits.append(1)
        return super().fit(data, trial)


BASE = Counting("cases", "finding", features=FEATURES, key="case", method="linear")
CERTIFIED = Certified(BASE, "site", k=K)


def framed(frame: pl.DataFrame) -> Frame:
    return Frame(name="cases", frame=frame, digest="sha256:0")


def fit(data: Frame, trainer: Certified = CERTIFIED, known: Fitted | None = None) -> Fitted:
    return trainer.refit(data, Trial(parameters=trainer.defaults()), known)


@pytest.fixture(autouse=True)
def counted() -> list[int]:
    BASE.fits.clear()
    return BASE.fits


@pytest.fixture(scope="module")
def trainer() -> Certified:
    return Certified(replace(BASE, time="ts"), "site", k=4)


@pytest.fixture(scope="module")
def data() -> Frame:
    return symptoms(rows=240)


class TestCertified(TrainerLaws):
    """The law of trainers."""


VOTES = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=5)


@given(VOTES)
def test_a_radius_is_the_most_that_no_change_of_so_many_votes_can_turn(votes: list[list[int]]) -> None:
    with_room = np.insert(np.array(votes), 0, 0, axis=1)  # a label that comes before all, and that nobody said yet
    for row, radius in zip(with_room, radii(np.array(votes)), strict=True):
        first = row.argmax()

        def turned(r: int, row: np.ndarray = row, first: int = first) -> bool:
            moved = np.eye(len(row), dtype=int)
            return any((row - r * moved[first] + r * moved[other]).argmax() != first for other in range(len(row)) if other != first)

        assert not any(turned(r) for r in range(radius + 1))
        assert turned(int(radius) + 1)


@given(VOTES, st.integers(0, 4))
def test_a_shard_without_rows_that_gets_some_is_no_worse_than_one_that_is_changed(votes: list[list[int]], r: int) -> None:
    for row, radius in zip(np.array(votes), radii(np.array(votes)), strict=True):
        for other in range(3):
            more = row + r * (np.arange(3) == other)
            assert r > radius or more.argmax() == row.argmax()


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_poisoning_r_contributors_changes_no_prediction_with_a_radius_of_r(draw: st.DataObject) -> None:
    frame = symptoms_frame(rows=160, sites=16, classes=2, noise=0)
    asked = symptoms_frame(rows=40, classes=2, seed=1)
    clean = CERTIFIED.predictor(fit(framed(frame)))
    names = [*frame["site"].unique().sort(), "newcomer-1", "newcomer-2"]
    poisoned = draw.draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=3))
    random = np.random.default_rng(draw.draw(st.integers(0, 2**32)))
    bad = frame.sample(int(random.integers(1, 200)), with_replacement=True, seed=1)
    labels = draw.draw(st.sampled_from([["kind0"], ["kind1"], ["kind0", "kind1"], ["", "zzz", "kind1"]]))
    bad = bad.with_columns(
        site=pl.Series(random.choice(poisoned, bad.height)),
        finding=pl.Series(random.choice(labels, bad.height)),
        pulse=pl.Series(random.integers(-500, 500, bad.height)),
        case=pl.Series([f"bad{n}" for n in range(bad.height)]),
    )
    after = CERTIFIED.predictor(fit(framed(pl.concat([frame.filter(~pl.col("site").is_in(poisoned)), bad]))))
    before, now = clean.votes(asked), after.votes(asked)
    told = [clean.labels[at] for at in before.argmax(axis=1)]
    told_now = [after.labels[at] for at in now.argmax(axis=1)]
    sure = radii(before) >= len(poisoned)
    assert [one for one, held in zip(told, sure, strict=True) if held] == [one for one, held in zip(told_now, sure, strict=True) if held]


def test_something_is_certified_and_something_is_not() -> None:
    made = CERTIFIED.predictor(fit(symptoms(rows=160, sites=16, classes=2)))
    found = set(radii(made.votes(symptoms_frame(rows=200, classes=2, seed=1))).tolist())
    assert {0, 3} <= found <= {0, 1, 2, 3}


def test_forgetting_gives_what_training_without_him_gives_and_learns_one_shard(counted: list[int], data: Frame) -> None:
    whole = fit(data)
    counted.clear()
    forgotten = forget(CERTIFIED, whole, data, "site003", Trial(parameters=CERTIFIED.defaults()))
    assert len(counted) == 1
    without = fit(framed(data.frame.filter(pl.col("site") != "site003")))
    assert safetensors.write(forgotten.arrays) == safetensors.write(without.arrays)
    assert (forgotten.parameters, forgotten.facts) == (without.parameters, without.facts)
    assert safetensors.write(whole.arrays) != safetensors.write(without.arrays)


def test_forgetting_the_only_one_of_a_shard_leaves_it_without_a_vote(counted: list[int]) -> None:
    frame = symptoms_frame(rows=60, sites=3)
    known = fit(framed(frame))
    lonely = next(
        name for name in frame["site"].unique() if sum(shard_of(other, K) == shard_of(name, K) for other in frame["site"].unique()) == 1
    )
    counted.clear()
    forgotten = forget(CERTIFIED, known, framed(frame), lonely, Trial(parameters=CERTIFIED.defaults()))
    assert not counted
    assert len(CERTIFIED.predictor(forgotten).shards) == len(CERTIFIED.predictor(known).shards) - 1


def test_a_shard_learned_in_another_way_is_not_taken_over(counted: list[int], data: Frame) -> None:
    known = fit(data)
    counted.clear()
    fit(data, known=known)
    assert not counted
    fit(data, Certified(replace(BASE, parameters={"C": 2.0}), "site", k=K), known)
    assert len(counted) == K
    CERTIFIED.refit(data, Trial(parameters=CERTIFIED.defaults(), seed=9), known)
    assert len(counted) == 2 * K


def test_training_again_without_a_contributor_takes_the_other_shards_from_the_registry(
    counted: list[int], tmp_path: Path, data: Frame
) -> None:
    registry, ledger = opened(tmp_path)

    def run(data: Frame) -> int:
        counted.clear()
        train(data, CERTIFIED, name="clinic", registry=registry, ledger=ledger, work_folder=tmp_path / "work")
        return len(counted)

    first = run(data)
    assert run(replace(data, frame=data.frame.filter(pl.col("site") != "site003"), digest="sha256:1")) == first - (K - 1)
    model, arrays = registry.load("clinic", 2)
    expected = fit(framed(data.frame.filter(pl.col("site") != "site003")))
    assert safetensors.write(arrays) == safetensors.write(expected.arrays)
    assert model.framework == "certified:sklearn"
    assert {"certified@1", "certified@3"} <= set(model.metrics["test"])
    assert set(model.metrics["baselines"]) == {"majority", "linear", "uncertified"}


def test_a_shard_depends_on_the_name_alone_and_for_ever() -> None:
    assert [shard_of(name, 20) for name in ("site001", "site002", "", None)] == [17, 19, 10, 13]
    frame = symptoms_frame(rows=60).with_columns(site=pl.when(pl.col("pulse") > 60).then(pl.col("site")))
    assert fit(framed(frame)).facts["contributors"] == frame["site"].n_unique()


def test_nothing_is_searched_and_the_contributor_is_no_feature(data: Frame) -> None:
    trainer = Certified(replace(BASE, features=(), trials=50), "site", k=K)
    assert (trainer.trials, trainer.suggest(None)) == (1, trainer.defaults())  # type: ignore[arg-type]
    assert "site" not in {feature.name for feature in trainer.predictor(fit(data, trainer)).features}


def test_the_curve_falls_from_the_accuracy(data: Frame) -> None:
    window = CERTIFIED.windows(data).test
    fitted = CERTIFIED.fit(window.train, Trial(parameters=CERTIFIED.defaults()))
    made = CERTIFIED.predictor(fitted)
    curve = certified_accuracy(made.labels, made.votes(window.holdout.rows), window.holdout.truth)
    scores = CERTIFIED.score(fitted, window.holdout)
    assert curve(0) == pytest.approx(scores.mean("accuracy"))
    assert [scores.totals[f"certified@{r}"] for r in (1, 2, 3)] == [curve(1), curve(2), curve(3)]
    assert curve(0) >= curve(1) >= curve(2) >= curve(3) >= curve(4) == 0


def test_a_wrong_declaration_and_a_model_without_shards_say_so() -> None:
    for wrong in ({"k": 1}, {"k": 1001}):
        with pytest.raises(UsageError):
            replace(CERTIFIED, **wrong)
    with pytest.raises(UsageError, match="name one"):
        Certified(replace(BASE, contributor="patient"), "site")
    with pytest.raises(DataError, match="nothing to learn"):
        fit(framed(symptoms_frame().head(0)))
    with pytest.raises(DataError, match="not those of shards"):
        voting({}, {}, lambda *_: pytest.fail("nothing to make"))
