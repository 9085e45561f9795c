"""Split: rolling points in time, as a shop meets them.

At the moment of recommending, the user's own history up to then is known and nobody's future is. A model is fitted on
what was before the cut. Users with two or more events in the period after it give the first half of them as history
and are asked for the second; those never seen before the cut are the cold ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from headwater.core.digest import json_digest
from headwater.core.errors import DataError
from headwater.train.interactions import Columns, Frame
from headwater.train.trainer import Data, Window, Windows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["MIN_USERS", "Holdout", "cut_at", "middle_since", "rolling"]

MIN_USERS = 20
"""Fewer users than these in the test say nothing; the interval over them would be wider than any difference."""
MIN_VALIDATION_USERS = 5
MAX_VALIDATION_USERS = 2_000  # the search asks many times: a seeded sample of users is enough for it
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """What users did after a cut: everything known of each when asked (oldest first), and what he did next.

    `cut` and `until` are microseconds since 1970, `catalogue` the number of items known before the cut.
    """

    users: tuple[str, ...]
    histories: tuple[tuple[str, ...], ...]
    targets: tuple[frozenset[str], ...]
    warm: NDArray[np.bool_]
    cut: int
    until: int
    catalogue: int

    def sample(self, size: int, seed: int = 0) -> Holdout:
        """At most `size` of the users, drawn by `seed`."""
        import numpy as np

        if len(self.users) <= size:
            return self
        keep = np.sort(np.random.default_rng(seed).choice(len(self.users), size, replace=False))
        return Holdout(
            users=tuple(self.users[i] for i in keep),
            histories=tuple(self.histories[i] for i in keep),
            targets=tuple(self.targets[i] for i in keep),
            warm=self.warm[keep],
            cut=self.cut,
            until=self.until,
            catalogue=self.catalogue,
        )


def rolling(data: Data, columns: Columns, *, folds: int = 2) -> Windows:
    """The last fifth of all events as the test, `folds` tenths before it as validation, each with what came before it.

    Raises `DataError` if fewer than 20 users can be asked in the test, or too few in every validation window.
    """
    import numpy as np

    frame = columns.read(data)
    times = np.sort(frame["time"].to_numpy())
    if not len(times):
        raise DataError(f"table {columns.table} holds no interactions: nothing to learn from")
    shares = [1 - TEST_SHARE - VALIDATION_SHARE * left for left in range(folds, -1, -1)]
    cuts = sorted({int(times[int(len(times) * share)]) for share in shares})
    end = int(times[-1]) + 1
    test = _window(data, columns, frame, cuts[-1], end)
    _require_users(test.holdout, MIN_USERS, "the test")
    validation = []
    for cut, until in pairwise(cuts):
        window = _window(data, columns, frame, cut, until, limit=MAX_VALIDATION_USERS)
        if len(window.holdout.users) >= MIN_VALIDATION_USERS:
            validation.append(window)
    if not validation:
        raise DataError(
            f"table {columns.table}: no time before the test has {MIN_VALIDATION_USERS} users with two events or more: "
            "collect more data, or over a longer time"
        )
    return Windows(validation=tuple(validation), test=test)


def cut_at(data: Data, columns: Columns, cut: int) -> Window:
    """Everything before `cut` (microseconds since 1970) to learn from, everything after it to ask for."""
    frame = columns.read(data)
    end = int(frame["time"].max() or 0) + 1  # type: ignore[arg-type]  # an int64 column
    window = _window(data, columns, frame, cut, end)
    _require_users(window.holdout, MIN_USERS, "the comparison")
    return window


def middle_since(data: Data, columns: Columns, after: int) -> int:
    """The time of the middle one of all interactions later than `after`, both in microseconds since 1970.

    Raises `DataError` if there is none.
    """
    import numpy as np

    times = columns.read(data)["time"].to_numpy()
    later = np.sort(times[times > after])
    if not len(later):
        raise DataError(f"table {columns.table} has no interaction that the champion has not learned from: nothing to compare on yet")
    return int(later[len(later) // 2])


def _require_users(holdout: Holdout, needed: int, what: str) -> None:
    if len(holdout.users) < needed:
        raise DataError(
            f"{len(holdout.users)} users can be asked in {what}, at least {needed} needed: users with two events or more "
            "after the cut, the later ones about items new to them. Collect more data, or over a longer time"
        )


def _window(data: Data, columns: Columns, frame: pl.DataFrame, cut: int, until: int, *, limit: int | None = None) -> Window:
    import polars as pl

    before = frame.filter(pl.col("time") < cut)
    holdout = _holdout(before, frame.filter(pl.col("time").is_between(cut, until, closed="left")), cut, until)
    names = {"user": columns.user, "item": columns.item, "time": columns.time}
    known = before.with_columns(pl.col("time").cast(pl.Datetime("us"))).rename(names)
    known = known.rename({"weight": columns.weight}) if columns.weight else known.drop("weight")
    train = Frame(name=columns.table, frame=known, digest=json_digest([data.digest, columns.table, "before", cut]))
    return Window(train=train, holdout=holdout if limit is None else holdout.sample(limit))


def _holdout(before: pl.DataFrame, period: pl.DataFrame, cut: int, until: int) -> Holdout:
    import numpy as np
    import polars as pl

    events = period.group_by("user", "item").agg(pl.col("time").min()).sort("user", "time", "item")
    halves = events.group_by("user", maintain_order=True).agg("item").filter(pl.col("item").list.len() >= 2)
    old = before.join(halves.select("user"), on="user", how="semi")
    old = old.group_by("user", "item").agg(pl.col("time").max()).sort("user", "time", "item")
    known: dict[str, list[str]] = dict(old.group_by("user", maintain_order=True).agg("item").iter_rows())
    users, histories, targets, warm = [], [], [], []
    for user, items in halves.iter_rows():
        earlier = known.get(user, [])
        history = tuple(dict.fromkeys([*earlier, *items[: len(items) // 2]]))
        target = frozenset(items[len(items) // 2 :]).difference(history)
        if target:
            users.append(user)
            histories.append(history)
            targets.append(target)
            warm.append(bool(earlier))
    kept: dict[str, Any] = {"users": tuple(users), "histories": tuple(histories), "targets": tuple(targets)}
    return Holdout(**kept, warm=np.array(warm, bool), cut=cut, until=until, catalogue=before["item"].n_unique())
