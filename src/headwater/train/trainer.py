"""Trainer: the port of whatever learns. Data in, arrays out, nothing that can run code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from headwater.core.artifact import Fact

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from headwater.train.scores import Scores

__all__ = ["Baseline", "Classifier", "Data", "Draw", "Fitted", "Ranker", "Trainer", "Trial", "Window", "Windows"]


class Data(Protocol):
    """Prepared tables at exact versions. The same digest means the same rows, in whatever order they come."""

    @property
    def digest(self) -> str: ...

    def table(self, name: str) -> pl.LazyFrame: ...


class Draw(Protocol):
    """Where a trainer draws a trial's parameters from; Optuna's `Trial` is one."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of parameters to try, and the seed of all its randomness."""

    parameters: Mapping[str, Fact]
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What was learned: arrays and plain values only. `framework` says who can make a predictor of it."""

    framework: str
    arrays: Mapping[str, NDArray[Any]]
    parameters: Mapping[str, Fact]
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Ranker(Protocol):
    """What can recommend: pairs of item and score, best first. `history` is what a user did, oldest first."""

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]: ...


class Classifier(Protocol):
    """What can tell classes apart. Rows that lack a feature it needs, or have one of another type, raise `DataError`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, as text, in the order of the columns of `probabilities`."""
        ...

    def probabilities(self, rows: pl.DataFrame) -> NDArray[Any]:
        """float64 of shape (rows, classes); each row sums to 1."""
        ...


@dataclass(frozen=True, kw_only=True)
class Window:
    """A point in time: `train` is what was known before it, `holdout` what came after, as its trainer's `score` takes it."""

    train: Data
    holdout: Any


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Rolling points in time: `validation` is for the search; `test` comes after all of it and is looked at once."""

    validation: tuple[Window, ...]
    test: Window


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What one would do without learning, scored on the same test; `facts` say how it was set."""

    scores: Scores
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Trainer(Protocol):
    """Something that learns from one prepared table.

    The law of trainers: the same prepared data, trial and seed give the same scores, and on one platform the same
    bytes, in whatever order the rows came; fitting changes nothing that it was given. `TrainerLaws` is its test.
    """

    @property
    def framework(self) -> str: ...

    @property
    def table(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def trials(self) -> int: ...

    @property
    def seed(self) -> int: ...

    def declared(self) -> Mapping[str, Fact]:
        """Everything the user said: a part of the model's derivation."""
        ...

    def libraries(self) -> tuple[str, ...]:
        """The packages whose versions may alter what is learned."""
        ...

    def defaults(self) -> Mapping[str, Fact]:
        """The parameters tried first."""
        ...

    def suggest(self, draw: Draw) -> Mapping[str, Fact]:
        """Draw the parameters of one trial."""
        ...

    def windows(self, data: Data) -> Windows:
        """Cut the data at points in time. Raises `DataError` if there is too little to evaluate."""
        ...

    def window(self, data: Data, after: int) -> Window:
        """Cut the data at one instant, in microseconds since 1970: to compare two models on what neither has seen."""
        ...

    def between(self, data: Data, after: int) -> int:
        """The instant that halves what came after another: a challenger may learn from the first half, both are scored on the rest."""
        ...

    def fit(self, data: Data, trial: Trial) -> Fitted:
        """Learn from all of `data`."""
        ...

    def score(self, fitted: Fitted, holdout: Any) -> Scores:
        """How well it does on what came after, by subject."""
        ...

    def baselines(self, windows: Windows) -> Mapping[str, Baseline]:
        """The plain alternatives, set on validation and scored on the test."""
        ...
