"""Replay: history cut into rounds, each judged as if it were new, so that what is normal is known before anything is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headwater.gates.lift import Axis, Round

if TYPE_CHECKING:
    import polars as pl

    from headwater.gates.adoptions import Adoptions

__all__ = ["LEAST_HISTORY", "rounds"]

LEAST_HISTORY = 400
"""Of fewer adoptions nothing is said: what is normal is not known yet."""
KNOWN = 0.4  # of history, so much comes before the first round that is replayed
FEWEST, MOST = 4, 8
ONCE = ("batch", "day")  # groups that come once; the others last
WINDOW = 2  # days


def rounds(data: Adoptions, axes: Sequence[str]) -> tuple[Round, tuple[Round, ...]]:
    """What is new as a round, and past rounds of its size (or smaller, so that there are at least four), latest last.

    Beside the declared axes each round has windows of two days, where there are days.
    """
    history = data.history
    now = Round(
        items=len(data.items),
        fresh=_numbers(data.new, "i"),
        fresh_users=_numbers(data.new, "u"),
        past=_numbers(history, "i"),
        past_users=_numbers(history, "u"),
        axes=_axes(data, axes),
    )
    if history.height < LEAST_HISTORY or not data.new.height:
        return now, ()
    start = int(history.height * KNOWN)
    rest = history.height - start
    size = max(min(data.new.height, rest // FEWEST), -(-rest // MOST))
    firsts = range(history.height - rest // size * size, history.height, size)
    return now, tuple(_replayed(now, first, first + size) for first in firsts)


def _replayed(now: Round, first: int, last: int) -> Round:
    axes = tuple(Axis(name=a.name, new=a.old[first:last], old=a.old[:first], lasts=a.lasts) for a in now.axes)
    return Round(
        items=now.items,
        fresh=now.past[first:last],
        fresh_users=now.past_users[first:last],
        past=now.past[:first],
        past_users=now.past_users[:first],
        axes=axes,
    )


def _axes(data: Adoptions, axes: Sequence[str]) -> tuple[Axis, ...]:
    import numpy as np

    found = [_coded(data, axis) for axis in axes if axis not in ("contributor", "age")]
    if data.day is not None:
        new, old = (_numbers(frame, "at") // data.day for frame in (data.new, data.history))
        least = min(new.min(initial=np.iinfo(np.int64).max), old.min(initial=np.iinfo(np.int64).max))
        for shift in range(WINDOW):
            found.append(Axis(name=f"days+{shift}", new=(new - least + shift) // WINDOW, old=(old - least + shift) // WINDOW, lasts=False))
    return tuple(found)


def _coded(data: Adoptions, axis: str) -> Axis:
    import polars as pl

    from headwater.retrain.fresh import group_column

    column = group_column(axis)
    both = pl.concat([data.history[column], data.new[column]])
    codes = both.cast(pl.Enum(both.drop_nulls().unique().sort())).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    cut = data.history.height
    return Axis(name=axis, new=codes[cut:], old=codes[:cut], lasts=axis not in ONCE)


def _numbers(frame: pl.DataFrame, column: str) -> Any:
    import numpy as np

    return frame[column].to_numpy().astype(np.int64)
