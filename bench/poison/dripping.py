"""Dripping: a quarter of the labels wrong, fifteen records a round, for twelve rounds. Who is found, and after how much poison?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.poison import flipping
from bench.poison.attacks.flips import flipped
from bench.poison.flipping import Maker
from bench.poison.interval import mean_of, wilson
from bench.poison.line import Line, Measure, Run
from bench.poison.records import records
from bench.poison.sheet import contributor, features_of
from bench.poison.side import each
from bench.poison.walking import ROUNDS, SIZES, labelled_rounds, walk_labels

__all__ = ["MEASURE", "SCHEDULES", "job"]

SCHEDULES: Mapping[str, Callable[[int], float]] = {
    "25 % flips": lambda number: 0.25,
    "boiling: 4 % to 48 %": lambda number: 0.04 * (number + 1),
    "10 % flips": lambda number: 0.10,
}
LABELS = "table"


def job(schedule: str, seed: int, maker: Maker = flipping.made) -> dict[str, Any]:
    """One stream with two to four attackers, who wrote honestly before."""
    random = np.random.default_rng([seed, 8])
    people, _, _ = SIZES[LABELS]
    classes = records(LABELS, seed, 10_000).classes
    attackers = random.permutation(people)[: 2 + seed % 3].tolist()
    rounds = labelled_rounds(LABELS, seed, various=False)
    share = SCHEDULES[schedule]
    told = [rounds[0]] + [flipped(one, attackers, share(number), classes, random) for number, one in enumerate(rounds[1:])]
    guilty = frozenset(contributor(one) for one in attackers)
    walk = walk_labels(maker(features_of(told[0].x.shape[1]), guilty), told, seed)
    honest = frozenset(contributor(one) for one in range(people)) - guilty
    found = [next((n for n, names in enumerate(walk.named) if one in names), None) for one in sorted(guilty)]
    poison = [sum(int((one.bad & (one.who == attacker)).sum()) for one in told) for attacker in sorted(attackers)]
    in_by_then = [
        sum(int((one.bad & (one.who == attacker)).sum()) for one in told[1 : (ROUNDS if n is None else n) + 1])
        for attacker, n in zip(sorted(attackers), found, strict=True)
    ]
    return {
        "found": found,
        "out": len(guilty & walk.out[-1]),
        "absorbed": float(sum(in_by_then) / max(sum(poison), 1)),
        "honest": (len(honest & walk.named[-1]), len(honest)),
        "codes": dict(walk.codes),
    }


def _run(run: Run) -> list[Line]:
    asked = [(schedule, seed) for schedule in SCHEDULES for seed in range(run.first, run.first + 2 * run.seeds)]
    answers: dict[str, list[dict[str, Any]]] = {}
    for (schedule, _), answer in zip(asked, each(job, asked, processes=run.processes), strict=True):
        answers.setdefault(schedule, []).append(answer)
    return [_line(schedule, found, 0.90 if schedule == "25 % flips" else None) for schedule, found in answers.items()]


def _line(schedule: str, answers: list[dict[str, Any]], target: float | None) -> Line:
    found = [n for one in answers for n in one["found"]]
    recall = wilson(sum(n is not None for n in found), len(found))
    wronged = wilson(*(sum(one["honest"][n] for one in answers) for n in (0, 1)))
    by_round = [wilson(sum(n is not None and n <= number for n in found), len(found)) for number in range(ROUNDS)]
    out, absorbed = sum(one["out"] for one in answers) / len(found), mean_of([one["absorbed"] for one in answers]).value
    return Line(
        what=f"drip, {schedule}, ~15 records a round, {ROUNDS} rounds: contributors found",
        gate=f"{recall.percent()}; taken out {out:.1%}; after {absorbed:.0%} of the poison; honest named {wronged.value:.2%}",
        without="0%",
        target="" if target is None else f"≥ {target:.0%}",
        met=None if target is None else recall.value >= target,
        figures={
            "recall": recall.to_json(),
            "by_round": [one.to_json() for one in by_round],
            "honest": wronged.to_json(),
            "codes": flipping.codes(answers),
        },
    )


MEASURE = Measure("drip", "a few wrong labels every round", _run)
