"""Popularity, of all time and of late: what one would show without learning anything about anyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headwater.train.evaluate import score
from headwater.train.interactions import Columns
from headwater.train.trainer import Baseline, Windows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["HALF_LIVES", "Popularity", "popularity", "popularity_baselines"]

HALF_LIVES = (1.0, 3.0, 7.0, 14.0, 30.0, 90.0, 365.0)
"""Half-lives, in days, that recent popularity is tried with on the validation windows."""
_DAY_US = 86_400_000_000


def popularity(items: NDArray[np.int64], times: NDArray[np.int64], size: int, half_life_days: float | None = None) -> NDArray[np.float64]:
    """How often each of `size` items was turned to; with a half-life, an event counts half for each one that passed since."""
    import numpy as np

    if half_life_days is None or not len(times):
        return np.asarray(np.bincount(items, minlength=size), np.float64)
    age_days = (times.max() - times) / _DAY_US
    return np.asarray(np.bincount(items, weights=np.exp2(-age_days / half_life_days), minlength=size), np.float64)


class Popularity:
    """Recommends what most turned to, less what the user has in his history."""

    def __init__(self, frame: pl.DataFrame, half_life_days: float | None = None) -> None:
        import numpy as np
        import polars as pl

        pairs = frame.group_by("user", "item").agg(pl.col("time").max()).sort("item", "user")
        names = pairs["item"].unique().sort()
        codes = pairs["item"].rle_id().to_numpy().astype(np.int64)  # sorted, so a run is an item
        counts = popularity(codes, pairs["time"].to_numpy(), len(names), half_life_days)
        order = np.lexsort((np.arange(len(names)), -counts))
        self.ranked = [(str(names[int(i)]), float(counts[i])) for i in order]

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]:
        """The k most popular items that are not in `history`."""
        seen = set(history)
        found: list[tuple[str, float]] = []
        for item, count in self.ranked:
            if len(found) == k:
                break
            if item not in seen:
                found.append((item, count))
        return found


def popularity_baselines(windows: Windows, columns: Columns, metric: str, k: int) -> dict[str, Baseline]:
    """Both kinds on the test; the half-life of the recent one is the best on validation, the shortest of equals."""
    frames = [columns.read(window.train) for window in windows.validation]

    def on_validation(half_life: float) -> float:
        pairs = zip(frames, windows.validation, strict=True)
        return sum(score(Popularity(frame, half_life), window.holdout, k).mean(metric) for frame, window in pairs)

    best = max(HALF_LIVES, key=on_validation)
    last = columns.read(windows.test.train)
    return {
        "popularity": Baseline(scores=score(Popularity(last), windows.test.holdout, k)),
        "recent_popularity": Baseline(scores=score(Popularity(last, best), windows.test.holdout, k), facts={"half_life_days": best}),
    }
