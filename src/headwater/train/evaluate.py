"""Evaluate a recommender: ask it as it will be asked when serving, and count what users turned to next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from headwater.core.errors import UsageError
from headwater.train.scores import Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headwater.train.split import Holdout
    from headwater.train.trainer import Ranker

__all__ = ["cutoff", "ndcg", "score"]


def cutoff(metric: str) -> int:
    """The k of `ndcg@k` or `recall@k`. Raises `UsageError` for any other metric."""
    match = re.fullmatch(r"(?:ndcg|recall)@([1-9][0-9]{0,2})", metric)
    if not match:
        raise UsageError(f"metric {metric!r} is not one: expected 'ndcg@10' or 'recall@10', with any k up to 999")
    return int(match[1])


def score(ranker: Ranker, holdout: Holdout, k: int = 10) -> Scores:
    """Ask `ranker` for each user of the holdout, with what is known of him at that moment, through its serving path.

    Relevance is binary, what a user knew already does not count, and an item that the model has never seen counts
    against it. Comparing two models is fair only if both were fitted on nothing after `holdout.cut`.
    """
    import numpy as np

    hits = np.zeros((len(holdout.users), k), bool)
    shown: set[str] = set()
    for row, (user, history, target) in enumerate(zip(holdout.users, holdout.histories, holdout.targets, strict=True)):
        items = [item for item, _ in ranker.recommend(user, history=history, k=k)]
        hits[row, : len(items)] = [item in target for item in items]
        shown.update(items)
    relevant = np.array([len(target) for target in holdout.targets])
    return Scores(
        subjects=holdout.users,
        values={f"ndcg@{k}": ndcg(hits, relevant), f"recall@{k}": hits.sum(axis=1) / np.maximum(relevant, 1)},
        groups={"warm": holdout.warm, "cold": ~holdout.warm},
        totals={f"coverage@{k}": len(shown) / max(holdout.catalogue, 1)},
    )


def ndcg(hits: NDArray[np.bool_], relevant: NDArray[Any]) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of each row (Järvelin and Kekäläinen, 2002), binary gains.

    `hits[u, r]` says whether what was shown to `u` at rank `r` was relevant; `relevant[u]` is how many items were.
    """
    import numpy as np

    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(relevant, hits.shape[1])]
    gains = hits @ discounts
    return np.asarray(np.divide(gains, ideal, out=np.zeros(len(hits)), where=ideal > 0), np.float64)
