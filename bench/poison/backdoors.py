"""Backdoors: a mark that makes a small net say what the attacker wants; how often it still does after the gate, and after the peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.poison import flipping, peers
from bench.poison.acting import Outcome, ask
from bench.poison.attacks.triggers import PATTERNS, TARGET, planted
from bench.poison.flipping import MISTAKES, Maker
from bench.poison.interval import Interval, mean_of, wilson
from bench.poison.line import Line, Measure, Run
from bench.poison.models import Net
from bench.poison.records import records
from bench.poison.sheet import Sheet, contributor, dealt, features_of, fresh_of, joined, noisy
from bench.poison.side import each
from headwater.train.certificate import shard_of

__all__ = ["CASES", "MEASURE", "PEOPLE", "Case", "World", "judged", "world"]

PEOPLE, SHARDS, BEFORE, NOW = 40, 20, 840, 560  # the rest of the 1,797 digits is the test
DEFENCES = ("activation clustering", "spectral signatures", "cleanlab")


@dataclass(frozen=True, kw_only=True)
class Case:
    """`share` of all records have the trigger, written by `attackers`; `early`: the first half of these came before the snapshot."""

    share: float
    attackers: int
    early: bool = False
    cover: float = 0.0
    pattern: str = "corner"
    open: bool = False


CASES: Mapping[str, Case] = {
    "no attack": Case(share=0.0, attackers=0),
    "1 % by 2 contributors": Case(share=0.01, attackers=2),
    "3 % by 2": Case(share=0.03, attackers=2),
    "1 % by 12": Case(share=0.01, attackers=12),
    "3 % by 12": Case(share=0.03, attackers=12),
    "with cover samples, by 2": Case(share=0.03, attackers=2, cover=0.015),
    "with cover samples, by 12": Case(share=0.03, attackers=12, cover=0.015),
    "blended, by 2": Case(share=0.03, attackers=2, pattern="blended"),
    "slow: 3 % by 2, begun before the snapshot": Case(share=0.03, attackers=2, early=True),
    "slow and spread: 3 % by all 40, begun before": Case(share=0.03, attackers=40, early=True, open=True),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """One round of digits with a trigger in it."""

    history: Sheet
    new: Sheet
    test: Sheet
    triggered: Any
    attackers: tuple[int, ...]


def world(case: Case, seed: int) -> World:
    """Draw it. The attackers' marked records come on top of their own honest ones; without the attack, nobody's."""
    random = np.random.default_rng([seed, 2])
    data = records("digits")
    parts = np.split(random.permutation(len(data.y)), [BEFORE, BEFORE + NOW])
    attackers = np.sort(random.permutation(PEOPLE)[: case.attackers])
    early = (BEFORE // 4 * 3 if case.attackers <= 12 else 0) if case.early else BEFORE  # the last quarter, or all of history
    marked = round(case.share * (BEFORE + NOW))
    before = marked // 2 if case.early else 0
    history = _side(data, parts[0], 1, 210, _writers(random, BEFORE, before, attackers, early), random)
    new = _side(data, parts[1], 5, 140, _writers(random, NOW, marked - before, attackers, 0), random)
    test = dealt(data.x[parts[2]], data.y[parts[2]], np.zeros(len(parts[2])), first_batch=0, batch_rows=10_000, random=random)
    history, new = (_marked(side, case, n, random) for side, n in ((history, before), (new, marked - before)))
    triggered = PATTERNS[case.pattern](test.x[test.true != TARGET])
    return World(history=history, new=new, test=test, triggered=triggered, attackers=tuple(attackers.tolist()))


def _writers(random: np.random.Generator, rows: int, marked: int, attackers: Any, since: int) -> Any:
    """Who writes each row, in order of time; -1 - N for the rows that N will mark."""
    who = np.resize(random.permutation(PEOPLE), rows)
    if marked:
        places = since + np.sort(random.choice(rows - since, marked, replace=False))
        who[places] = -1 - np.resize(attackers, marked)
    return who


def _side(data: Any, chosen: Any, first: int, rows: int, who: Any, random: np.random.Generator) -> Sheet:
    place = np.arange(len(chosen))
    batch = first + np.minimum(place // rows, len(place) // rows - 1)
    row = place - np.searchsorted(batch, batch)
    y = data.y[chosen]
    sheet = Sheet(x=data.x[chosen], given=y, true=y, who=who, batch=batch, row=row, bad=np.zeros(len(y), bool))
    return noisy(sheet, MISTAKES, data.classes, random)


def _marked(side: Sheet, case: Case, marked: int, random: np.random.Generator) -> Sheet:
    from dataclasses import replace

    rows = np.flatnonzero(side.who < 0)
    who = np.where(side.who < 0, -1 - side.who, side.who)
    side = replace(side, who=who)
    if not marked:
        return side
    cover = np.zeros(0, np.int64)
    if case.cover:
        own = np.setdiff1d(np.flatnonzero(np.isin(who, who[rows])), rows)
        cover = random.choice(own, min(len(own), round(marked * case.cover / case.share)), replace=False)
    return planted(side, rows, case.pattern, cover=cover)


def judged(case_name: str, seed: int, weights: Mapping[str, Any], maker: Maker = flipping.made) -> dict[str, Any]:
    """One world as the gate leaves it: masks over history and new, and who was found."""
    w = world(CASES[case_name], seed)
    guilty = frozenset(contributor(one) for one in w.attackers)
    outcome = ask(maker(features_of(64), guilty), fresh_of(w.history, w.new, Net(weights)), seed=seed)
    keep = np.concatenate([outcome.history, outcome.new])
    if outcome.held:  # the champion stays
        keep = np.arange(len(keep)) < len(w.history)
    bad = np.concatenate([w.history.bad, w.new.bad])
    honest = frozenset(contributor(one) for one in range(PEOPLE)) - guilty
    return {
        "keep": keep,
        "held": outcome.held,
        "poison_out": float((~keep)[bad].mean()) if bad.any() else 0.0,
        "clean_out": float((~keep)[~bad].mean()),
        "guilty": (len(guilty & _taken(outcome)), len(guilty)),
        "honest": (len(honest & _taken(outcome)), len(honest)),
        "codes": dict(Counter(f"{one.code}/{one.action.value}" for one in outcome.findings)),
    }


def _taken(outcome: Outcome) -> frozenset[str]:
    return outcome.out | outcome.named


def _net_job(w: World, seed: int, **more: Any) -> dict[str, Any]:
    both = joined([w.history, w.new])
    asked = {"x": both.x, "y": both.given, "bad": both.bad, "test_x": w.test.x, "test_y": w.test.true, "triggered": w.triggered}
    return {**asked, "seed": seed, "target": TARGET, "defences": False, "weights": False, **more}


def _shards(w: World, case: str) -> dict[str, Any]:
    """For the open problem also training by shards of contributors, as `train/certificate.py` deals them."""
    who = np.concatenate([w.history.who, w.new.who])
    return {"shards": np.array([shard_of(contributor(one), SHARDS) for one in who])} if CASES[case].open else {}


def champions(worlds: list[World], seeds: list[int], processes: int) -> list[dict[str, Any]]:
    """The net of each world's history: its weights. Equal histories are trained on once."""
    keys = [w.history.x.tobytes() + w.history.given.tobytes() for w in worlds]
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    jobs = [{**_net_job(worlds[place], seeds[place], weights=True), **_only_history(worlds[place])} for place in first.values()]
    answers = peers.nets(jobs, processes=processes)
    weights = [{name.removeprefix("weights."): one for name, one in answer.items() if name.startswith("weights.")} for answer in answers]
    by_key = dict(zip(first, weights, strict=True))
    return [by_key[key] for key in keys]


def _only_history(w: World) -> dict[str, Any]:
    return {"x": w.history.x, "y": w.history.given, "bad": w.history.bad}


def _run(run: Run) -> list[Line]:
    asked = [(case, seed) for case in CASES for seed in run.chosen]
    worlds = [world(CASES[case], seed) for case, seed in asked]
    weights = champions(worlds, [seed for _, seed in asked], run.processes)
    verdicts = each(judged, [(*one, w) for one, w in zip(asked, weights, strict=True)], processes=run.processes)
    jobs = [
        _net_job(
            w, seed, defences=run.peers, **_shards(w, case), **{"keep.gate": verdict["keep"], "keep.never": ~joined([w.history, w.new]).bad}
        )
        for w, (case, seed), verdict in zip(worlds, asked, verdicts, strict=True)
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for (case, _), verdict, answer in zip(asked, verdicts, peers.nets(jobs, processes=run.processes), strict=True):
        plain = {name: float(one) for name, one in answer.items()}
        found.setdefault(case, []).append({**plain, **{name: one for name, one in verdict.items() if name != "keep"}})
    return _lines(found)


def _lines(found: Mapping[str, list[dict[str, Any]]]) -> list[Line]:
    closed = [answers for case, answers in found.items() if CASES[case].attackers and not CASES[case].open]
    by_seed = np.mean([[one["asr.gate"] for one in answers] for answers in closed], axis=0).tolist()
    every = [one for answers in closed for one in answers]
    lines = [_asr("backdoor success, concentrated or begun after the snapshot (all of the below)", every, 0.02, by_seed)]
    for case, answers in found.items():
        if CASES[case].open:
            lines.append(_asr(f"backdoor, open problem: {case}", answers, 0.35))
            lines.append(_by_shards(f"backdoor, open problem: {case}; no gate, {SHARDS} shards of nets", answers, 0.35))
        elif CASES[case].attackers:
            lines.append(_asr(f"backdoor: {case}", answers, 0.02))
    clean = found["no attack"]
    lost, rivals = _lost(clean, "gate"), {name: _lost(clean, name) for name in DEFENCES if _has(clean, name)}
    out = {name: float(np.mean([one[f"removed.{name}"] for one in clean])) for name in rivals}
    lines.append(
        Line(
            what="accuracy of the net lost without any attack, points",
            gate=f"{lost.plain(2)}; {np.mean([one['clean_out'] for one in clean]):.1%} of records out",
            without="0",
            peers=", ".join(f"{name} {one.value:.2f} ({out[name]:.0%} of records out)" for name, one in rivals.items()),
            target="≤ 1.5",
            met=lost.value <= 1.5,
            figures={"gate": lost.to_json(), **{name: one.to_json() for name, one in rivals.items()}, "answers": clean},
        )
    )
    return lines


def _lost(answers: list[dict[str, Any]], name: str) -> Interval:
    return mean_of([100 * (one["accuracy.none"] - one[f"accuracy.{name}"]) for one in answers])


def _by_shards(what: str, answers: list[dict[str, Any]], target: float) -> Line:
    voted, lost = mean_of([one["asr.shards"] for one in answers]), _lost(answers, "shards")
    none = mean_of([one["asr.none"] for one in answers])
    return Line(
        what=what,
        gate=f"{voted.percent()}; accuracy lost {lost.value:.1f}",
        without=none.percent(0),
        target=f"≤ {target:.0%}",
        met=voted.value <= target,
        figures={"gate": voted.to_json(), "none": none.to_json(), "lost": lost.to_json()},
    )


def _has(answers: list[dict[str, Any]], name: str) -> bool:
    return f"asr.{name}" in answers[0]


def _asr(what: str, answers: list[dict[str, Any]], target: float | None, by_seed: list[float] | None = None) -> Line:
    gate = mean_of(by_seed or [one["asr.gate"] for one in answers])
    none = mean_of([one["asr.none"] for one in answers])
    wronged = wilson(*(sum(one["honest"][n] for one in answers) for n in (0, 1)))
    honest = f"; honest named {wronged.value:.1%}" if wronged.value == wronged.value else ""  # all may be attackers
    points = _lost(answers, "gate").value
    rivals = {name: mean_of([one[f"asr.{name}"] for one in answers]) for name in DEFENCES if _has(answers, name)}
    return Line(
        what=what,
        gate=f"{gate.percent()}; accuracy lost {points:.1f}{honest}",
        without=f"{none.percent(0)}; never attacked {mean_of([one['asr.never'] for one in answers]).value:.1%}",
        peers=", ".join(f"{name} {one.value:.0%}" for name, one in rivals.items()),
        target="" if target is None else f"≤ {target:.0%}",
        met=None if target is None else gate.value <= target and points <= 1.5,  # a net that knows nothing is no success
        figures={
            "gate": gate.to_json(),
            "none": none.to_json(),
            **{name: one.to_json() for name, one in rivals.items()},
            "poison_out": float(np.mean([one["poison_out"] for one in answers])),
            "clean_out": float(np.mean([one["clean_out"] for one in answers])),
            "guilty": [sum(one["guilty"][n] for one in answers) for n in (0, 1)],
            "held": sum(one["held"] for one in answers),
            "codes": flipping.codes(answers),
            "answers": answers,
        },
    )


MEASURE = Measure("backdoors", "triggers in the digits, a torch net", _run)
