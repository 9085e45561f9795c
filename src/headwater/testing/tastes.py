"""A made-up crowd with tastes: interactions from which something can be learned, for tests of trainers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.core.digest import json_digest
from headwater.train.interactions import Frame

if TYPE_CHECKING:
    import polars as pl

__all__ = ["tastes", "tastes_frame"]


def tastes_frame(*, users: int = 120, items: int = 60, events: int = 2_400, groups: int = 4, seed: int = 0) -> pl.DataFrame:
    """Rows of `user_id`, `item_id`, `weight`, `ts` over 60 days: each user keeps to one of the groups of items four times in five."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(seed)
    who = random.integers(0, users, events)
    group = np.where(random.random(events) < 0.8, who % groups, random.integers(0, groups, events))
    rank = np.minimum(random.geometric(0.12, events) - 1, items // groups - 1)
    seconds = np.sort(random.integers(0, 60 * 86_400, events))
    return pl.DataFrame(
        {
            "user_id": [f"u{n:04d}" for n in who],
            "item_id": [f"i{n:04d}" for n in rank * groups + group],
            "weight": random.integers(1, 6, events).astype(np.float64),
            "ts": (seconds * 1_000_000 + 1_700_000_000_000_000).astype("datetime64[us]"),
        }
    )


def tastes(**sizes: int) -> Frame:
    """The same as the prepared table `interactions`; equal sizes and seed have an equal digest."""
    return Frame(name="interactions", frame=tastes_frame(**sizes), digest=json_digest(["tastes", sizes]))
