"""Rounds: what the tests of labels say about all rows of a retraining together, whoever wrote them; these name rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.gates.betabinomial import upper_tail
from headwater.gates.calibration import DRAWN
from headwater.gates.case import PUSH_CUT, WORTH, Case
from headwater.gates.disagreement import Opinion, opinion
from headwater.gates.pocket import find_pockets, usual
from headwater.gates.shift import p_values, permuted_p
from headwater.gates.suspicion import Suspicion

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["class_shifts", "pockets", "pushes"]

_ROUND_RHO = 0.01
"""How unlike each other retrainings are, while there are too few batches to say."""


def pushes(case: Case, kept: NDArray[Any]) -> list[Suspicion]:
    """Whether all that is new, whoever wrote it, has too many contradicted rows of one class; names these rows.

    This needs no identities: it sees a push that is spread over many contributors, if it began after the last acceptance.
    """
    import numpy as np

    rho = max((spread.rho for axis, spread in case.past.spreads.items() if axis in ("batch", "day")), default=_ROUND_RHO)
    found = _pushed(case, "push", case.said, kept, (np.asarray(case.past.pushed), np.asarray(case.past.given)), rho)
    base = _champion_pushes(case)
    if base is not None and case.champion is not None and case.champion_cut is not None:
        said = opinion(case.champion, case.rows.new.given, PUSH_CUT)
        found += _pushed(case, "push-champion", said, kept, base, rho)
    return found


def pockets(case: Case, kept: NDArray[Any]) -> list[Suspicion]:
    """Contradicted rows of one class that share something rare: among new rows, and among all that were ever written.

    New rows count as contradicted if either the neighbours or the champion expect another class, however sure. The second look
    sees what began before the snapshot, whoever wrote it: neighbours are not shown rare values, so rows that share one
    hardly vouch for each other. Rows of those who are caught already (not `kept`) count, for the few that others wrote would not
    stand out without them; only the others are named.
    """
    import numpy as np

    new, known = case.rows.new, case.known
    said, before = case.said, case.known_said
    by_champion = said.expect if case.champion is None else case.champion.argmax(axis=1)
    new_against = (said.given >= 0) & ((said.expect != said.given) | (by_champion != said.given))
    normal = usual(known.points.beyond, known.given, case.classes)
    fresh = (new, np.where(said.expect != said.given, said.expect, by_champion), said.given, new_against)
    parts: list[tuple[str, str, list[Any]]] = [
        ("new", "pocket", [fresh]),
        ("ever", "pocket-learned", [fresh, (known, before.expect, before.given, before.expect != before.given)]),
    ]
    found = []
    for when, test, looked in parts:
        left = np.concatenate([kept, *(np.ones(len(part[0]), dtype=bool) for part in looked[1:])])
        beyond = np.concatenate([part[0].points.beyond for part in looked])
        expect, given, against = (np.concatenate([part[i] for part in looked]) for i in (1, 2, 3))
        names = [name for part in looked for name in part[0].names(np.ones(len(part[0]), dtype=bool))]
        for pocket in find_pockets(beyond, expect, given, against, normal, case.classes):
            if pocket.p >= WORTH:
                continue
            rows = tuple(sorted(names[i] for i in np.flatnonzero(pocket.rows & left).tolist()))
            if not rows:
                continue
            numbers: dict[str, Fact] = {
                "class": case.rows.classes[pocket.given],
                "feature": case.rows.numbers[pocket.feature],
                "share": f"{pocket.count} of {pocket.of}",
                "expected": round(pocket.expected, 3),
            }
            group = f"{when}>{case.rows.classes[pocket.given]}"
            found.append(Suspicion(axis="round", group=group, test=test, p=pocket.p, records=len(rows), numbers=numbers, rows=rows))
    return found


def class_shifts(case: Case, kept: NDArray[Any]) -> list[Suspicion]:
    """Class × batch shift: rows of one class, in all that is new, whose features moved; names those that carry it."""
    import numpy as np

    null = case.past.nulls.get("batch") or case.past.nulls.get("contributor")
    if null is None:
        return []
    rows, unit, found = case.rows.new, np.asarray(case.past.unit), []
    for label in range(case.classes):
        mine = kept & (rows.given == label)
        if mine.sum() < 3:
            continue
        size = np.array([float(mine.sum())])
        (shifted,) = p_values(case.far[mine].sum(axis=0)[None, :], size, unit, null, size**2 / max(case.in_class[label], 1))
        p = min(1.0, shifted.p * case.classes)
        if p < WORTH:
            p = max(p, min(1.0, permuted_p(case.far[mine], case.known_far[case.known.given == label], case.seed) * case.classes))
        if p < WORTH:
            named = rows.names(_carriers(case, label, mine))
            numbers: dict[str, Fact] = {
                "class": case.rows.classes[label],
                "feature": shifted.feature,
                "z": shifted.z,
                "of": int(mine.sum()),
            }
            group = f"new>{case.rows.classes[label]}"
            found.append(Suspicion(axis="round", group=group, test="class-shift", p=p, records=len(named), numbers=numbers, rows=named))
    return [s for s in found if s.rows]


def _pushed(
    case: Case, test: str, said: Opinion, kept: NDArray[Any], past: tuple[NDArray[Any], NDArray[Any]], rho: float
) -> list[Suspicion]:
    import numpy as np

    sure, against = said.sure & kept, said.against & kept
    records = np.bincount(said.given[sure], minlength=case.classes)
    count = np.bincount(said.given[against], minlength=case.classes)
    base, known = past
    doubt = rho + 1.0 / (known + DRAWN)  # what so many rows leave open about the rate itself
    tails = [upper_tail(count[i], records[i], base[i], doubt[i]) for i in range(case.classes)]
    p = np.minimum(np.array(tails, dtype=np.float64) * case.classes, 1.0)
    found = []
    for label in np.flatnonzero(p < WORTH).tolist():
        rows = against & (said.given == label)
        numbers: dict[str, Fact] = {
            "class": case.rows.classes[label],
            "disagreements": int(count[label]),
            "expected": float(records[label] * base[label]),
            "rho": rho,
        }
        named = case.rows.new.names(rows)
        found.append(
            Suspicion(
                axis="round",
                group=f"new>{case.rows.classes[label]}",
                test=test,
                p=float(p[label]),
                records=len(named),
                numbers=numbers,
                rows=named,
            )
        )
    return found


def _champion_pushes(case: Case) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """The champions' base rates by given class, over the rounds that are remembered, and of how many rows."""
    import numpy as np

    if len(case.memory.pushes) < 1 or case.champion_cut is None:
        return None
    pairs = np.array([[seen.get(name, (0, 0)) for name in case.rows.classes] for seen in case.memory.pushes], dtype=np.float64)
    given, against = pairs.sum(axis=0).T
    return np.asarray((against + 1.0) / (given + DRAWN)), given


def _carriers(case: Case, label: int, mine: NDArray[Any]) -> NDArray[Any]:
    """The rows that go farther along the shift's strongest features than 99 % of the accepted ones of that class."""
    import numpy as np

    old = case.known_far[case.known.given == label]
    mean = case.far[mine].sum(axis=0) / np.asarray(case.past.unit)
    strongest = np.argsort(-np.abs(mean))[: max(1, min(4, len(mean)))]
    way = np.sign(mean[strongest])
    return np.asarray(mine & (case.far[:, strongest] @ way > np.quantile(old[:, strongest] @ way, 0.99)))
