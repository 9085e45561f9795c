"""Norms: how much honest rounds differ from each other, learned from history alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.gates.lift import Round, calibrated, cells
from headwater.gates.surge import SCREEN, Crowd, Misfit, surges, suspects, typical_spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Norms", "crowd_of", "norms", "remembered"]

TRIED = 25  # items of each replayed round whose new users are compared with the earlier ones
OLD = 0.1  # norms are learned anew when history has changed by more than this share


@dataclass(frozen=True, kw_only=True)
class Norms:
    """`items`: how much items' rates vary from round to round; `axes`: how much groups of an axis differ; both as relative
    variances. `growth`: the p-values of history's own surges, smallest first, in `rounds` rounds. Honest newcomers' misfit has the
    mean `centre` and the standard deviation `scale`. All was learned from so many `adoptions`."""

    items: float
    axes: Mapping[str, float]
    growth: tuple[float, ...]
    rounds: int
    centre: float
    scale: float
    adoptions: int

    def to_json(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "axes": dict(self.axes),
            "growth": list(self.growth),
            "rounds": self.rounds,
            "centre": self.centre,
            "scale": self.scale,
            "adoptions": self.adoptions,
        }

    def like_it(self, p: float) -> float:
        """How many items of an honest round grow so much or more: as many as in history, and half of one that is yet to come."""
        return (bisect_right(self.growth, p) + 0.5) / self.rounds

    def misfits(self, found: Misfit) -> float:
        """The chance that honest newcomers fit an item as badly as these, or worse."""
        from scipy.special import ndtr

        return float(ndtr(-(found.z - self.centre) / self.scale))


def remembered(state: Mapping[str, Any], now: Round) -> Norms | None:
    """The norms that an earlier verdict left, if they are about the same axes and about as much history."""
    kept = state.get("norms")
    if not isinstance(kept, Mapping) or set(kept["axes"]) != {axis.name for axis in now.axes}:
        return None
    if abs(len(now.past) - kept["adoptions"]) > OLD * kept["adoptions"]:
        return None
    return Norms(**{**kept, "growth": tuple(kept["growth"])})


def norms(replayed: Sequence[Round], users: int) -> Norms:
    """Learn what is normal from replayed rounds of history."""
    items = typical_spread(replayed)
    names = [axis.name for axis in replayed[-1].axes]
    axes = {name: calibrated([cells(one, one.axes[at]) for one in replayed]) for at, name in enumerate(names)}
    growth = sorted(float(p) for one in replayed for p in surges(one, items).p if p <= SCREEN)
    centre, scale = _misfits(replayed, users, items)
    return Norms(
        items=items,
        axes=axes,
        growth=tuple(growth),
        rounds=len(replayed),
        centre=centre,
        scale=scale,
        adoptions=len(replayed[-1].past) + len(replayed[-1].fresh),
    )


def crowd_of(one: Round, users: int) -> Crowd:
    """The people of a round as users × items: before it, and after it."""
    before = _matrix(one.past_users, one.past, users, one.items)
    return Crowd(before, before + _matrix(one.fresh_users, one.fresh, users, one.items))


def _matrix(users: NDArray[np.int64], items: NDArray[np.int64], rows: int, columns: int) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix

    return csr_matrix((np.ones(len(users)), (users, items)), shape=(rows, columns))


def _misfits(replayed: Sequence[Round], users: int, spread: float) -> tuple[float, float]:
    """Mean and standard deviation of misfit among the items that grew most in each round; no less than in theory (0 and 1),
    and no less than the worst of them makes likely."""
    import numpy as np

    found: list[float] = []
    for one in replayed:
        grown, crowd = surges(one, spread), crowd_of(one, users)
        known = np.diff(crowd.before.indptr) > 0
        for item in np.argsort(grown.p, kind="stable")[:TRIED]:
            if grown.p[item] < 1.0:
                turned = np.sort(one.fresh_users[one.fresh == item])
                compared = crowd.compare(int(item), suspects(turned, known, float(grown.mean[item])))
                if compared.compared:
                    found.append(compared.z)
    if len(found) < 2:
        return 0.0, 1.0
    from scipy.special import ndtri

    z = np.array(found)
    centre = max(float(z.mean()), 0.0)
    return centre, max(1.0, float(z.std()), (float(z.max()) - centre) / float(ndtri(1.0 - 0.5 / len(z))))
