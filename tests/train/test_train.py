"""The stage: killed anywhere and run again, the same model; and the manifest says what it must."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tests.train.training import opened, trained

from headwater.core.errors import DataError, Refused
from headwater.frameworks.factors import Recommender
from headwater.ledger.seals import check_chain
from headwater.testing.tastes import tastes, tastes_frame
from headwater.train.interactions import Frame
from headwater.train.model import Model, fitted_of
from headwater.train.origin import derivation
from headwater.train.registry import WEIGHTS
from headwater.train.scores import paired
from headwater.train.train import train
from headwater.train.trainer import Trial


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one model was trained."""
    folder = tmp_path_factory.mktemp("trained")
    trained(folder)
    return folder


@pytest.fixture(scope="module")
def model(home: Path) -> Model:
    return opened(home)[0].load("shop", 1)[0]


def killed(home: Path, point: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HEADWATER_FAILPOINT": point, "PYTHONPATH": os.pathsep.join(["src", "."])}
    return subprocess.run([sys.executable, "-m", "tests.train.training", str(home)], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    "point",
    [
        "train.search.trial:2", "train.search.after", "train.save.before", "train.registry.write", "train.save.after",
        "ledger.model.before", "ledger.model.after", "train.recorded",
    ],
)  # fmt: skip
def test_killed_anywhere_and_run_again_it_is_the_model_it_would_have_been(tmp_path: Path, model: Model, point: str) -> None:
    dead = killed(tmp_path, point)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert trained(tmp_path).digest == model.digest
    registry, ledger = opened(tmp_path)
    assert registry.versions("shop") == [1]
    assert [entry.body["model"] for entry in ledger.entries("model")] == [model.digest]
    assert list(check_chain(ledger)) == []
    assert list((tmp_path / "work").iterdir()) == []


def test_trained_in_another_process_it_is_the_same_and_nothing_is_said(tmp_path: Path, model: Model) -> None:
    done = killed(tmp_path, "nowhere")
    assert (done.stdout, done.stderr) == (model.digest, "")


def test_the_same_inputs_are_not_trained_again_and_others_are(home: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Recommender, "fit", None)  # would raise
        assert trained(home) == model
    assert trained(home, seed=1, trials=1).version == 2


def test_the_manifest_names_data_code_environment_and_how_good_it_is_beside_both_popularities(model: Model) -> None:
    assert model.dataset == tastes().digest == model.parents[0]
    assert {"python", "implicit", "numpy", "scipy", "optuna", "polars"} <= set(model.environment)
    assert model.parameters["method"] == "neighbours"
    assert model.files.keys() == {WEIGHTS}
    test = model.metrics["test"]
    assert test["ndcg@10"]["low"] <= test["ndcg@10"]["value"] <= test["ndcg@10"]["high"]
    assert {"recall@10", "coverage@10", "warm"} <= set(test)
    assert set(model.metrics["baselines"]) == set(model.metrics["over"]) == {"popularity", "recent_popularity"}
    assert model.metrics["over"]["popularity"]["low"] > 0  # tastes can be learned, and were
    assert model.metrics["search"]["trials"] == 3


def test_a_model_that_was_changed_since_is_refused_and_not_quietly_made_anew(tmp_path: Path) -> None:
    trained(tmp_path, trials=1)
    path = tmp_path / "lake/models/shop/1" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(Refused, match=WEIGHTS):
        trained(tmp_path, trials=1)


def test_a_model_that_is_gone_is_made_again_the_same(tmp_path: Path) -> None:
    import shutil

    first = trained(tmp_path, trials=1)
    shutil.rmtree(tmp_path / "lake/models/shop")
    assert trained(tmp_path, trials=1).digest == first.digest


def test_a_derivation_knows_data_declaration_seed_and_name() -> None:
    trainer, data = Recommender("interactions"), tastes()
    other = [
        derivation(tastes(seed=1), trainer, name="shop", seed=0),
        derivation(data, replace(trainer, trials=5), name="shop", seed=0),
        derivation(data, trainer, name="shop", seed=1),
        derivation(data, trainer, name="clinic", seed=0),
        derivation(data, trainer, name="shop", seed=0),
    ]
    assert len(set(other)) == 5
    assert derivation(data, trainer, name="shop", seed=0) == other[-1]


def test_too_little_data_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 20 needed"):
        trained(tmp_path, users=5, events=50)
    registry, ledger = opened(tmp_path)
    assert registry.names() == []
    assert ledger.last("model") is None


def test_champion_and_challenger_are_compared_on_what_neither_has_seen(home: Path) -> None:
    registry, _ = opened(home)
    champion = fitted_of(*registry.load("shop", 1))
    trainer = Recommender("interactions", weight="weight")
    old = tastes_frame()
    new = tastes_frame(seed=9).with_columns(pl.col("ts") + pl.duration(days=61))
    later = Frame(name="interactions", frame=pl.concat([old, new]), digest="sha256:later")
    until = int(champion.facts["until_us"] or 0)
    cut = trainer.between(later, until)
    window = trainer.window(later, cut)
    assert until < cut == window.holdout.cut
    challenger = trainer.fit(window.train, Trial(parameters=trainer.defaults()))
    ours, theirs = trainer.score(challenger, window.holdout), trainer.score(champion, window.holdout)
    difference = paired(ours, theirs, trainer.metric)
    assert difference.subjects == len(window.holdout.users)
    assert difference.low <= difference.value <= difference.high


def test_progress_is_told(tmp_path: Path) -> None:
    registry, ledger = opened(tmp_path)
    told: list[str] = []
    trainer = Recommender("interactions", trials=2)
    train(tastes(), trainer, name="shop", registry=registry, ledger=ledger, work_folder=tmp_path, progress=told.append)
    assert [line.split(":")[0] for line in told] == ["trial 1 of 2", "trial 2 of 2"]
    assert list(tmp_path.glob("search-*")) == []
