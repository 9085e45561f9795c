"""Models: what is attacked, and what serves as champion. A forest; a small net whose weights come from the peers' environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.poison.attacks.triggers import SIDE, TOP
from bench.poison.sheet import Sheet, features_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["TREES", "Forest", "Net", "forest"]

TREES = 60


@dataclass(frozen=True)
class Forest:
    """A scikit-learn forest as a champion."""

    model: Any

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(one) for one in self.model.classes_)

    def probabilities(self, rows: pl.DataFrame) -> NDArray[Any]:
        return np.asarray(self.model.predict_proba(rows.select(features_of(self.model.n_features_in_)).to_numpy()), np.float64)

    def accuracy(self, x: NDArray[Any], y: NDArray[Any]) -> float:
        return float((self.model.predict(x) == y).mean())


def forest(sheet: Sheet, seed: int, trees: int = TREES) -> Forest:
    """A forest on what the records were given as."""
    from sklearn.ensemble import RandomForestClassifier

    return Forest(RandomForestClassifier(trees, random_state=seed, n_jobs=1).fit(sheet.x, sheet.given))


@dataclass(frozen=True)
class Net:
    """Two convolutions, one pooling, two full layers: the forward pass of `programs/nets.py`, in numpy."""

    weights: Mapping[str, NDArray[Any]]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(one) for one in range(10))

    def probabilities(self, rows: pl.DataFrame) -> NDArray[Any]:
        return self.predict(rows.select(features_of(SIDE * SIDE)).to_numpy())

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        w = self.weights
        h = (np.asarray(x, np.float64) / TOP).reshape(-1, 1, SIDE, SIDE)
        h = np.maximum(_convolved(h, w["0.weight"], w["0.bias"]), 0)
        h = np.maximum(_convolved(h, w["2.weight"], w["2.bias"]), 0)
        h = h.reshape(len(h), h.shape[1], SIDE // 2, 2, SIDE // 2, 2).max(axis=(3, 5)).reshape(len(h), -1)
        h = np.maximum(h @ w["6.weight"].T + w["6.bias"], 0) @ w["8.weight"].T + w["8.bias"]
        e = np.exp(h - h.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))


def _convolved(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """3 × 3, padded by one, as torch's Conv2d."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True) + bias[None, :, None, None])
