"""Case: what the tests of labels look at, and what is to be remembered of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headwater.gates.betabinomial import Spread, fit_spread
from headwater.gates.calibration import Past
from headwater.gates.disagreement import CUTS, Opinion, best_cut, opinion
from headwater.gates.frozen import telling
from headwater.gates.labelled import Labelled, Rows, by_group
from headwater.gates.memory import Memory
from headwater.gates.neighbours import votes
from headwater.gates.shift import residuals

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PUSH_CUT", "WORTH", "Case", "champion_pushes", "champion_tallies", "contributors"]

PUSH_CUT = 0.8
"""How sure a champion must be to count in a push."""
WORTH = 0.01
"""No suspicion with a larger p-value is worth a word: it could not raise an alarm."""
_LEAST_MEMORY = 300
"""Rows that champions must have been asked about when these were new, before their disagreement means anything."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the tests look at: the rows, `known` ones among the accepted, what the `past` says, the `memory`, and what the
    champion gives for each class of each new row (None: there is no champion, or it cannot read these rows)."""

    rows: Labelled
    known: Rows
    past: Past
    memory: Memory
    champion: NDArray[Any] | None
    k: int
    seed: int
    pseudonym: Callable[[str], str]

    @property
    def classes(self) -> int:
        return len(self.rows.classes)

    @cached_property
    def said(self) -> Opinion:
        """What neighbours among accepted rows of others say of the new rows."""
        return self.asked(self.rows.new)

    @cached_property
    def weights(self) -> NDArray[Any]:
        """How much each feature counts when rows are near each other."""
        return telling(self.known.points.at, self.known.given, self.classes)

    @cached_property
    def known_said(self) -> Opinion:
        """What neighbours say of the accepted rows."""
        return self.asked(self.known)

    def asked(self, rows: Rows) -> Opinion:
        known, weights = self.known, self.weights
        index, placed = known.points.at * weights, rows.points.at * weights
        shares = votes(index, known.given, known.owner, placed, rows.owner, classes=self.classes, k=self.k)
        return opinion(shares, rows.given, self.past.rates.cut)

    @cached_property
    def far(self) -> NDArray[Any]:
        """How far new rows lie from accepted ones of their class."""
        return residuals(self.rows.new.points.wide, self.rows.new.given, self.known.points.wide, self.known.given, self.classes)

    @cached_property
    def known_far(self) -> NDArray[Any]:
        """How far accepted rows lie from their class."""
        at, given = self.known.points.wide, self.known.given
        return residuals(at, given, at, given, self.classes)

    @cached_property
    def in_class(self) -> NDArray[Any]:
        """How many known accepted rows each class has."""
        import numpy as np

        return np.bincount(self.known.given, minlength=self.classes)

    @cached_property
    def champion_cut(self) -> tuple[int, float, Spread] | None:
        """The cut for the champion, its base rate and spread, from what champions said of rows that were accepted afterwards."""
        import numpy as np

        tallies = np.array(list(self.memory.champion.values()), dtype=np.float64).reshape(-1, len(CUTS), 2)
        if self.champion is None or tallies[:, 0, 0].sum() < _LEAST_MEMORY:
            return None
        total = tallies.sum(axis=0)
        cut = best_cut(total[:, 0].tolist(), total[:, 1].tolist(), float(total[0, 0]))
        rate = float((total[cut, 1] + 1) / (total[cut, 0] + 2))
        return cut, rate, fit_spread(tallies[:, cut, 1], tallies[:, cut, 0], tallies[:, cut, 0] * rate)


def contributors(case: Case) -> list[str]:
    """All that ever wrote, sorted."""
    groups = [rows.groups.get("contributor", ()) for rows in (case.rows.new, case.rows.history)]
    return sorted({name for part in groups for name in part if name is not None})


def champion_tallies(case: Case, kept: NDArray[Any]) -> dict[str, tuple[int, ...]]:
    """For each contributor of the kept new rows, how often the champion was sure and against, in pairs by cut."""
    if case.champion is None or "contributor" not in case.rows.new.groups:
        return {}
    said = [opinion(case.champion, case.rows.new.given, cut).of(kept) for cut in CUTS]
    names, sums = by_group(case.rows.new.groups["contributor"][kept], *(part for o in said for part in (o.sure, o.against)))
    return {case.pseudonym(name): tuple(int(total[i]) for total in sums) for i, name in enumerate(names)}


def champion_pushes(case: Case, kept: NDArray[Any]) -> dict[str, tuple[int, int]]:
    """By given class, how often the champion was sure, and against."""
    if case.champion is None:
        return {}
    said = opinion(case.champion, case.rows.new.given, PUSH_CUT).of(kept)
    return {
        name: (int((said.sure & (said.given == label)).sum()), int((said.against & (said.given == label)).sum()))
        for label, name in enumerate(case.rows.classes)
    }
