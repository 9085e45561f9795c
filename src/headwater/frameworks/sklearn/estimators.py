"""Estimators: what scikit-learn is asked to fit, and with which parameters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.core.extras import need
from headwater.train.examples import Feature, numbers_of, texts_of
from headwater.train.trainer import Draw

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["DEFAULTS", "MOST_TEXTS", "OUTSIDE", "Examples", "learned", "suggested"]

OUTSIDE = ("skl2onnx", "onnx", "onnxruntime", "skops")
"""Packages that have a say in how a model is kept."""
MOST_TEXTS = 100
"""Of each column of texts this many, the most frequent, are told apart; the rest is one of "none of these"."""

DEFAULTS: Mapping[str, Mapping[str, Fact]] = {
    "random-forest": {"trees": 100, "min_leaf": 1, "share": 0.0},
    "boosting": {"iterations": 100, "rate": 0.1, "leaves": 31, "min_leaf": 20, "l2": 0.0},
    "linear": {"C": 1.0, "scale": "standard"},
    "svm": {"C": 10.0, "scale": "range"},
}
"""`share` is the share of features that a split may choose from, 0 for the square root of their number."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows as scikit-learn takes them: numbers (NaN where missing) and texts ("" where missing)."""

    numbers: NDArray[Any]
    texts: NDArray[Any]

    def together(self) -> NDArray[Any]:
        """Both side by side, numbers first."""
        import numpy as np

        return np.concatenate([self.numbers.astype(object), self.texts], axis=1) if self.texts.shape[1] else self.numbers


def suggested(method: str, draw: Draw, *, fixed: Mapping[str, Fact]) -> dict[str, Fact]:
    """What a trial draws of a method's parameters, but for those that are fixed."""
    ranges: dict[str, Any] = {
        "random-forest": {
            "min_leaf": lambda: draw.suggest_int("min_leaf", 1, 20, log=True),
            "share": lambda: draw.suggest_categorical("share", [0.0, 0.3, 0.6]),
        },
        "boosting": {
            "iterations": lambda: draw.suggest_int("iterations", 50, 300, log=True),
            "rate": lambda: draw.suggest_float("rate", 0.02, 0.3, log=True),
            "leaves": lambda: draw.suggest_int("leaves", 4, 63, log=True),
            "min_leaf": lambda: draw.suggest_int("min_leaf", 5, 50, log=True),
            "l2": lambda: draw.suggest_float("l2", 0.0, 10.0),
        },
        "linear": {
            "C": lambda: draw.suggest_float("C", 1e-3, 100.0, log=True),
            "scale": lambda: draw.suggest_categorical("scale", ["standard", "range", "none"]),
        },
        "svm": {
            "C": lambda: draw.suggest_float("C", 0.1, 1000.0, log=True),
            "scale": lambda: draw.suggest_categorical("scale", ["standard", "range", "none"]),
        },
    }
    return {name: drawn() for name, drawn in ranges[method].items() if name not in fixed}


def learned(
    method: str,
    parameters: Mapping[str, Fact],
    seed: int,
    frame: pl.DataFrame,
    features: Sequence[Feature],
    label: str,
    labels: Sequence[str],
) -> tuple[Any, Examples]:
    """A fitted scikit-learn pipeline, and what it was fitted on. Its classes are the codes of `labels`.

    The rows come in canonical order; one thread and a seed leave nothing to chance.
    """
    import numpy as np

    need("sklearn", extra="sklearn")
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    examples = Examples(numbers=numbers_of(frame, features), texts=texts_of(frame, features))
    codes = {name: code for code, name in enumerate(labels)}
    truth = np.array([codes[name] for name in frame[label]], np.int64)
    model = _pipeline(_estimator(method, parameters, seed), str(parameters.get("scale", "")), examples)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a little short of the optimum is no fault of a trial
        model.fit(examples.together(), truth)
    return model, examples


def _estimator(method: str, parameters: Mapping[str, Fact], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    given = {name: value for name, value in parameters.items() if isinstance(value, int | float)}
    if method == "random-forest":
        return RandomForestClassifier(
            n_estimators=int(given["trees"]),
            min_samples_leaf=int(given["min_leaf"]),
            max_features=float(given["share"]) or "sqrt",
            random_state=seed,
            n_jobs=1,
        )
    if method == "boosting":
        return HistGradientBoostingClassifier(
            max_iter=int(given["iterations"]),
            learning_rate=float(given["rate"]),
            max_leaf_nodes=int(given["leaves"]),
            min_samples_leaf=int(given["min_leaf"]),
            l2_regularization=float(given["l2"]),
            early_stopping=False,
            random_state=seed,
        )
    if method == "linear":
        return LogisticRegression(C=float(given["C"]), max_iter=1000, random_state=seed)
    return SVC(C=float(given["C"]), gamma="scale", break_ties=True, random_state=seed)


def _pipeline(estimator: Any, scale: str, examples: Examples) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

    width = examples.numbers.shape[1]
    parts: list[Any] = []
    if width:
        steps: list[Any] = [("fill", SimpleImputer(strategy="median", keep_empty_features=True))]
        if scale in ("standard", "range"):
            steps.append(("scale", StandardScaler() if scale == "standard" else MinMaxScaler()))
        parts.append(("numbers", Pipeline(steps), list(range(width))))
    if examples.texts.shape[1]:
        known = [_frequent(column) for column in examples.texts.T]
        encoder = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False)
        parts.append(("texts", encoder, list(range(width, width + len(known)))))
    return Pipeline([("prepare", ColumnTransformer(parts)), ("learn", estimator)])


def _frequent(column: NDArray[Any]) -> list[str]:
    """The most frequent texts, sorted; of equally frequent ones those that come first."""
    import numpy as np

    texts, counts = np.unique(column, return_counts=True)
    best = np.lexsort((np.arange(len(texts)), -counts))[:MOST_TEXTS]
    return sorted(str(text) for text in texts[best])
