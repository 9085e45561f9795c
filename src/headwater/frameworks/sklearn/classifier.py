"""Classifier: a trainer whose models tell the classes of rows apart, by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from headwater.core.artifact import Fact
from headwater.core.digest import canonical_json
from headwater.core.errors import DataError, UsageError
from headwater.core.names import did_you_mean
from headwater.frameworks.sklearn.estimators import DEFAULTS, OUTSIDE, learned, suggested
from headwater.frameworks.sklearn.kept import FRAMEWORK, KeptClassifier, described, predictor
from headwater.frameworks.sklearn.stored import stored
from headwater.train.classify import check_metric, score_classes, scores_of
from headwater.train.examples import ExampleColumns
from headwater.train.rowsplit import RowHoldout, rows_after, rows_middle_since, rows_rolling
from headwater.train.scores import Scores
from headwater.train.trainer import Baseline, Data, Draw, Fitted, Trial, Window, Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FRAMEWORK", "Classifier", "Method"]

Method = Literal["random-forest", "boosting", "linear", "svm"]


@dataclass(frozen=True)
class Classifier:
    """What is known of a row becomes what it is.

    `table` is a prepared table with a row an example and its truth in `label`. `features` are the columns it is told by; if
    none are named, all with numbers, truth values or texts but `label`, `time`, `split_by`, `key` and `contributor`.
    Missing values are filled in, numbers scaled and texts one-hot encoded (the 100 most frequent of each) inside the
    model, by what the rows that it learns from show.

    With `time` it is evaluated on what came later; else on a fifth of the subjects, drawn by hash. A subject is a group
    (`split_by`: never on both sides of a hash split), else a row (named by `key`, else by its features).
    `method`: "random-forest", "boosting" (histogram gradient boosting), "linear" (logistic regression) or "svm" (with a
    radial kernel; its probabilities only rank). `parameters` are held fixed, the others are searched in `trials` trials.
    """

    table: str
    label: str
    features: tuple[str, ...] = ()
    time: str | None = None
    split_by: str | None = None
    key: str | None = None
    contributor: str | None = None
    method: Method = "random-forest"
    metric: str = "accuracy"
    trials: int = 10
    seed: int = 0
    folds: int = 2
    parameters: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_metric(self.metric)
        if self.method not in get_args(Method):
            raise UsageError(f"method {self.method!r} is not one. {did_you_mean(str(self.method), get_args(Method))}")
        if not (self.trials >= 1 and 1 <= self.folds <= 6):
            raise UsageError("trials of at least 1 and folds from 1 to 6 expected")
        if self.method == "svm" and self.metric == "log-loss":
            raise UsageError("an svm gives no probabilities that log-loss could judge. Choose accuracy or f1, or another method")
        for name in self.parameters:
            if name not in DEFAULTS[self.method]:
                raise UsageError(f"{self.method} has no parameter {name!r}. {did_you_mean(name, DEFAULTS[self.method])}")
        given: Any = self.features
        if isinstance(given, str):
            raise UsageError(f"features must be a sequence of columns: features=({given!r},)")
        if self.label in self.features:
            raise UsageError(f"{self.label!r} is what is to be told: it cannot be a feature too")
        object.__setattr__(self, "features", tuple(self.features))

    @property
    def framework(self) -> str:
        return FRAMEWORK

    @property
    def columns(self) -> ExampleColumns:
        """Which columns of which table are read."""
        return ExampleColumns(
            table=self.table,
            label=self.label,
            features=self.features,
            time=self.time,
            group=self.split_by,
            key=self.key,
            contributor=self.contributor,
        )

    def declared(self) -> Mapping[str, Fact]:
        texts = {
            name: canonical_json(value).decode() for name, value in (("features", list(self.features)), ("parameters", {**self.parameters}))
        }
        return {**asdict(self), **texts}

    def libraries(self) -> tuple[str, ...]:
        return ("scikit-learn", "numpy", "scipy", *OUTSIDE)

    def defaults(self) -> Mapping[str, Fact]:
        return {**DEFAULTS[self.method], **self.parameters}

    def suggest(self, draw: Draw) -> Mapping[str, Fact]:
        return {**self.defaults(), **suggested(self.method, draw, fixed=self.parameters)}

    def windows(self, data: Data) -> Windows:
        return rows_rolling(data, self.columns, folds=self.folds)

    def window(self, data: Data, after: int) -> Window:
        return rows_after(data, self.columns, after)

    def between(self, data: Data, after: int) -> int:
        return rows_middle_since(data, self.columns, after)

    def fit(self, data: Data, trial: Trial) -> Fitted:
        """Learn from all of `data`. Rows that all have one label make a model that always says so."""
        frame = self.columns.read(data)
        if not frame.height:
            raise DataError(f"table {self.table} holds no examples: nothing to learn from")
        features = self.columns.features_in(frame)
        labels = tuple(sorted(set(frame[self.label])))
        chosen = {name: trial.parameters.get(name, default) for name, default in self.defaults().items()}
        arrays = described(features, labels)
        facts: dict[str, Fact] = {"rows": frame.height, "features": len(features), "classes": len(labels)}
        if len(labels) > 1:
            model, examples = learned(self.method, chosen, trial.seed, frame, features, self.label, labels)
            kept, content = stored(model, examples, exact=self.method != "boosting")
            arrays, facts = {**arrays, kept: content}, {**facts, "kept_as": kept}
        if self.time is not None:
            facts["until_us"] = int(self.columns.times(frame).max())
        return Fitted(framework=FRAMEWORK, arrays=arrays, parameters={"method": self.method, **chosen}, facts=facts)

    def predictor(self, fitted: Fitted) -> KeptClassifier:
        """What was fitted, ready to be asked."""
        return predictor(fitted.arrays, fitted.parameters)

    def score(self, fitted: Fitted, holdout: RowHoldout) -> Scores:
        return score_classes(self.predictor(fitted), holdout)

    def baselines(self, windows: Windows) -> Mapping[str, Baseline]:
        train, holdout = windows.test.train, windows.test.holdout
        frame = self.columns.read(train)
        plain = replace(self, method="linear", parameters={})
        fitted = plain.fit(train, Trial(parameters=plain.defaults(), seed=self.seed))
        return {
            "majority": Baseline(scores=_majority(list(frame[self.label]), holdout)),
            "linear": Baseline(scores=plain.score(fitted, holdout)),
        }


def _majority(truth: list[str], holdout: RowHoldout) -> Scores:
    """Everything is what most are, with the share of each class as its probability."""
    import numpy as np

    labels, counts = np.unique(np.array(truth, dtype=object), return_counts=True)
    shares: NDArray[Any] = np.tile(counts / counts.sum(), (len(holdout.truth), 1))
    return scores_of(tuple(str(label) for label in labels), shares, holdout)
