"""Certifying: training by shards of contributors. What is promised however they lie, whether it holds, and where nothing is promised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.poison import backdoors
from bench.poison.attacks.triggers import TARGET
from bench.poison.backdoors import PEOPLE
from bench.poison.interval import Interval, mean_of
from bench.poison.line import Line, Measure, Run
from bench.poison.records import records
from bench.poison.sheet import LABEL, TABLE, Sheet, dealt, features_of, joined
from bench.poison.side import each

__all__ = ["MEASURE", "certified", "job", "open_job"]

WRITERS, SHARDS, TEST = 200, 20, 360
RADII = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
METHODS = {"svm": "kernel machines", "random-forest": "forests"}


def _frame(sheet: Sheet) -> Any:
    import polars as pl

    numbers = {name: sheet.x[:, n] for n, name in enumerate(features_of(sheet.x.shape[1]))}
    return pl.DataFrame({**numbers, LABEL: [str(one) for one in sheet.given], "who": [f"c{one:04d}" for one in sheet.who]})


def certified(sheet: Sheet, shards: int, method: Any = "svm") -> Any:
    """The vote of `shards` models, ready to be asked."""
    from headwater.frameworks.sklearn.classifier import Classifier
    from headwater.train.certificate import Certified
    from headwater.train.interactions import Frame
    from headwater.train.trainer import Trial

    whole = Classifier(TABLE, LABEL, features=features_of(sheet.x.shape[1]), contributor="who", method=method)
    trainer: Any = Certified(whole, "who", shards) if shards > 1 else whole
    data = Frame(name=TABLE, frame=_frame(sheet), digest="sha256:0")
    return trainer.predictor(trainer.fit(data, Trial(parameters=trainer.defaults())))


def _told(model: Any, rows: Any) -> Any:
    return np.array(model.labels)[model.probabilities(rows).argmax(axis=1)]


def job(seed: int) -> dict[str, Any]:
    """Digits by 200 contributors: the curve; and what was promised at r, after r of them wrote whatever hurts."""
    from headwater.train.certificate import certified_accuracy, radii

    random = np.random.default_rng([seed, 9])
    data = records("digits")
    test, train = np.split(random.permutation(len(data.y)), [TEST])
    who = np.resize(random.permutation(WRITERS), len(train))
    sheet = dealt(data.x[train], data.y[train], who, first_batch=1, batch_rows=200, random=random)
    asked = _frame(replace(sheet.take(np.zeros(TEST, int)), x=data.x[test], given=data.y[test]))
    vote = certified(sheet, SHARDS)
    votes, truth = vote.votes(asked), tuple(str(one) for one in data.y[test])
    curve = certified_accuracy(vote.labels, votes, truth)
    sure, said, broken = radii(votes), _told(vote, asked), {}
    for r in (1, 3):
        liars = random.permutation(WRITERS)[:r]
        lies = np.where(np.isin(sheet.who, liars), (sheet.given + 1) % data.classes, sheet.given)
        more = sheet.take(np.resize(np.flatnonzero(np.isin(sheet.who, liars)), 200))
        poisoned = joined([replace(sheet, given=lies), replace(more, given=(more.given + 1) % data.classes)])
        after = certified(poisoned, SHARDS)
        broken[r] = int(((said != _told(after, asked)) & (sure >= r)).sum())
    whole = certified(sheet, 1)
    full = _told(whole, asked) == np.array(truth)
    return {"curve": [curve(r) for r in RADII], "broken": broken, "full": float(full.mean())}


def open_job(method: str, seed: int) -> dict[str, float]:
    """Slow and spread: the vote of shards in place of one model; and of how many rows it promises anything against so many."""
    from headwater.train.certificate import radii

    w = backdoors.world(next(case for case in backdoors.CASES.values() if case.open), seed)
    both = joined([w.history, w.new])
    vote, whole = certified(both, SHARDS, method), certified(both, 1, method)
    like = both.take(np.zeros(1, int))
    marked = _frame(replace(like.take(np.zeros(len(w.triggered), int)), x=w.triggered, given=np.zeros(len(w.triggered), int)))
    plain = _frame(replace(like.take(np.zeros(len(w.test), int)), x=w.test.x, given=w.test.true))
    said = {name: _told(model, marked) == str(TARGET) for name, model in (("vote", vote), ("whole", whole))}
    right = _told(vote, plain) == w.test.true.astype(str)
    return {
        "vote": float(said["vote"].mean()),
        "whole": float(said["whole"].mean()),
        "accuracy": float(right.mean()),
        "promised": float((radii(vote.votes(marked)) >= PEOPLE).mean()),
    }


def _run(run: Run) -> list[Line]:
    answers = each(job, [(seed,) for seed in run.chosen], processes=run.processes)
    curve = {r: mean_of([one["curve"][n] for one in answers]) for n, r in enumerate(RADII)}
    full = mean_of([one["full"] for one in answers])
    broken = sum(sum(one["broken"].values()) for one in answers)
    lines = [_promise(curve, full, r, target) for r, target in ((1, 0.93), (3, 0.88))]
    lines.append(
        Line(
            what="promised predictions that 1 or 3 liars changed (labels turned, 200 records more)",
            gate=f"{broken} of {2 * len(answers) * TEST}",
            target="0",
            met=broken == 0,
        )
    )
    asked = [(method, seed) for method in METHODS for seed in run.chosen]
    slow = each(open_job, asked, processes=run.processes)
    return [
        *lines,
        *(_spread([a for (one, _), a in zip(asked, slow, strict=True) if one == method], said) for method, said in METHODS.items()),
    ]


def _spread(slow: list[dict[str, float]], said: str) -> Line:
    vote, whole = (mean_of([one[name] for one in slow]) for name in ("vote", "whole"))
    accuracy, promised = (float(np.mean([one[name] for one in slow])) for name in ("accuracy", "promised"))
    return Line(
        what=f"backdoor, open problem, slow and spread by all {PEOPLE}: {SHARDS} shards ({said}), no gate",
        gate=f"{vote.percent()}; accuracy {accuracy:.3f}; promised against {PEOPLE}: {promised:.0%} of them",
        without=f"{whole.percent(0)} (one model)",
        target="≤ 35%",
        met=vote.value <= 0.35,
        figures={"vote": vote.to_json(), "whole": whole.to_json()},
    )


def _promise(curve: dict[int, Interval], full: Interval, r: int, target: float) -> Line:
    return Line(
        what=f"certified accuracy, {r} poisoned of {WRITERS} contributors (digits, {SHARDS} shards)",
        gate=f"{curve[r].plain()} (of {curve[0].value:.3f})",
        without=f"0; accuracy {full.value:.3f}",
        target=f"≥ {target:.2f}",
        met=curve[r].value >= target,
        figures={"curve": {str(radius): one.to_json() for radius, one in curve.items()}, "full": full.to_json()},
    )


MEASURE = Measure("certificate", "what shards of contributors promise", _run)
