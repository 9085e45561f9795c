"""Suspects: what the tests of labels say about contributors, batches, days, sources; nothing is decided here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.gates.betabinomial import Spread
from headwater.gates.calibration import judged
from headwater.gates.case import WORTH, Case, contributors
from headwater.gates.direction import direction
from headwater.gates.disagreement import CUTS, Opinion, opinion
from headwater.gates.drip import e_values, remember, slow_p
from headwater.gates.labelled import Rows, by_group
from headwater.gates.shift import p_values, permuted_p
from headwater.gates.suspicion import Suspicion

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["news_of", "of_contributors", "of_others"]


def of_contributors(case: Case) -> list[Suspicion]:
    """What neighbours, the champion and the memory say against contributors: of new rows, and of all they ever wrote."""
    import numpy as np

    spread = case.past.spreads.get("contributor")
    if spread is None:
        return []
    names = contributors(case)
    new = _tallies(case, names)
    old = np.array([case.past.tallies.get(case.pseudonym(name), (0.0, 0.0, 0.0)) for name in names])
    power = case.past.powers["contributor"]
    p_new, p_old, p_all = (judged(t[:, 1], t[:, 0], t[:, 2], spread, power) for t in (new, old, old + new))
    found = []
    for i, name in enumerate(names):
        if new[i, 1] and p_new[i] < WORTH:
            found.append(_told(case, name, "neighbours", new[i], p_new[i], spread, case.said.of(_mine(case.rows.new, name))))
        if old[i, 1] and p_all[i] < WORTH:
            mine = case.asked(case.rows.history.of(_mine(case.rows.history, name)))
            found.append(_told(case, name, "history", (old + new)[i], p_all[i], spread, mine, learned=bool(p_old[i] < 0.01)))
    return [*found, *_by_champion(case), *_drips(case), *_shifts(case, "contributor", np.ones(len(case.rows.new), dtype=bool))]


def of_others(case: Case, axis: str, kept: NDArray[Any]) -> list[Suspicion]:
    """What neighbours say against whole batches, days, sources, … without the rows of contributors that are caught.

    The rows that are contradicted are named, if they are fewer than half: the others need not go with them.
    """
    spread = case.past.spreads.get(axis)
    if spread is None:
        return []
    rows = case.rows.new
    said = case.said.of(kept)
    names, (records, count, expected) = by_group(rows.groups[axis][kept], said.sure, said.against, case.past.rates.expected(said))
    p = judged(count, records, expected, spread, case.past.powers[axis])
    found = []
    for i, name in enumerate(names):
        if p[i] < WORTH:
            mine = kept & (rows.groups[axis] == name)
            tally = (records[i], count[i], expected[i])
            told = _told(case, name, "neighbours", tally, p[i], spread, case.said.of(mine), axis=axis)
            if count[i] < records[i] / 2:
                told = replace(told, rows=rows.names(mine & case.said.against))
            found.append(told)
    return [*found, *_shifts(case, axis, kept)]


def _drips(case: Case) -> list[Suspicion]:
    """The e-detector over all rounds, this one included."""
    slow = remember(case.memory.slow, news_of(case))
    rounds = case.memory.rounds + 1
    found = []
    for name in contributors(case):
        statistic = slow.get(case.pseudonym(name), 0.0)
        p = slow_p(statistic, rounds)
        if p < WORTH and rounds > 1:
            numbers: dict[str, Fact] = {"rounds": rounds, "statistic": statistic}
            records = int((case.rows.new.groups["contributor"] == name).sum())
            found.append(Suspicion(axis="contributor", group=name, test="slow", p=p, records=records, numbers=numbers))
    return found


def news_of(case: Case) -> dict[str, float]:
    """The e-value of each contributor's new rows, by pseudonym."""
    import numpy as np

    spread = case.past.spreads.get("contributor")
    if spread is None:
        return {}
    names = sorted({name for name in case.rows.new.groups["contributor"] if name is not None})
    records, count, expected = _tallies(case, names).T
    rate = np.minimum(expected * spread.factor / np.maximum(records, 1), 0.99)
    return {case.pseudonym(name): float(e) for name, e in zip(names, e_values(count, records, rate, spread.rho), strict=True)}


def _shifts(case: Case, axis: str, kept: NDArray[Any]) -> list[Suspicion]:
    """Groups whose features lie elsewhere, class by class taken off."""
    import numpy as np

    null = case.past.nulls.get(axis)
    if null is None:
        return []
    rows = case.rows.new
    picked = kept & (rows.given >= 0)
    of_class = np.eye(case.classes)[rows.given[picked]]
    names, (sums, mixes) = by_group(rows.groups[axis][picked], case.far[picked], of_class)
    sizes = mixes.sum(axis=1)
    doubt = (mixes**2 / np.maximum(case.in_class, 1)).sum(axis=1)
    found = []
    for name, size, shifted in zip(names, sizes.tolist(), p_values(sums, sizes, np.asarray(case.past.unit), null, doubt), strict=True):
        p = shifted.p
        if p < WORTH:
            p = max(p, permuted_p(case.far[picked & (rows.groups[axis] == name)], case.known_far, case.seed))
        if p < WORTH:
            numbers: dict[str, Fact] = {"feature": shifted.feature, "z": shifted.z}
            found.append(Suspicion(axis=axis, group=name, test="shift", p=p, records=int(size), numbers=numbers))
    return found


def _by_champion(case: Case) -> list[Suspicion]:
    import numpy as np

    if case.champion is None or case.champion_cut is None:
        return []
    cut, rate, spread = case.champion_cut
    said = opinion(case.champion, case.rows.new.given, CUTS[cut])
    names, (records, count) = by_group(case.rows.new.groups["contributor"], said.sure, said.against)
    p = judged(count, records, records * rate, spread, 1.0)
    return [
        _told(
            case, name, "champion", np.array([records[i], count[i], records[i] * rate]), p[i], spread, said.of(_mine(case.rows.new, name))
        )
        for i, name in enumerate(names)
        if p[i] < WORTH
    ]


def _tallies(case: Case, names: list[str]) -> NDArray[Any]:
    """Sure, against and expected, summed over each one's new rows."""
    import numpy as np

    groups = case.rows.new.groups["contributor"]
    found, sums = by_group(groups, case.said.sure, case.said.against, case.past.rates.expected(case.said))
    at = {name: i for i, name in enumerate(found)}
    table = np.stack([*sums], axis=1) if found else np.zeros((0, 3))
    return np.array([table[at[name]] if name in at else np.zeros(3) for name in names]).reshape(-1, 3)


def _mine(rows: Rows, name: str) -> NDArray[Any]:
    import numpy as np

    return np.asarray(rows.groups["contributor"] == name)


def _told(
    case: Case,
    group: str,
    test: str,
    tally: Any,
    p: float,
    spread: Spread,
    said: Opinion,
    *,
    axis: str = "contributor",
    learned: bool = False,
) -> Suspicion:
    """A suspicion of labels, with the way that they go."""
    records, count, expected = (float(value) for value in tally)
    way = direction(said, case.classes)
    numbers: dict[str, Fact] = {
        "judged": int(records),
        "disagreements": int(count),
        "expected": round(expected * spread.factor, 3),
        "rho": spread.rho,
        "direction_p": way.p,
    }
    if way.p < 0.01:
        source = case.rows.classes[way.source] if way.source >= 0 else "any"
        numbers["direction"] = f"{source} to {case.rows.classes[way.target]}: {way.count}"
    named = f"{test}.{'flip' if way.p < 0.01 else 'noise'}{'-learned' if learned else ''}"
    return Suspicion(axis=axis, group=group, test=named, p=float(p), records=int(records), numbers=numbers)
