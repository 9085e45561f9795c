"""Flipping: contributors who lie about labels. Who is found, who is wronged, and what the model loses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.poison import gates, peers
from bench.poison.acting import Outcome, ask
from bench.poison.attacks.flips import flipped, targeted
from bench.poison.interval import mean_of, wilson
from bench.poison.line import Line, Measure, Run
from bench.poison.models import forest
from bench.poison.records import SAID, SETS, records
from bench.poison.sheet import LABEL, TABLE, Sheet, contributor, dealt, features_of, fresh_of, joined, noisy
from bench.poison.side import each
from headwater.core.gate import Gate

__all__ = ["CASES", "MEASURE", "Case", "World", "job", "made", "world"]

MISTAKES = 0.01
CARELESS = 0.15
PEOPLE = {"digits": 40, "cancer": 10, "table": 40}
CUTS = {"digits": (700, 800), "cancer": (220, 250), "table": (2_500, 4_000)}  # history, new; the rest is the test
Found = Mapping[tuple[str, str], list[dict[str, Any]]]
Maker = Callable[[tuple[str, ...], frozenset[str]], Gate]


@dataclass(frozen=True, kw_only=True)
class Case:
    """`attackers` contributors with `each` records in the round, of which `share` are lies."""

    attackers: int
    share: float
    each: int = 30
    targeted: bool = False
    careless: int = 0
    scored: bool = False
    sets: tuple[str, ...] = SETS


CASES: Mapping[str, Case] = {
    "clean": Case(attackers=0, share=0, scored=True),
    "100 % by 2": Case(attackers=2, share=1.0),
    "100 % by 4": Case(attackers=4, share=1.0, scored=True),
    "50 % by 2": Case(attackers=2, share=0.5),
    "50 % by 4": Case(attackers=4, share=0.5, scored=True),
    "25 %, 30 records": Case(attackers=4, share=0.25),
    "25 %, 100 records": Case(attackers=2, share=0.25, each=100, sets=("digits", "table")),
    "15 %, 100 records": Case(attackers=2, share=0.15, each=100, sets=("digits", "table")),
    "10 %, 100 records": Case(attackers=2, share=0.10, each=100, sets=("digits", "table")),
    "15 % by 20 accounts": Case(attackers=20, share=0.15, each=20, sets=("digits", "table")),
    "three classes called a fourth, by 4": Case(attackers=4, share=1.0, targeted=True, sets=("digits",)),
    "careless, no attack": Case(attackers=0, share=0, careless=4),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """One round of one data set under one attack, `honest` as it would have been without."""

    history: Sheet
    new: Sheet
    honest: Sheet
    test: Sheet
    classes: int
    attackers: tuple[int, ...]
    careless: tuple[int, ...]
    people: int


def world(name: str, case: Case, seed: int) -> World:
    """Draw it. Nobody's record is in two of history, new and test; in every other seed the attackers never wrote before."""
    random = np.random.default_rng([seed, SETS.index(name), 1])
    data, people = records(name, seed if name == "table" else 0), PEOPLE[name]
    order, (before, now) = random.permutation(len(data.y)), CUTS[name]
    parts = np.split(order, [before, before + now])
    drawn = random.permutation(people)
    attackers, careless = drawn[: case.attackers], drawn[case.attackers : case.attackers + case.careless]
    others = np.setdiff1d(np.arange(people), attackers)
    chosen = np.concatenate([attackers, careless])
    large = np.repeat(chosen, case.each)
    writers = np.concatenate([large, np.resize(np.setdiff1d(others, careless), now - len(large))])
    earlier = np.resize(others if seed % 2 else np.arange(people), before)
    rows = 50 if name == "cancer" else 200
    history = dealt(data.x[parts[0]], data.y[parts[0]], earlier, first_batch=1, batch_rows=rows, random=random)
    first = int(history.batch.max()) + 1
    new = dealt(data.x[parts[1]], data.y[parts[1]], writers, first_batch=first, batch_rows=rows, random=random)
    history = noisy(history, MISTAKES, data.classes, random)
    honest = noisy(new, np.where(np.isin(new.who, careless), CARELESS, MISTAKES), data.classes, random)
    if case.targeted:
        victims = random.choice(np.arange(1, data.classes), 3, replace=False)
        attacked = targeted(honest, attackers, case.share, victims.tolist(), 0, random)
    else:
        attacked = flipped(honest, attackers, case.share, data.classes, random)
    test = dealt(data.x[parts[2]], data.y[parts[2]], np.zeros(len(parts[2])), first_batch=0, batch_rows=10_000, random=random)
    return World(
        history=history,
        new=attacked,
        honest=honest,
        test=test,
        classes=data.classes,
        attackers=tuple(attackers.tolist()),
        careless=tuple(careless.tolist()),
        people=people,
    )


def made(features: tuple[str, ...], guilty: frozenset[str]) -> Gate:
    """The gate under test; it is not told who is guilty."""
    return gates.labels(TABLE, LABEL, features)


def job(name: str, case_name: str, seed: int, maker: Maker = made) -> dict[str, Any]:
    """One world, judged and scored."""
    case = CASES[case_name]
    w = world(name, case, seed)
    guilty = frozenset(contributor(one) for one in w.attackers)
    gate = maker(features_of(w.new.x.shape[1]), guilty)
    outcome = ask(gate, fresh_of(w.history, w.new, forest(w.history, seed)), seed=seed)
    careless = frozenset(contributor(one) for one in w.careless)
    honest = frozenset(contributor(one) for one in range(w.people)) - guilty - careless
    kinds = {"guilty": guilty, "careless": careless, "honest": honest}
    found = {kind: {"all": len(who), "named": len(who & outcome.named), "out": len(who & _gone(outcome, w))} for kind, who in kinds.items()}
    codes = Counter(f"{one.code}/{one.action.value}" for one in outcome.findings)
    lies = {"all": int(w.new.bad.sum()), "out": int((~outcome.new)[w.new.bad].sum())}
    return {**found, "lies": lies, "held": outcome.held, "codes": dict(codes), **(_scored(w, outcome, seed) if case.scored else {})}


def _gone(outcome: Outcome, w: World) -> frozenset[str]:
    """Whoever is out whole, or has lost half of what is new of him."""
    lost = {contributor(one) for one in range(w.people) if (own := w.new.who == one).any() and (~outcome.new[own]).mean() >= 0.5}
    return outcome.out | lost


def _scored(w: World, outcome: Outcome, seed: int) -> dict[str, float]:
    kept = w.history if outcome.held else joined([w.history.take(outcome.history), w.new.take(outcome.new)])
    trained = {"none": joined([w.history, w.new]), "gate": kept, "honest": joined([w.history, w.honest])}
    return {f"accuracy.{one}": forest(sheet, seed).accuracy(w.test.x, w.test.true) for one, sheet in trained.items()}


def _run(run: Run) -> list[Line]:
    asked = [(name, case, seed) for case, one in CASES.items() for name in one.sets for seed in run.chosen]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (name, case, _), answer in zip(asked, each(job, asked, processes=run.processes), strict=True):
        found.setdefault((name, case), []).append(answer)
    rivals = peers.flips(run, world, CASES) if run.peers else {}
    return _lines(found, rivals)


def _share(answers: list[dict[str, Any]], kind: str, what: str = "named") -> tuple[int, int]:
    return sum(one[kind][what] for one in answers), sum(one[kind]["all"] for one in answers)


def _lines(found: Found, rivals: Mapping[str, Any]) -> list[Line]:
    hard = ("100 % by 2", "100 % by 4", "50 % by 2", "50 % by 4")
    lines = [_recall(found, rivals, "≥ 50 % flips, ≥ 30 records", hard, 0.95)]
    lines.append(_recall(found, rivals, "25 % flips, ≥ 100 records", ("25 %, 100 records",), 0.90))
    lines.append(_recall(found, rivals, "25 % flips, 30 records", ("25 %, 30 records",), 0.70))
    lines += [
        _recall(found, rivals, case, (case,), None)
        for case in ("three classes called a fourth, by 4", "15 %, 100 records", "10 %, 100 records", "15 % by 20 accounts")
    ]
    every = [one for answers in found.values() for one in answers]
    wronged = wilson(*_share(every, "honest"))
    lines.append(
        Line(
            what="honest contributors named (all of the above, and clean)",
            gate=f"{wronged.percent(2)}; taken out {wilson(*_share(every, 'honest', 'out')).percent(2)}",
            peers=rivals.get("wronged", ""),
            target="≤ 0.5%",
            met=wronged.value <= 0.005,
            figures={f"{name}, {case}": wilson(*_share(answers, "honest")).to_json() for (name, case), answers in found.items()},
        )
    )
    careless = [one for (_, case), answers in found.items() if case == "careless, no attack" for one in answers]
    lines.append(
        Line(
            what=f"honest but careless ({CARELESS:.0%} wrong), 30 records: named for review",
            gate=f"{wilson(*_share(careless, 'careless')).percent()}; taken out {wilson(*_share(careless, 'careless', 'out')).percent()}",
            figures={"codes": codes(careless)},
        )
    )
    return [*lines, *(_accuracy(found, case) for case in ("clean", "50 % by 4", "100 % by 4"))]


def _recall(
    found: Found,
    rivals: Mapping[str, Any],
    what: str,
    cases: tuple[str, ...],
    target: float | None,
) -> Line:
    chosen = {key: answers for key, answers in found.items() if key[1] in cases}
    every = [one for answers in chosen.values() for one in answers]
    recall, out = wilson(*_share(every, "guilty")), wilson(*_share(every, "guilty", "out"))
    lies = wilson(*_share(every, "lies", "out"))
    by_set = {name: wilson(*_share([one for key, a in chosen.items() if key[0] == name for one in a], "guilty")) for name in SETS}
    parts = ", ".join(f"{SAID[name]} {one.value:.2f}" for name, one in by_set.items() if one.value == one.value)
    return Line(
        what=f"contributors found: {what}",
        gate=f"{recall.percent()} ({parts}); taken out {out.value:.1%}; lies out {lies.value:.0%}",
        without="0%",
        peers=rivals.get(what, ""),
        target="" if target is None else f"≥ {target:.0%}",
        met=None if target is None else recall.value >= target,
        figures={
            **{f"{name}, {case}": wilson(*_share(answers, "guilty")).to_json() for (name, case), answers in chosen.items()},
            "codes": codes(every),
            "held": sum(one["held"] for one in every),
        },
    )


def _accuracy(found: Found, case: str) -> Line:
    lost, damage = {}, {}
    for name in SETS:
        answers = found[name, case]
        lost[name] = mean_of([100 * (one["accuracy.honest"] - one["accuracy.gate"]) for one in answers])
        damage[name] = mean_of([100 * (one["accuracy.honest"] - one["accuracy.none"]) for one in answers])
    worst = max(one.value for one in lost.values())
    return Line(
        what=f"accuracy lost, points: {case}",
        gate=", ".join(f"{SAID[name]} {one.plain(2)}" for name, one in lost.items()),
        without=", ".join(f"{SAID[name]} {one.value:.2f}" for name, one in damage.items()),
        target="≤ 1.5",
        met=worst <= 1.5,
        figures={name: one.to_json() for name, one in lost.items()},
    )


def codes(answers: list[dict[str, Any]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in answers:
        total.update(one["codes"])
    return dict(total.most_common())


MEASURE = Measure("flips", "label flips by contributors", _run)
