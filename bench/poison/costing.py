"""Costing: the gate beside one training on the same rows, by turns, one thread, one process; medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.poison import flipping, gates, shilling, shop
from bench.poison.acting import ask
from bench.poison.line import Line, Measure, Run
from bench.poison.models import forest
from bench.poison.records import SAID, SETS
from bench.poison.sheet import features_of, fresh_of, joined

__all__ = ["MEASURE"]

FOREST, TURNS = 100, 5


def _timed(*each: Callable[[], Any]) -> list[float]:
    """A B A B …: the median seconds of each; the first turn of all warms up."""
    taken: list[list[float]] = [[] for _ in each]
    for turn in range(TURNS + 1):
        for found, one in zip(taken, each, strict=True):
            started = time.perf_counter()
            one()
            if turn:
                found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in taken]


def _labels(name: str, seed: int) -> Line:
    from headwater.frameworks.sklearn.classifier import Classifier
    from headwater.train.interactions import Frame
    from headwater.train.trainer import Trial

    w = flipping.world(name, flipping.CASES["clean"], seed)
    fresh, both = fresh_of(w.history, w.new, forest(w.history, seed)), joined([w.history, w.new])
    features = features_of(w.new.x.shape[1])
    gate = flipping.made(features, frozenset())
    state = ask(gate, fresh, seed=seed).state
    trainer = Classifier(fresh.table, "label", features=features, method="random-forest")
    rows = Frame(name=fresh.table, frame=fresh.history.vstack(fresh.new), digest="sha256:0")
    judging, again, bare, whole = _timed(
        lambda: ask(gate, fresh, seed=seed),
        lambda: ask(gate, fresh, seed=seed, state=state),
        lambda: forest(both, seed, FOREST),
        lambda: trainer.fit(rows, Trial(parameters=trainer.defaults())),
    )
    return Line(
        what=f"the gate's time ÷ one training of a forest of {FOREST}, {SAID[name]} ({len(both):,} rows)",
        gate=f"{judging / bare:.0%} (÷ Headwater's training, export and all: {judging / whole:.0%}; with its memory: {again / bare:.0%})",
        without=f"{bare:.2f} s",
        target="≤ 20%",
        met=judging / bare <= 0.20,
        figures={"gate_s": judging, "again_s": again, "forest_s": bare, "trainer_s": whole},
    )


def _likes(seed: int) -> Line:
    s = shilling.scene(seed)
    new = shilling.attacked(s, "mimic", "drip", seed).new
    fresh, both = shop.fresh_of(s.history, new, shop.fitted(s.history, seed)), shop.joined([s.history, new])
    gate = gates.tastes(shop.TABLE, shop.USER, shop.ITEM)
    state = ask(gate, fresh, seed=seed).state
    ease, neighbours = shop.training(both, seed, "ease"), shop.training(both, seed, "neighbours")
    judging, again, training, quick = _timed(
        lambda: ask(gate, fresh, seed=seed), lambda: ask(gate, fresh, seed=seed, state=state), ease, neighbours
    )
    return Line(
        what=f"the gate's time ÷ one training of EASE, MovieLens-100k ({len(both):,} likes)",
        gate=f"{judging / training:.0%} (÷ neighbours: {judging / quick:.0%}; with its memory: {again / training:.0%})",
        without=f"{training:.2f} s",
        target="≤ 50%",
        met=judging / training <= 0.50,
        figures={"gate_s": judging, "again_s": again, "ease_s": training, "neighbours_s": quick},
    )


def _run(run: Run) -> list[Line]:
    return [*(_labels(name, run.first) for name in SETS), _likes(run.first)]


MEASURE = Measure("cost", "the gate's time beside one training", _run)
