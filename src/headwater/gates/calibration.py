"""Calibration: what accepted history says is honest, by replaying each of its groups as if it were new to the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from headwater.core.digest import json_digest
from headwater.gates.betabinomial import Spread, fit_spread, upper_tail
from headwater.gates.disagreement import CUTS, Rates, best_cut, opinion, rates
from headwater.gates.frozen import telling
from headwater.gates.labelled import Labelled, Rows, by_group
from headwater.gates.neighbours import votes
from headwater.gates.shift import Null, fit_null, residuals, units, widened

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DRAWN", "LEAST_GROUPS", "Past", "history_key", "judged", "looked_at", "past", "temper"]

DRAWN = 20.0
"""A class's rate of contradicted rows is counted as if of so many more rows one had been contradicted: some classes are hard,
so the rate of another says little, but few rows say little too."""
LEAST_GROUPS = 8
"""Of fewer past groups nobody can say how unlike each other honest ones are."""
FEW_CONTRIBUTORS = 4
"""From so many past contributors on, who lies grossly can be told all the same: honest ones are then taken to be unlike each
other as they hardly ever are."""
FEW_RHO = 0.1


@dataclass(frozen=True, kw_only=True)
class Past:
    """What honest groups were like, computed from the history that `key` names.

    `spreads`, `powers` and `nulls` are by axis, for axes with enough groups: the beta-binomial of disagreements, the power
    that makes its p-values uniform when history is replayed, and the feature shift's null. `pushed` is by given class: how
    often neighbours were against a row, of so many (`given`) about which they were sure. `unit` is each feature's deviation.
    `tallies` has for each contributor, under its pseudonym, how many of its rows had a sure opinion, how many it was
    against, and how many of an honest one's it would have been.
    """

    key: str
    rates: Rates
    spreads: Mapping[str, Spread]
    powers: Mapping[str, float]
    nulls: Mapping[str, Null]
    pushed: tuple[float, ...]
    given: tuple[int, ...]
    unit: tuple[float, ...]
    tallies: Mapping[str, tuple[float, float, float]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values that `from_json` takes back."""
        plain = asdict(self)
        for spread in plain["spreads"].values():
            spread["honest"] = []
        return dict(json.loads(json.dumps(plain)))

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Past:
        """What `to_json` gave."""
        tupled = {"honest": tuple, "place": tuple, "scale": tuple}

        def made(kind: Any, values: Mapping[str, Any]) -> Any:
            return kind(**{name: tupled.get(name, lambda value: value)(value) for name, value in values.items()})

        return Past(
            key=plain["key"],
            rates=Rates(cut=plain["rates"]["cut"], by_class=tuple(plain["rates"]["by_class"])),
            spreads={axis: made(Spread, values) for axis, values in plain["spreads"].items()},
            powers=dict(plain["powers"]),
            nulls={axis: made(Null, values) for axis, values in plain["nulls"].items()},
            pushed=tuple(plain["pushed"]),
            given=tuple(plain["given"]),
            unit=tuple(plain["unit"]),
            tallies={group: tuple(tally) for group, tally in plain["tallies"].items()},
        )


def history_key(rows: Labelled, *settings: Any) -> str:
    """Names the accepted rows and the settings: rows never change, so their places in their batches are enough."""
    import polars as pl

    places = (
        rows.history.frame.group_by("_source", "_batch")
        .agg(pl.len(), pl.col("_row").cast(pl.Int64).sum().alias("sum"), pl.col("_row").cast(pl.Int64).pow(2).sum().alias("squares"))
        .sort("_source", "_batch")
    )
    return json_digest([[list(row) for row in places.iter_rows()], list(rows.columns), list(rows.classes), list(settings)])


def looked_at(rows: Labelled, *, at_most: int, seed: int) -> Rows:
    """The accepted rows that are looked at: all, or a seeded choice; of known classes."""
    import numpy as np

    sample = rows.history
    if len(sample) > at_most:
        picked = np.zeros(len(sample), dtype=bool)
        picked[np.random.default_rng(seed).choice(len(sample), at_most, replace=False)] = True
        sample = sample.of(picked)
    return sample.of(sample.given >= 0)


def past(known: Rows, *, classes: int, k: int, key: str, seed: int, pseudonym: Callable[[str], str]) -> Past:
    """Fit on accepted rows only. Own groups are left out of the votes, so each row is judged as a new one would be."""
    import numpy as np

    placed = known.points.at * telling(known.points.at, known.given, classes)
    shares = votes(placed, known.given, known.owner, placed, known.owner, classes=classes, k=k)
    tried = [opinion(shares, known.given, cut) for cut in CUTS]
    cut = CUTS[best_cut([o.sure.sum() for o in tried], [o.against.sum() for o in tried], len(known))]
    said = tried[CUTS.index(cut)]
    base = rates(said, classes, cut)
    far = residuals(known.points.wide, known.given, known.points.wide, known.given, classes)
    unit, random = units(far), fit_null(far, seed)
    spreads, powers, nulls = {}, {}, {}
    tallies: dict[str, tuple[float, float, float]] = {}
    for axis, groups in known.groups.items():
        names, (records, count, expected) = by_group(groups, said.sure, said.against, base.expected(said))
        if axis == "contributor":
            tallies = {
                pseudonym(name): (n, d, e) for name, n, d, e in zip(names, records.tolist(), count.tolist(), expected.tolist(), strict=True)
            }
        if axis == "contributor" and FEW_CONTRIBUTORS <= len(names) < LEAST_GROUPS:
            found = fit_spread(count, records, expected)
            spreads[axis], powers[axis] = replace(found, rho=max(found.rho, FEW_RHO)), 1.0
        elif len(names) >= LEAST_GROUPS:
            spreads[axis] = fit_spread(count, records, expected)
            powers[axis] = temper(_replayed(count, records, expected, spreads[axis], seed))
            _, (sums, sizes) = by_group(groups, far, np.ones(len(known)))
            nulls[axis] = widened(random, unit, sums, sizes)
    given = np.bincount(said.given[said.sure], minlength=classes)
    against = np.bincount(said.given[said.against], minlength=classes)
    return Past(
        key=key,
        rates=base,
        spreads=spreads,
        powers=powers,
        nulls=nulls,
        pushed=tuple(((against + 1.0) / (given + DRAWN)).tolist()),
        given=tuple(given.tolist()),
        unit=tuple(unit.tolist()),
        tallies=tallies,
    )


def temper(p_values: NDArray[Any]) -> float:
    """The power (1 or less) to which p-values are raised so that those of replayed history are no smaller than uniform ones.

    Fitted by censored maximum likelihood on −ln p between its median and its 80 % quantile, so that neither the bulk nor a few
    bad groups matter; and 1 unless history clearly says less (one-sided, 95 %).
    """
    import numpy as np

    surprise = np.sort(-np.log(np.maximum(p_values, 1e-300)))
    if len(surprise) < 20:
        return 1.0
    low, high = np.quantile(surprise, [0.5, 0.8])
    middle = surprise[(surprise > low) & (surprise <= high)]
    exposure = float((middle - low).sum() + (surprise > high).sum() * (high - low))
    if not len(middle) or exposure <= 0:
        return 1.0
    return float(min(1.0, len(middle) / exposure * (1.0 + 1.64 / np.sqrt(len(middle)))))


def _replayed(count: NDArray[Any], records: NDArray[Any], expected: NDArray[Any], spread: Spread, seed: int) -> NDArray[Any]:
    """Each past group's p-value, randomised by a seed between it and the next smaller, as counts are few."""
    import numpy as np

    usable = (records > 0) & np.asarray(spread.honest)
    rate = np.minimum(expected[usable] * spread.factor / records[usable], 0.99)
    at = upper_tail(count[usable], records[usable], rate, spread.rho)
    above = np.where(count[usable] < records[usable], upper_tail(count[usable] + 1, records[usable], rate, spread.rho), 0.0)
    drawn = np.random.default_rng(seed).random(int(usable.sum()))
    return np.asarray(above + drawn * (at - above))


def judged(count: Any, records: Any, expected: Any, spread: Spread, power: float) -> NDArray[Any]:
    """p-values of groups against the past: the beta-binomial's upper tail, tempered."""
    import numpy as np

    rate = np.minimum(np.asarray(expected) * spread.factor / np.maximum(records, 1), 0.99)
    return np.asarray(upper_tail(count, records, rate, spread.rho) ** power)
