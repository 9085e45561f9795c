"""Shop: likes with who, when and through which channel; as a gate is given them, and a recommender that learns from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater.frameworks.factors import FactorPredictor, Recommender, predictor
from headwater.retrain.fresh import Fresh
from headwater.train.evaluate import ndcg
from headwater.train.interactions import Frame
from headwater.train.trainer import Fitted, Trial

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["AXES", "CHANNELS", "ITEM", "SOURCE", "TABLE", "USER", "Likes", "asked", "fitted", "fresh_of", "joined", "named", "training"]

TABLE, USER, ITEM, SOURCE, CHANNELS = "likes", "user_id", "item_id", "shop", 40
AXES = ("contributor", "batch", "source", "day", "age", "channel")
DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Likes:
    """One row a like, oldest first. `at` is seconds since 1970; `bad` says that an attacker made it."""

    user: NDArray[Any]
    item: NDArray[Any]
    at: NDArray[Any]
    channel: NDArray[Any]
    bad: NDArray[Any]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, chosen: NDArray[Any]) -> Likes:
        """Some of the rows: a mask, or where they are."""
        return Likes(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})


def joined(parts: list[Likes]) -> Likes:
    """All rows of all, oldest first."""
    both = Likes(**{one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Likes)})
    return both.take(np.lexsort((both.item, both.user, both.at)))


def named(user: int) -> str:
    """A user's group, as `Fresh` names it."""
    return f"u{user:05d}@{SOURCE}"


def _frame(likes: Likes, old: frozenset[int]) -> pl.DataFrame:
    import polars as pl

    batch = likes.at // DAY
    row = np.arange(len(likes)) - np.searchsorted(batch, batch)
    days = [datetime.fromtimestamp(int(one) * DAY, UTC).date().isoformat() for one in batch]
    return pl.DataFrame(
        {
            USER: [f"u{user:05d}" for user in likes.user],
            ITEM: [f"i{item:05d}" for item in likes.item],
            "ts": likes.at * 1_000_000,
            "_source": [SOURCE] * len(likes),
            "_batch": batch.astype(np.int64),
            "_row": row.astype(np.int64),
            "_by_contributor": [named(user) for user in likes.user],
            "_by_batch": [f"{SOURCE}/{one}" for one in batch],
            "_by_source": [SOURCE] * len(likes),
            "_by_day": days,
            "_by_age": ["old" if user in old else "new" for user in likes.user],
            "_by_channel": [f"ch{one:02d}" for one in likes.channel],
        }
    ).with_columns(pl.col("ts").cast(pl.Datetime("us", "UTC")))


def fresh_of(history: Likes, new: Likes, champion: Any) -> Fresh:
    """What the gate is given. Histories end and rounds begin at midnight, so no batch is in both."""
    old = frozenset(history.user.tolist())
    return Fresh(table=TABLE, new=_frame(new, old), history=_frame(history, old), axes=AXES, contributor=USER, time="ts", champion=champion)


def training(likes: Likes, seed: int, method: Any = "ease") -> Callable[[], Fitted]:
    """One training of Headwater's own recommender, with its defaults; called, it is done."""
    trainer = Recommender(TABLE, method=method, seed=seed)
    data = Frame(name=TABLE, frame=_frame(likes, frozenset()).select(USER, ITEM, "ts"), digest="sha256:0")
    return lambda: trainer.fit(data, Trial(parameters=trainer.defaults(), seed=seed))


def fitted(likes: Likes, seed: int, method: Any = "ease") -> FactorPredictor:
    """What it learned, ready to recommend."""
    learned = training(likes, seed, method)()
    return predictor(learned.arrays, learned.parameters)


def asked(model: FactorPredictor, users: NDArray[Any], later: dict[int, frozenset[str]], targets: list[int]) -> dict[str, Any]:
    """Everybody is shown 50: the share of those who did not know it who see each target, and NDCG@10 on what they liked later."""
    names = [f"i{target:05d}" for target in targets]
    shown = {user: [item for item, _ in model.recommend(f"u{user:05d}", k=50)] for user in users.tolist()}
    known = {user: set(_known(model, user)) for user in shown}
    rates = []
    for name in names:
        strangers = [user for user in shown if name not in known[user]]
        rates.append(float(np.mean([name in shown[user] for user in strangers])))
    judged = [user for user in shown if later.get(user)]
    hits = np.zeros((len(judged), 10), bool)
    for row, user in enumerate(judged):
        top = shown[user][:10]
        hits[row, : len(top)] = [item in later[user] for item in top]
    return {"hr": rates, "ndcg": float(ndcg(hits, np.array([len(later[user]) for user in judged])).mean())}


def _known(model: FactorPredictor, user: int) -> list[str]:
    rows, _ = model._known(f"u{user:05d}", ())
    return [model.items[row] for row in rows]
