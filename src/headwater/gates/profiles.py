"""Profiles: accounts that repeat what another account did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headwater.gates.adoptions import Adoptions
    from headwater.gates.surge import Crowd

__all__ = ["Copies", "copies"]

ALIKE = 0.8
"""Profiles share so much of their information, at least, before one is called the other's copy."""
LEAST_RARE = 5
"""So many rare items in common, at least: everybody has the popular ones."""
WORK = 30  # multiplications for each adoption that comparing may cost: what is more popular than fits into it is not rare


@dataclass(frozen=True, kw_only=True)
class Copies:
    """New `users`, the one that each is most `like` and how much (0 to 1): of so many `judged`; `usual` is the share of such
    people in history."""

    users: NDArray[np.int64]
    like: NDArray[np.int64]
    alike: NDArray[np.float64]
    judged: int
    usual: float


def copies(data: Adoptions, crowd: Crowd) -> Copies:
    """The users that came in this round and nearly repeat another profile, old or new.

    Likeness is the cosine of profiles whose items weigh as much as they tell (minus the log of their share of users), among
    pairs that have enough rare items in common, exactly. `p` is the share of history's own users who are as like another
    of history: a shop where people have two accounts finds nothing strange in them.
    """
    import numpy as np

    newcomers, old = np.setdiff1d(data.new["u"].to_numpy(), np.flatnonzero(data.known)), np.flatnonzero(data.known)
    best, like = _nearest(crowd.after, newcomers)
    found = best >= ALIKE
    repeated = int((_nearest(crowd.before, old)[0] >= ALIKE).sum()) if found.any() else 0
    usual = (repeated + 1.0) / (len(old) + 2.0)
    return Copies(users=newcomers[found], like=like[found], alike=best[found], judged=len(newcomers), usual=usual)


def _nearest(profiles: Any, of: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each of some users the most similar other one and how similar; 0 if none has enough rare items in common."""
    import numpy as np
    from scipy.sparse import diags

    popular = np.asarray(profiles.sum(axis=0)).ravel()
    people = max(int((np.diff(profiles.indptr) > 0).sum()), 1)
    information = np.log((people + 1.0) / (popular + 0.5))
    weighted = profiles @ diags(np.sqrt(np.maximum(information, 0.0)))
    size = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted = diags(1.0 / np.maximum(size, 1e-12)) @ weighted
    rare = profiles[:, np.flatnonzero(popular <= _limit(popular, profiles.nnz))]
    many = np.sqrt(np.diff(rare.indptr))
    common = rare[of] @ rare.T
    row, other = np.repeat(np.arange(len(of)), np.diff(common.indptr)), common.indices
    near = np.maximum(ALIKE / 2 * many[of][row] * many[other], LEAST_RARE)
    close = (common.data >= near) & (of[row] != other)
    row, other = row[close], other[close].astype(np.int64)
    cosine = np.asarray(weighted[of[row]].multiply(weighted[other]).sum(axis=1)).ravel() if len(row) else np.zeros(0)
    best, like = np.zeros(len(of)), np.full(len(of), -1, np.int64)
    order = np.lexsort((-other, cosine))
    best[row[order]], like[row[order]] = cosine[order], other[order]
    return best, like


def _limit(popular: NDArray[np.float64], adoptions: int) -> float:
    """How popular a rare item may be, so that comparing costs no more than `WORK` for each adoption."""
    import numpy as np

    ordered = np.sort(popular)
    fits = np.flatnonzero(np.cumsum(ordered**2) <= WORK * max(adoptions, 1))
    return float(ordered[fits[-1]]) if len(fits) else 1.0
