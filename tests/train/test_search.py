"""The search: seeded, and resumed as if it had never been killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headwater.core.artifact import Fact
from headwater.core.errors import DataError
from headwater.train.interactions import Frame
from headwater.train.scores import Scores
from headwater.train.search import Found, search
from headwater.train.trainer import Baseline, Data, Draw, Fitted, Trial, Window, Windows


class Stopped(Exception):
    """The process died."""


@dataclass
class Hill:
    """A trainer whose score is highest at x = 0.3 with kind "b"; it may be told to die before its n-th fit."""

    trials: int = 12
    dies_at: int = -1
    fits: list[Trial] = field(default_factory=list)
    framework: str = "hill"
    table: str = "t"
    metric: str = "m"
    seed: int = 0

    def declared(self) -> Mapping[str, Fact]:
        return {"trials": self.trials}

    def libraries(self) -> tuple[str, ...]:
        return ()

    def defaults(self) -> Mapping[str, Fact]:
        return {"x": 0.9, "kind": "a"}

    def suggest(self, draw: Draw) -> Mapping[str, Fact]:
        return {"x": draw.suggest_float("x", 0.0, 1.0), "kind": draw.suggest_categorical("kind", ["a", "b"])}

    def windows(self, data: Data) -> Windows:
        raise NotImplementedError

    def window(self, data: Data, after: int) -> Window:
        raise NotImplementedError

    def between(self, data: Data, after: int) -> int:
        raise NotImplementedError

    def fit(self, data: Data, trial: Trial) -> Fitted:
        if len(self.fits) == self.dies_at:
            raise Stopped
        self.fits.append(trial)
        return Fitted(framework="hill", arrays={}, parameters=trial.parameters)

    def score(self, fitted: Fitted, holdout: Any) -> Scores:
        height = 1 - abs(float(fitted.parameters["x"] or 0) - 0.3) + (fitted.parameters["kind"] == "b")
        return Scores(subjects=("s",), values={"m": np.array([height])})

    def baselines(self, windows: Windows) -> Mapping[str, Baseline]:
        return {}


def window() -> Window:
    import polars as pl

    return Window(train=Frame(name="t", frame=pl.DataFrame(), digest="sha256:t"), holdout=None)


def run(trainer: Hill, journal: Path, seed: int = 1) -> Found:
    return search(trainer, (window(),), seed=seed, journal=journal)


@pytest.mark.parametrize("dies_at", [0, 1, 5, 10, 11])
def test_killed_and_run_again_it_tries_and_finds_what_it_would_have(tmp_path: Path, dies_at: int) -> None:
    whole = Hill()
    expected = run(whole, tmp_path / "whole.json")
    first, rest = Hill(dies_at=dies_at), Hill()
    with pytest.raises(Stopped):
        run(first, tmp_path / "killed.json")
    assert run(rest, tmp_path / "killed.json") == expected
    assert [*first.fits, *rest.fits] == whole.fits
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_the_defaults_come_first_and_the_best_is_better(tmp_path: Path) -> None:
    hill = Hill()
    found = run(hill, tmp_path / "j.json")
    assert hill.fits[0].parameters == hill.defaults()
    assert found.trials == len(hill.fits) == 12
    assert found.parameters["kind"] == "b"
    assert found.value > 1.7


def test_another_seed_tries_other_things(tmp_path: Path) -> None:
    one, other = Hill(), Hill()
    run(one, tmp_path / "a.json", seed=1)
    run(other, tmp_path / "b.json", seed=2)
    assert [t.parameters for t in one.fits] != [t.parameters for t in other.fits]


def test_nothing_is_tried_again_once_the_search_is_done(tmp_path: Path) -> None:
    found = run(Hill(), tmp_path / "j.json")
    again = Hill()
    assert run(again, tmp_path / "j.json") == found
    assert again.fits == []


def test_it_says_nothing_but_what_progress_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    search(Hill(trials=3), (window(),), seed=0, journal=tmp_path / "j.json", progress=told.append)
    assert len(told) == 3
    assert told[0].startswith("trial 1 of 3: m ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", ["", "{", "[1]", json.dumps([{"value": 1}])])
def test_a_journal_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "j.json").write_text(content)
    with pytest.raises(DataError, match=r"j\.json cannot be read"):
        run(Hill(), tmp_path / "j.json")
