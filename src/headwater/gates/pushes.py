"""Pushes: what lift, surge, misfit and copies say together about items and accounts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.gates.lift import Round, cells, chances
from headwater.gates.surge import SCREEN, surges, suspects
from headwater.gates.suspicion import Suspicion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headwater.core.artifact import Fact
    from headwater.gates.adoptions import Adoptions
    from headwater.gates.norms import Norms
    from headwater.gates.profiles import Copies
    from headwater.gates.surge import Crowd, Misfit
    from headwater.train.trainer import Ranker

__all__ = ["Case", "Push", "copied", "lifted", "pushed", "surged"]

ASKED, SHOWN = 20, 50  # of an item's new users, so many are asked about; would it be among the first so many?
MOST = 50  # lifted cells that are looked into, the surest first: each costs a comparison
LEAST_MISFIT = 0.05  # however much an item grew, nothing is done about people whom it suits


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is judged, and what is needed for it."""

    data: Adoptions
    now: Round
    crowd: Crowd
    norms: Norms
    copies: Copies
    seed: int
    alpha: float
    champion: Ranker | None = None

    @property
    def items(self) -> int:
        """How many items are judged."""
        import numpy as np

        return max(len(np.unique(self.now.fresh)), 1)


@dataclass(frozen=True, kw_only=True)
class Push:
    """A cell whose lift is sure: `p` (of any such cell in the round), `confirmed` (that in addition its newcomers do not fit, or
    repeat each other), `out`: the users beyond what was expected, those first that fit worst."""

    item: int
    axis: str
    p: float
    confirmed: float
    out: tuple[int, ...]
    numbers: dict[str, Fact]


@dataclass(frozen=True, kw_only=True)
class _Cell:
    axis: str
    item: int
    group: int
    p: float
    mean: float
    users: NDArray[np.int64]


def lifted(case: Case) -> list[Push]:
    """The items that a group turned to surely more than all else makes expected, surest first."""
    sure = _sure_cells(case)
    return [_push(case, cell, len(sure)) for cell in sure]


def _sure_cells(case: Case) -> list[_Cell]:
    import numpy as np

    now, found, tests = case.now, [], 0
    judged = [(axis, cells(now, axis)) for axis in now.axes]
    tests = sum(one.tests for _, one in judged)
    for axis, one in judged:
        p, mean = chances(one, case.norms.axes[axis.name])
        for at in np.flatnonzero(p * tests <= case.alpha):
            users = np.sort(now.fresh_users[(axis.new == one.group[at]) & (now.fresh == one.item[at])])
            cell = _Cell(
                axis=axis.name, item=int(one.item[at]), group=int(one.group[at]), p=float(p[at]) * tests, mean=float(mean[at]), users=users
            )
            found.append(cell)
    return sorted(found, key=lambda cell: (cell.p, cell.item, cell.axis, cell.group))[:MOST]


def _push(case: Case, cell: _Cell, cases: int) -> Push:
    import numpy as np
    from scipy.stats import binom

    newcomers = cell.users[~case.data.known[cell.users]]
    compared = case.crowd.compare(cell.item, newcomers)
    misfit = case.norms.misfits(compared)
    repeated = int(np.isin(newcomers, case.copies.users).sum())
    copied = float(binom.sf(repeated - 1, len(newcomers), case.copies.usual)) if repeated >= 2 else 1.0
    strange = min(2.0 * min(misfit, copied) * cases, 1.0)
    numbers: dict[str, Fact] = {
        "axis": cell.axis,
        "users": len(cell.users),
        "newcomers": len(newcomers),
        "expected": round(cell.mean, 3),
        "p.lift": cell.p,
        "p.misfit": misfit,
        "p.copies": copied,
    }
    out = _beyond(case, cell.users, compared, cell.mean)
    return Push(item=cell.item, axis=cell.axis, p=cell.p, confirmed=max(cell.p, strange), out=out, numbers=numbers)


def _beyond(case: Case, users: NDArray[np.int64], compared: Misfit, mean: float) -> tuple[int, ...]:
    """Who is too many: old accounts last, then the worst fit first, then by a seeded hash of their names."""
    import numpy as np

    places = dict(zip(compared.users.tolist(), compared.place.tolist(), strict=True))
    copies = set(case.copies.users.tolist())

    def order(user: int) -> tuple[bool, bool, float, str]:
        name = hashlib.blake2b(f"{case.seed}\0{case.data.users[user]}".encode()).hexdigest()
        return bool(case.data.known[user]), user not in copies, places.get(user, 1.0), name

    return tuple(sorted(users.tolist(), key=order)[: max(len(users) - int(np.ceil(mean)), 0)])


def _shown(case: Case, item: int, users: NDArray[np.int64]) -> dict[str, Fact]:
    """To which share of some users the champion would have shown the item, from what else they like. It learned from the
    earlier users, so it says nothing about chance: it is told, and decides nothing."""
    if case.champion is None:
        return {}
    name, seen = str(case.data.items[item]), 0
    asked = users[: ASKED * max(len(users) // ASKED, 1) : max(len(users) // ASKED, 1)]
    for user in asked.tolist():
        row = case.crowd.after[[user]].indices
        others = [str(one) for one in case.data.items.gather(sorted(row[row != item].tolist()))]
        seen += name in {one for one, _ in case.champion.recommend(None, history=others, k=SHOWN)}
    return {"champion.shows": round(seen / max(len(asked), 1), 4)}


def pushed(case: Case, pushes: Sequence[Push]) -> list[Suspicion]:
    """For each lifted item its rows beyond what was expected; for each push that is confirmed its new accounts."""
    import numpy as np

    found: list[Suspicion] = []
    for item in sorted({push.item for push in pushes}):
        mine = [push for push in pushes if push.item == item]
        sure = [push for push in mine if push.confirmed <= case.alpha]
        users = np.array(sorted({user for push in (sure or mine) for user in push.out}), np.int64)
        rows = case.data.names(users, item)
        p = min(1.0, min(push.p for push in mine) / case.items)
        test = "push" if sure else "lift"
        numbers = {**(sure or mine)[0].numbers, **_shown(case, item, users)}
        found.append(Suspicion(axis="item", group=case.data.items[item], test=test, p=p, records=len(rows), numbers=numbers, rows=rows))
    return found + _pushers(case, pushes)


def _pushers(case: Case, pushes: Sequence[Push]) -> list[Suspicion]:
    best: dict[str, tuple[float, int, Push]] = {}
    for push in pushes:
        if push.confirmed > case.alpha:
            continue
        for name, records in case.data.accounts([user for user in push.out if not case.data.known[user]]).items():
            if name not in best or push.confirmed < best[name][0]:
                best[name] = (push.confirmed, records, push)
    return [
        Suspicion(
            axis="contributor",
            group=name,
            test="pusher",
            p=p,
            records=records,
            numbers={"item": str(case.data.items[push.item]), **push.numbers},
        )
        for name, (p, records, push) in sorted(best.items())
    ]


def surged(case: Case) -> list[Suspicion]:
    """Items that grew among people who do not fit: rows beyond the historic rate, those first that fit worst.

    The p-value is how many such items, or stranger ones, an honest round is expected to have: as many as grew so much in history,
    times the chance of such a misfit; so an honest hit, which grows among people whom it suits, is no offence. The logarithm pays
    for the choice among the items that grew.
    """
    import numpy as np

    grown = surges(case.now, case.norms.items)
    looked = np.flatnonzero(grown.p <= SCREEN)
    choice = 1.0 + math.log(max(len(looked), 1))
    found = []
    for item in looked.tolist():
        users = np.sort(case.now.fresh_users[case.now.fresh == item])
        compared = case.crowd.compare(item, suspects(users, case.data.known, float(grown.mean[item])))
        misfit = case.norms.misfits(compared)
        p = misfit * choice * case.norms.like_it(float(grown.p[item]))
        if misfit > LEAST_MISFIT or p > case.alpha:
            continue
        out = np.array(sorted(_beyond(case, users, compared, float(grown.mean[item]))), np.int64)
        rows = case.data.names(out, item)
        numbers: dict[str, Fact] = {
            "users": len(users),
            "expected": round(float(grown.mean[item]), 3),
            "p.surge": float(grown.p[item]),
            "p.misfit": misfit,
            **_shown(case, item, out),
        }
        p = min(1.0, p / case.items)  # a p-value of the round; `decide` multiplies by the items
        found.append(Suspicion(axis="item", group=case.data.items[item], test="surge", p=p, records=len(rows), numbers=numbers, rows=rows))
    return found


def copied(case: Case) -> list[Suspicion]:
    """New accounts that repeat another's profile, if more do so than history's own: what they wrote says nothing new."""
    import numpy as np
    from scipy.stats import binom

    copies = case.copies
    if len(copies.users) < 2:
        return []
    p = float(binom.sf(len(copies.users) - 1, copies.judged, copies.usual))
    found = []
    for user, alike in zip(copies.users.tolist(), copies.alike.tolist(), strict=True):
        rows = case.data.names(np.array([user]))
        for name in case.data.accounts([user]):
            numbers: dict[str, Fact] = {
                "alike": round(alike, 3),
                "copies": len(copies.users),
                "newcomers": copies.judged,
                "usual": copies.usual,
            }
            found.append(Suspicion(axis="contributor", group=name, test="copy", p=p, records=len(rows), numbers=numbers, rows=rows))
    return found
