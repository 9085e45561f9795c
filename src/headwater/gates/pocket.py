"""Pocket: contradicted rows of one class that share a rare value, as a trigger would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.gates.betabinomial import upper_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Pocket", "find_pockets", "usual"]

_DRAWN = 4.0
"""The rate among other contradicted rows is drawn towards the usual one as if by so many more rows."""
_RHO = 0.02
"""Rows that are hard for the same reason look alike: so unlike independent ones they are taken to be."""


@dataclass(frozen=True, kw_only=True)
class Pocket:
    """`count` `of` contradicted rows with the label `given` are beyond the usual in `feature`, where `expected` would be.
    `rows` says which rows of that label, contradicted or not, are so."""

    given: int
    feature: int
    count: int
    of: int
    expected: float
    p: float
    rows: NDArray[Any]


def usual(beyond: NDArray[Any], given: NDArray[Any], classes: int) -> NDArray[Any]:
    """(2, classes, features): how often accepted rows of each class are above, and below, the usual; at least 2 %."""
    import numpy as np

    rates = np.full((2, classes, beyond.shape[1]), 0.02)
    for label in range(classes):
        mine = beyond[given == label]
        for side, sign in enumerate((1, -1)):
            rates[side, label] = np.maximum(((mine == sign).sum(axis=0) + 1.0) / (len(mine) + 2.0), 0.02)
    return rates


def find_pockets(
    beyond: NDArray[Any], expect: NDArray[Any], given: NDArray[Any], against: NDArray[Any], normal: NDArray[Any], classes: int
) -> list[Pocket]:
    """The strongest for each given label, by beta-binomial tails with Bonferroni's correction over features, sides and labels.

    What is expected of a row is the largest of: the rates of the class it looks like and of the one it was given, as a mistake
    has them; and the rates of the other contradicted rows, and of those that look like this class, as hard cases have them,
    which are mistaken both ways.
    """
    import numpy as np

    found: list[Pocket] = []
    if not beyond.shape[1]:
        return found
    for label in range(classes):
        mine = against & (given == label)
        if mine.sum() < 4:
            continue
        for side, sign in enumerate((1, -1)):
            out = (beyond[mine] == sign).sum(axis=0)
            rate = np.maximum(normal[side, expect[mine]], normal[side, label]).mean(axis=0)
            for like in (against & (given != label), against & (expect == label)):
                shared = (beyond[like] == sign).sum(axis=0) + _DRAWN * rate
                rate = np.maximum(rate, shared / (like.sum() + _DRAWN))
            tails = np.asarray(upper_tail(out, np.full(len(out), mine.sum()), rate, _RHO))
            best = int(tails.argmin())
            found.append(
                Pocket(
                    given=label,
                    feature=best,
                    count=int(out[best]),
                    of=int(mine.sum()),
                    expected=float(rate[best] * mine.sum()),
                    p=min(1.0, float(tails[best]) * 2 * beyond.shape[1] * classes),
                    rows=(given == label) & (beyond[:, best] == sign) & (expect != label),
                )
            )
    return found
