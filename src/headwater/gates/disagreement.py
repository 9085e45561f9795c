"""Disagreement: rows whose label is not the one that others expect, counted only where the others are sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CUTS", "Opinion", "Rates", "best_cut", "opinion", "rates"]

CUTS = (0.0, 0.6, 0.8, 0.9)
"""How sure one may have to be to count."""


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What neighbours, or a champion, say of each row: the label they `expect`, whether they are `sure`, and whether a
    sure opinion is `against` the label that was `given`."""

    expect: NDArray[Any]
    given: NDArray[Any]
    sure: NDArray[Any]
    against: NDArray[Any]

    def of(self, rows: NDArray[Any]) -> Opinion:
        """The same of some of the rows."""
        return Opinion(expect=self.expect[rows], given=self.given[rows], sure=self.sure[rows], against=self.against[rows])


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often a sure opinion was against a row that was accepted, by the label it expected."""

    cut: float
    by_class: tuple[float, ...]

    def expected(self, opinion: Opinion) -> NDArray[Any]:
        """Each row's chance to be disagreed with."""
        import numpy as np

        return np.where(opinion.sure, np.asarray(self.by_class)[opinion.expect], 0.0)


def opinion(shares: NDArray[Any], given: NDArray[Any], cut: float) -> Opinion:
    """`shares` (rows, classes) are votes or probabilities; sure is whoever gives one class at least `cut`. A row whose
    label is no class (−1) is nobody's business."""
    expect = shares.argmax(axis=1)
    sure = (shares.max(axis=1) >= cut - 1e-6) & (shares.max(axis=1) > 0) & (given >= 0)
    return Opinion(expect=expect, given=given, sure=sure, against=sure & (expect != given))


def best_cut(sure: Sequence[float], against: Sequence[float], records: float) -> int:
    """Which of the cuts tells honest groups best from groups with wrong labels, by what accepted rows show.

    `sure` and `against` count rows for each cut. Wrong labels are seen in proportion to `sure`, and have to stand out of
    the spread of `against`: the best is where their quotient is largest for a group of 30 records.
    """
    import numpy as np

    seen = 30.0 * np.asarray(sure) / max(records, 1.0)
    noise = 30.0 * (np.asarray(against) + 1.0) / max(records, 1.0)
    return int(np.argmax(seen / np.sqrt(noise + 1.0)))


def rates(seen: Opinion, classes: int, cut: float) -> Rates:
    """The rates of accepted rows, each drawn towards the common one as if by 50 more rows; never zero."""
    import numpy as np

    sure = np.bincount(seen.expect[seen.sure], minlength=classes)
    against = np.bincount(seen.expect[seen.against], minlength=classes)
    common = (against.sum() + 1.0) / (sure.sum() + 2.0)
    return Rates(cut=cut, by_class=tuple(((against + 50.0 * common) / (sure + 50.0)).tolist()))
