"""Kept: a fitted classifier made of arrays again, and asked about rows. scikit-learn is needed only for what ONNX could not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.core.errors import DataError
from headwater.frameworks.sklearn.estimators import Examples
from headwater.frameworks.sklearn.stored import ONNX, SKOPS, restored
from headwater.train.examples import KINDS, Feature, matched, numbers_of, texts_of
from headwater.train.packed import Strings, pack

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["FRAMEWORK", "KeptClassifier", "described", "predictor"]

FRAMEWORK = "sklearn"
_AT_ONCE = 16_384


def described(features: Sequence[Feature], labels: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What a model reads and what it tells apart, as arrays."""
    import numpy as np

    names, name_offsets = pack([feature.name for feature in features])
    texts, text_offsets = pack(labels)
    kinds = np.array([KINDS.index(feature.kind) for feature in features], np.uint8)
    return {
        "features": names,
        "features.offsets": name_offsets,
        "features.kinds": kinds,
        "labels": texts,
        "labels.offsets": text_offsets,
    }


class KeptClassifier:
    """Tells classes apart from arrays alone. Thread-safe, and the same rows get the same answer, alone or among others."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], method: str) -> None:
        names = Strings(arrays["features"], arrays["features.offsets"])
        kinds = arrays["features.kinds"].tolist()
        self.features = tuple(Feature(name=name, kind=KINDS[kind]) for name, kind in zip(names, kinds, strict=True))
        self.labels: tuple[str, ...] = tuple(Strings(arrays["labels"], arrays["labels.offsets"]))
        kept = {name: arrays[name] for name in (ONNX, SKOPS) if name in arrays}
        self._ask = None if len(self.labels) == 1 else restored(kept, margin=method == "svm")

    def probabilities(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """float64 of shape (rows, classes), each row sums to 1. Raises `DataError` that names a column which is missing or unfit."""
        return self.told(self.prepared(rows))

    def prepared(self, rows: pl.DataFrame) -> Examples:
        """Rows, checked and in arrays, for `told` of every model with the same features."""
        frame = matched(rows, self.features)
        return Examples(numbers=numbers_of(frame, self.features), texts=texts_of(frame, self.features))

    def told(self, examples: Examples) -> NDArray[np.float64]:
        """The probabilities of prepared rows."""
        import numpy as np

        height = len(examples.numbers)
        if self._ask is None or not height:
            return np.ones((height, len(self.labels)))
        found = []
        for start in range(0, height, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found.append(self._ask(Examples(numbers=examples.numbers[part], texts=examples.texts[part])))
        return np.concatenate(found)


def predictor(arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, Fact]) -> KeptClassifier:
    """A classifier of what `Classifier.fit` learned or the registry loaded. Raises `DataError` if an array is missing or unfit."""
    try:
        return KeptClassifier(arrays, str(parameters["method"]))
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(f"no {FRAMEWORK} model: {type(error).__name__}: {error}") from error
