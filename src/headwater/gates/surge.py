"""Surge and misfit: an item that suddenly grows among people whose other tastes do not go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.gates.lift import LEAST, PRIOR, SETTLED, Round

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


__all__ = ["SCREEN", "Crowd", "Misfit", "Surges", "suspects", "surges", "typical_spread"]

SCREEN = 0.002
"""Items that grow so much by chance in one round of five hundred are looked at; growth alone is no offence."""
COMPARED = 400  # of an item's earlier users, so many at most are compared with the new ones


@dataclass(frozen=True, kw_only=True)
class Surges:
    """For each item: `count` of new users, `mean` expected from history, `p` of so many or more; 1 where history says too little."""

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    p: NDArray[np.float64]
    judged: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """How an item's new users compare with its earlier ones: `z`, how much worse they fit (in standard deviations, if they
    fitted as well), and each one's `place` among the earlier ones (0 below all, 1 above all)."""

    z: float
    users: NDArray[np.int64]
    place: NDArray[np.float64]
    compared: bool = True


def surges(one: Round, spread: float) -> Surges:
    """How surprising each item's growth is, if rates vary from round to round with the relative variance `spread`."""
    import numpy as np
    from scipy.special import betainc

    count = np.bincount(one.fresh, minlength=one.items).astype(float)
    before = np.bincount(one.past, minlength=one.items)
    early = np.bincount(one.early, minlength=one.items)
    usual = (before + 0.5) / (len(one.past) + 0.5 * one.items)
    late = one.past[len(one.early) :]
    lately = (np.bincount(late, minlength=one.items) + PRIOR) / (len(late) + PRIOR / usual)
    mean = len(one.fresh) * np.maximum(usual, lately)  # what grew before goes on growing
    size = 1.0 / (spread + 1.0 / (before + 0.5))
    judged = (early >= SETTLED) & (count >= LEAST)
    p = np.where(judged, betainc(np.maximum(count, 1.0), size, mean / (mean + size)), 1.0)
    return Surges(count=count, mean=mean, p=p, judged=early >= SETTLED)


def suspects(users: NDArray[np.int64], known: NDArray[np.bool_], mean: float) -> NDArray[np.int64]:
    """Whom a surge may be due to: the new accounts, if they alone are more than were expected; else everyone."""
    newcomers = users[~known[users]]
    return newcomers if len(newcomers) > max(mean, LEAST) else users


def typical_spread(replayed: Sequence[Round]) -> float:
    """The smallest spread with which items of history passed `SCREEN` no more often than it says."""
    import numpy as np

    grid = np.geomspace(0.02, 20.0, 31)
    low, high = 0, len(grid) - 1
    while low < high:
        middle = (low + high) // 2
        found = [surges(one, float(grid[middle])) for one in replayed]
        passed, judged = sum(int((f.p <= SCREEN).sum()) for f in found), sum(int(f.judged.sum()) for f in found)
        low, high = (low, middle) if passed <= SCREEN * judged else (middle + 1, high)
    return float(grid[high])


class Crowd:
    """What history's people have together: how well items go with profiles."""

    def __init__(self, before: Any, after: Any) -> None:
        """`before` and `after`: users × items, 1 where a user had the item before the round, or has it now."""
        import numpy as np

        self.before, self.after = before, after
        self.popular = np.asarray(before.sum(axis=0)).ravel()
        self.people = max(int((np.diff(before.indptr) > 0).sum()), 2)
        self.weight = np.where(self.popular > 0, 1.0 / np.sqrt(np.maximum(self.popular, 1.0)), 0.0)
        self.by_item = before.tocsc()

    def adopters(self, item: int) -> NDArray[np.int64]:
        """Who had the item before the round, at most `COMPARED`."""
        import numpy as np

        lies = slice(self.by_item.indptr[item], self.by_item.indptr[item + 1])
        return np.asarray(np.sort(self.by_item.indices[lies])[-COMPARED:], np.int64)

    def fits(self, item: int, profiles: Any, together: NDArray[np.float64], own: bool) -> NDArray[np.float64]:
        """How well an item goes with the profiles of people who have it: how much oftener than by chance the crowd has it along
        with their other items, in standard deviations. `own`: they are of the crowd; what they themselves say is left out.
        A profile without other items says nothing: 0."""
        import numpy as np

        weight = self.weight.copy()
        weight[item] = 0.0
        expected = (self.popular - own) * ((self.popular[item] - own) / (self.people - own))
        above, noise = (profiles @ np.column_stack([(together - own - expected) * weight, expected * weight * weight])).T
        return np.asarray(np.where(noise > 1e-9, above / np.sqrt(np.maximum(noise, 1e-9)), 0.0), np.float64)

    def compare(self, item: int, users: NDArray[np.int64]) -> Misfit:
        """Whether new users of an item fit it worse than its earlier ones: Mann & Whitney's test of their fits (1947).

        The earlier users' own part in what goes together is left out, so an honest newcomer fits as well as they do.
        """
        import numpy as np

        earlier = self.adopters(item)
        n, m = len(users), len(earlier)
        if m < SETTLED or n < LEAST:
            return Misfit(z=0.0, users=users, place=np.ones(n), compared=False)
        theirs = self.before[earlier]
        together = np.bincount(theirs.indices, minlength=len(self.popular)) * (self.popular[item] / m)
        old = np.sort(self.fits(item, theirs, together, True))
        new = self.fits(item, self.after[users], together, False)
        place = (np.searchsorted(old, new, side="left") + np.searchsorted(old, new, side="right")) / (2.0 * m)
        z = m * (n / 2.0 - place.sum()) / np.sqrt(n * m * (n + m + 1) / 12.0)  # ties would make it larger
        return Misfit(z=float(z), users=users, place=place)
