"""Predictor: the ports, one for each kind. What recommends items, or tells the classes of rows, whatever framework made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeGuard

if TYPE_CHECKING:
    import polars as pl

    from headwater.train.examples import Feature

__all__ = ["AnyPredictor", "Classes", "Predictor", "RowPredictor", "ask_once", "is_recommender", "is_row_predictor"]


class Loaded(Protocol):
    """A model that is loaded and ready. `digest` is the digest of the model it was loaded from."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def digest(self) -> str: ...


class Predictor(Loaded, Protocol):
    """What recommends.

    Laws: `recommend` changes nothing, may be called from any thread, answers also for a user it never saw, and gives
    at most `k` items, best first, each once, with finite scores.
    """

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]: ...


@dataclass(frozen=True, slots=True)
class Classes:
    """What a row is: every class with its probability, likeliest first. `radius`, where it is certified, is how many
    contributors could have been poisoned without changing the first."""

    best: tuple[tuple[str, float], ...]
    radius: int | None = None


class RowPredictor(Loaded, Protocol):
    """What tells the classes of rows.

    Laws: `classify` changes nothing, may be called from any thread, gives one answer a row, the same alone or among
    others, also where every feature is missing, and raises `DataError` for rows without the `features`.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def features(self) -> tuple[Feature, ...]: ...

    def classify(self, rows: pl.DataFrame) -> list[Classes]: ...


AnyPredictor = Predictor | RowPredictor


def is_row_predictor(predictor: AnyPredictor) -> TypeGuard[RowPredictor]:
    """Whether it tells classes."""
    return hasattr(predictor, "classify")


def is_recommender(predictor: AnyPredictor) -> TypeGuard[Predictor]:
    """Whether it recommends."""
    return hasattr(predictor, "recommend")


def ask_once(predictor: AnyPredictor) -> None:
    """Have it answer about nobody, or nothing: a model that cannot answer is found out, and its pages are warm."""
    if is_recommender(predictor):
        predictor.recommend(None, k=10)
    elif is_row_predictor(predictor):
        import polars as pl

        predictor.classify(pl.DataFrame({feature.name: [None] for feature in predictor.features}))
