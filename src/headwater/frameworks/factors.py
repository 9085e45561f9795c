"""Recommender: implicit feedback learned by the library `implicit` (neighbours, ALS) or in closed form (EASE).

What is learned is arrays; `predictor` makes of them something that recommends in a fraction of a millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from headwater.core.artifact import Fact
from headwater.core.errors import DataError, UsageError
from headwater.core.names import did_you_mean
from headwater.train.baselines import popularity_baselines
from headwater.train.evaluate import cutoff, score
from headwater.train.interactions import Columns
from headwater.train.matrix import Encoded, encoded
from headwater.train.packed import Strings
from headwater.train.scores import Scores
from headwater.train.split import Holdout, cut_at, middle_since, rolling
from headwater.train.trainer import Baseline, Data, Draw, Fitted, Trial, Window, Windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FRAMEWORK", "FactorPredictor", "Recommender", "predictor"]

Method = Literal["neighbours", "als", "ease"]
FRAMEWORK = "factors"
MAX_EASE_ITEMS = 20_000
MAX_HISTORY = 1_000  # what counts for a score are a user's newest items, so that a request is bounded; all are left out of what he is shown
_PRIOR = 1e-6  # popularity breaks ties, fills up, and stands alone for who has no history


@dataclass(frozen=True)
class Recommender:
    """What people turned to becomes what they are shown next.

    `table` is a prepared table with a row for each time that `user` turned to `item` at `time`, as strongly as `weight`
    says (1 if none is named). `method`: "neighbours" (item–item similarity: cosine, TF-IDF or BM25, whichever validates
    best), "als" (matrix factorisation) or "ease" (closed-form linear, up to 20,000 items). `half_life_days` is that of
    the popularity shown to users of whom nothing is known.
    """

    table: str
    user: str = "user_id"
    item: str = "item_id"
    weight: str | None = None
    time: str = "ts"
    method: Method = "neighbours"
    metric: str = "ndcg@10"
    trials: int = 20
    seed: int = 0
    folds: int = 2
    half_life_days: float = 14.0

    def __post_init__(self) -> None:
        cutoff(self.metric)
        if self.method not in get_args(Method):
            raise UsageError(f"method {self.method!r} is not one. {did_you_mean(str(self.method), get_args(Method))}")
        if not (self.trials >= 1 and 1 <= self.folds <= 6 and self.half_life_days > 0):
            raise UsageError("trials of at least 1, folds from 1 to 6 and a half-life above 0 days expected")

    @property
    def framework(self) -> str:
        return FRAMEWORK

    @property
    def columns(self) -> Columns:
        """Which columns of which table are read."""
        return Columns(table=self.table, user=self.user, item=self.item, time=self.time, weight=self.weight)

    def declared(self) -> Mapping[str, Fact]:
        return asdict(self)

    def libraries(self) -> tuple[str, ...]:
        return ("implicit", "numpy", "scipy")

    def defaults(self) -> Mapping[str, Fact]:
        power: dict[str, Fact] = {"power": 1.0} if self.weight else {}
        if self.method == "als":
            return {"factors": 64, "regularization": 0.1, "alpha": 10.0, "iterations": 15, **power}
        if self.method == "ease":
            return {"l2": 200.0, "neighbours": 200, **power}
        return {"similarity": "cosine", "neighbours": 200, **power}

    def suggest(self, draw: Draw) -> Mapping[str, Fact]:
        found: dict[str, Fact] = {}
        if self.method == "als":
            found["factors"] = draw.suggest_int("factors", 8, 128, log=True)
            found["regularization"] = draw.suggest_float("regularization", 1e-3, 10.0, log=True)
            found["alpha"] = draw.suggest_float("alpha", 1.0, 50.0, log=True)
            found["iterations"] = draw.suggest_int("iterations", 5, 30)
        elif self.method == "ease":
            found["l2"] = draw.suggest_float("l2", 1.0, 5000.0, log=True)
            found["neighbours"] = draw.suggest_int("neighbours", 20, 500, log=True)
        else:
            found["similarity"] = draw.suggest_categorical("similarity", ["cosine", "tfidf", "bm25"])
            found["neighbours"] = draw.suggest_int("neighbours", 20, 500, log=True)
        if self.weight:  # weights as they are, dampened, or only whether there is any
            found["power"] = draw.suggest_categorical("power", [0.0, 0.5, 1.0])
        return found

    def windows(self, data: Data) -> Windows:
        return rolling(data, self.columns, folds=self.folds)

    def window(self, data: Data, after: int) -> Window:
        return cut_at(data, self.columns, after)

    def between(self, data: Data, after: int) -> int:
        return middle_since(data, self.columns, after)

    def fit(self, data: Data, trial: Trial) -> Fitted:
        import implicit.cpu.als  # noqa: F401 - now, so that every BLAS is loaded by the time it is limited
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        known = encoded(self.columns.read(data), float(trial.parameters.get("power") or 0.0), self.half_life_days)
        with threadpool_limits(1, "blas"):  # implicit is slower under a threaded BLAS, and says so
            learned = _FITS[self.method](known, trial)
        facts: dict[str, Fact] = {"users": known.matrix.shape[0], "items": known.matrix.shape[1], "interactions": int(known.matrix.nnz)}
        return Fitted(
            framework=FRAMEWORK,
            arrays={**known.arrays, **learned},
            parameters={"method": self.method, **trial.parameters},
            facts={**facts, "until_us": known.until},
        )

    def predictor(self, fitted: Fitted) -> FactorPredictor:
        """What was fitted, ready to recommend."""
        return predictor(fitted.arrays, fitted.parameters)

    def score(self, fitted: Fitted, holdout: Holdout) -> Scores:
        return score(self.predictor(fitted), holdout, cutoff(self.metric))

    def baselines(self, windows: Windows) -> Mapping[str, Baseline]:
        return popularity_baselines(windows, self.columns, self.metric, cutoff(self.metric))


def _fit_neighbours(known: Encoded, trial: Trial) -> dict[str, NDArray[Any]]:
    import warnings

    import numpy as np
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
    from implicit.utils import ParameterWarning

    kinds = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
    model = kinds[str(trial.parameters["similarity"])](K=min(_whole(trial, "neighbours"), known.matrix.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():  # an item that tells nothing apart has length 0
        warnings.simplefilter("ignore", ParameterWarning)  # implicit's own weighting hands it another layout than it likes
        model.fit(known.matrix.astype(np.float64), show_progress=False)
    similarity = model.similarity
    similarity.data[~np.isfinite(similarity.data)] = 0.0
    similarity.eliminate_zeros()
    return _similarity_arrays(similarity)


def _fit_ease(known: Encoded, trial: Trial) -> dict[str, NDArray[Any]]:
    """EASE (Steck, 2019), keeping of each item's weights the largest in size."""
    import numpy as np
    from scipy.sparse import csr_matrix

    size = known.matrix.shape[1]
    if size > MAX_EASE_ITEMS:
        raise UsageError(f"EASE needs a number for each pair of items: {size} items, at most {MAX_EASE_ITEMS}. Use method='neighbours'")
    gram = (known.matrix.T @ known.matrix).toarray().astype(np.float64)
    gram[np.diag_indices(size)] += _real(trial, "l2")
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    keep = min(_whole(trial, "neighbours"), size)
    rows = np.repeat(np.arange(size), keep)
    best = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :keep].ravel()
    return _similarity_arrays(csr_matrix((weights[rows, best], (rows, best)), shape=(size, size)))


def _fit_als(known: Encoded, trial: Trial) -> dict[str, NDArray[Any]]:
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=_whole(trial, "factors"),
        regularization=_real(trial, "regularization"),
        alpha=_real(trial, "alpha"),
        iterations=_whole(trial, "iterations"),
        random_state=trial.seed,
    )
    model.fit(known.matrix, show_progress=False)
    return {"factors": np.asarray(model.item_factors, np.float32)}


_FITS = {"neighbours": _fit_neighbours, "ease": _fit_ease, "als": _fit_als}


def _similarity_arrays(similarity: Any) -> dict[str, NDArray[Any]]:
    """A row of neighbours for each item, filled up with weights of 0: gathered twice as fast as rows of any length."""
    import numpy as np

    similarity.sort_indices()
    lengths = np.diff(similarity.indptr)
    there = np.arange(max(int(lengths.max()), 1)) < lengths[:, None]
    items, weights = np.zeros(there.shape, np.int32), np.zeros(there.shape, np.float32)
    items[there], weights[there] = similarity.indices, similarity.data
    return {"similarity.items": items, "similarity.weights": weights}


def _whole(trial: Trial, name: str) -> int:
    return int(trial.parameters[name] or 0)


def _real(trial: Trial, name: str) -> float:
    return float(trial.parameters[name] or 0.0)


class _Scorer(Protocol):
    """How well items go with some of them: `scores` of every item, and the `parts` that each one adds to one item's."""

    def scores(self, rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]: ...

    def parts(self, item: int, rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]: ...


class _Neighbours:
    """Sums of similarity: what a sparse row of weights times the similarity matrix gives."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.items = arrays["similarity.items"]
        self.weights = arrays["similarity.weights"]

    def scores(self, rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
        import numpy as np

        similar = self.weights[rows] * weights[:, None]
        return np.asarray(np.bincount(self.items[rows].ravel(), weights=similar.ravel(), minlength=len(self.items)), np.float64)

    def parts(self, item: int, rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
        import numpy as np

        return np.asarray(np.where(self.items[rows] == item, self.weights[rows], 0.0).sum(axis=1) * weights, np.float64)


class _Latent:
    """Factors of items; a user's are solved for from his history when he asks (Hu, Koren and Volinsky, 2008)."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, Fact]) -> None:
        import numpy as np

        self.factors = arrays["factors"]
        self.alpha = float(parameters["alpha"] or 0.0)
        wide = self.factors.astype(np.float64)
        self.gram = wide.T @ wide + float(parameters["regularization"] or 0.0) * np.eye(wide.shape[1])

    def _system(self, rows: NDArray[Any], weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        own = self.factors[rows].astype(float)
        confidence = self.alpha * weights[:, None]
        return self.gram + own.T @ (own * (confidence - 1)), own * confidence

    def scores(self, rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
        import numpy as np

        system, own = self._system(rows, weights)
        user = np.linalg.solve(system, own.sum(axis=0))
        return (self.factors @ user.astype(np.float32)).astype(np.float64)

    def parts(self, item: int, rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
        import numpy as np

        system, own = self._system(rows, weights)
        return np.asarray(own @ np.linalg.solve(system, self.factors[item].astype(float)), np.float64)


class FactorPredictor:
    """Recommends from arrays alone: for users it knows, for others from what they did just now, else what is popular of late.

    Thread-safe: nothing is changed after it is made. Same arguments, same answer.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, Fact], *, name: str, version: str, digest: str) -> None:
        self.name = name
        self.version = version
        self.digest = digest
        self.users = Strings(arrays["users"], arrays["users.offsets"])
        self.items = Strings(arrays["items"], arrays["items.offsets"])[:]
        self._codes = {item: code for code, item in enumerate(self.items)}
        self._indptr = arrays["history.indptr"]
        self._history = arrays["history.items"]
        self._weights = arrays["history.weights"]
        self._new_weight = float(arrays["history.new_weight"][0])
        self._recent = arrays["popularity.recent"]
        self._prior = self._recent / max(float(self._recent.max(initial=0.0)), 1e-300) * _PRIOR
        self._scorer: _Scorer = _Latent(arrays, parameters) if "factors" in arrays else _Neighbours(arrays)

    @property
    def n_users(self) -> int:
        """How many users' histories it holds."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """How many items it can recommend."""
        return len(self.items)

    @cached_property
    def contributors(self) -> frozenset[str]:
        """Everyone whose interactions it learned from."""
        return frozenset(self.users)

    def recommend(
        self, user: str | None, *, history: Sequence[str] = (), k: int = 10, exclude_seen: bool = True
    ) -> list[tuple[str, float]]:
        """At most `k` items with their scores, best first.

        `history` is what the user did, oldest first; it adds to what is known of him. Items never seen are ignored.
        """
        import numpy as np

        rows, weights = self._known(user, history)
        scores = self._scorer.scores(rows[-MAX_HISTORY:], weights[-MAX_HISTORY:]) + self._prior if len(rows) else self._recent.copy()
        if exclude_seen:
            scores[rows] = -np.inf
        return [(self.items[i], float(scores[i])) for i in _best(scores, k) if scores[i] > -np.inf]

    def explain(self, item: str, history: Sequence[str] = (), *, user: str | None = None, k: int = 3) -> list[tuple[str, float]]:
        """ "Because you looked at …": the items of the history that speak most for `item`, and how much each adds to its score."""
        import numpy as np

        code = self._codes.get(item)
        rows, weights = self._known(user, history)
        if code is None or not len(rows):
            return []
        rows, weights = rows[-MAX_HISTORY:], weights[-MAX_HISTORY:]
        parts = np.where(rows == code, 0.0, self._scorer.parts(code, rows, weights))
        return [(self.items[rows[i]], float(parts[i])) for i in _best(parts, k) if parts[i] > 0]

    def _known(self, user: str | None, history: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Codes and weights of what a user did, oldest first: what was learned, then what is new in `history`."""
        import numpy as np

        at = self.users.find(user) if user is not None else None
        span = slice(0, 0) if at is None else slice(self._indptr[at], self._indptr[at + 1])
        rows, weights = self._history[span], self._weights[span]
        if not history:
            return rows, weights
        found = dict.fromkeys(code for code in map(self._codes.get, history) if code is not None)
        old = set(rows.tolist())
        new = [code for code in found if code not in old]
        return (
            np.concatenate([rows, np.array(new, np.int32)]),
            np.concatenate([weights, np.full(len(new), self._new_weight, np.float32)]),
        )


def _best(scores: NDArray[Any], k: int) -> NDArray[Any]:
    """Where the `k` largest are, largest first, the earlier of equals first."""
    import numpy as np

    k = min(k, len(scores))
    if k <= 0:
        return np.zeros(0, np.int64)
    width = len(scores) // (8 * k) or 1
    groups = scores[: len(scores) // width * width].reshape(width, -1).max(axis=0)  # k of these are at least the k-th largest of all
    least = np.partition(groups, -k)[-k]
    near = np.flatnonzero(scores >= least)
    return near[np.lexsort((near, -scores[near]))][:k]


def predictor(
    arrays: Mapping[str, NDArray[Any]],
    parameters: Mapping[str, Fact],
    *,
    name: str = "candidate",
    version: str | int = "0",
    digest: str = "",
) -> FactorPredictor:
    """A predictor of what `Recommender.fit` learned or the registry loaded; `digest` is the model's.

    Raises `DataError` if an array or a parameter is missing.
    """
    try:
        return FactorPredictor(arrays, parameters, name=name, version=str(version), digest=digest)
    except KeyError as error:
        raise DataError(f"no {FRAMEWORK} model: the array or parameter {error} is missing") from error
