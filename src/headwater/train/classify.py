"""Classify: how well a classifier tells classes apart, subject by subject, so that two models can be paired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean
from headwater.train.scores import Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headwater.train.rowsplit import RowHoldout
    from headwater.train.trainer import Classifier

__all__ = ["CLASS_METRICS", "check_metric", "score_classes", "scores_of"]

CLASS_METRICS = ("accuracy", "log-loss", "f1")
_LEAST = 1e-6  # no class is held to be impossible, or one surprise would outweigh everything


def check_metric(metric: str) -> str:
    """Return a metric of classifiers, else raise `UsageError`."""
    if metric not in CLASS_METRICS:
        raise UsageError(f"metric {metric!r} is not one. {did_you_mean(str(metric), CLASS_METRICS)}")
    return metric


def score_classes(classifier: Classifier, holdout: RowHoldout) -> Scores:
    """Ask `classifier` about every row of the holdout; see `scores_of`."""
    return scores_of(classifier.labels, classifier.probabilities(holdout.rows), holdout)


def scores_of(labels: tuple[str, ...], probabilities: NDArray[Any], holdout: RowHoldout) -> Scores:
    """For each subject, more is better in all of them:

    - `accuracy`: the share of his rows that were told right
    - `log-loss`: the mean logarithm of the probability given to the truth, at least 1e-6 (so minus the usual loss)
    - `f1`: the mean over classes of F1, over all rows, plus what the subject adds to it to first order (Taylor's
      linearisation of a ratio, as surveys do): its mean over subjects is the macro-F1, and two models' can be paired
    """
    import numpy as np

    classes = sorted({*labels, *holdout.truth})
    at = {name: code for code, name in enumerate(classes)}
    known = np.array([at[name] for name in labels])
    told = known[probabilities.argmax(axis=1)]
    truth = np.array([at[name] for name in holdout.truth])
    whole = np.zeros((len(truth), len(classes)))
    whole[:, known] = probabilities
    given = np.clip(whole[np.arange(len(truth)), truth], _LEAST, 1.0)
    subjects, who = np.unique(np.array(holdout.subjects, dtype=object), return_inverse=True)
    rows = np.bincount(who, minlength=len(subjects))
    return Scores(
        subjects=tuple(str(subject) for subject in subjects),
        values={
            "accuracy": np.bincount(who, told == truth, len(subjects)) / rows,
            "log-loss": np.bincount(who, np.log(given), len(subjects)) / rows,
            "f1": _f1(told, truth, who, len(subjects), len(classes)),
        },
    )


def _f1(told: NDArray[Any], truth: NDArray[Any], who: NDArray[Any], subjects: int, classes: int) -> NDArray[np.float64]:
    import numpy as np

    values, shown = np.zeros(subjects), 0
    for code in range(classes):
        right = (told == code) & (truth == code)
        counted = (told == code).astype(float) + (truth == code)
        total = counted.sum()
        if not total:
            continue
        shown += 1
        score = 2 * right.sum() / total
        own = np.bincount(who, 2 * right - score * counted, subjects)
        values += score + own * subjects / total
    return values / max(shown, 1)
