"""Predictor: the port. Something that recommends items, whatever framework made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Predictor"]


class Predictor(Protocol):
    """A model that is loaded and ready.

    Laws: `recommend` changes nothing, may be called from any thread, answers also for a user it never saw, and gives
    at most `k` items, best first, each once, with finite scores. `digest` is the digest of the model it was loaded from.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]: ...
