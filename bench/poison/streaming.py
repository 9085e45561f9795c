"""Streaming: nobody attacks. How often is anybody called, over hundreds of streams of twelve retrainings?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.poison import gates, shop
from bench.poison.interval import clopper_pearson, ratio_of
from bench.poison.line import Line, Measure, Run
from bench.poison.records import SAID, records
from bench.poison.sheet import LABEL, TABLE, features_of
from bench.poison.side import each
from bench.poison.walking import ROUNDS, labelled_rounds, liked_rounds, real_rounds, walk_labels, walk_likes
from headwater.core.gate import Gate

__all__ = ["MEASURE", "labelled", "liked"]

MIX = ("table", "digits", "table", "cancer")
Maker = Callable[[tuple[str, ...], frozenset[str]], Gate]


def labels(features: tuple[str, ...]) -> Gate:
    return gates.labels(TABLE, LABEL, features)


def likes() -> Gate:
    return gates.tastes(shop.TABLE, shop.USER, shop.ITEM)


def kind_of(seed: int) -> tuple[str, bool]:
    """Which data set, and whether its contributors differ: all of them by turns."""
    return MIX[seed % len(MIX)], seed // len(MIX) % 2 == 1


def labelled(seed: int, maker: Callable[[tuple[str, ...]], Gate] = labels) -> dict[str, Any]:
    """One clean stream of labelled records."""
    name, various = kind_of(seed)
    gate = maker(features_of(records(name, seed if name == "table" else 0, 10_000).x.shape[1]))
    walk = walk_labels(gate, labelled_rounds(name, seed, various=various), seed)
    return {"kind": f"{SAID[name]}, {'various' if various else 'alike'}", **walk.to_json()}


def liked(seed: int, maker: Callable[[], Gate] = likes) -> dict[str, Any]:
    """One clean stream of likes; a negative seed is the real clock."""
    rounds = liked_rounds(seed) if seed >= 0 else real_rounds()
    return {"kind": "likes" if seed >= 0 else "real clock", **walk_likes(maker(), rounds, seed).to_json()}


def _run(run: Run) -> list[Line]:
    seeds = range(run.first, run.first + run.streams)
    lines = _lines("labels", each(labelled, [(seed,) for seed in seeds], processes=run.processes))
    answers = each(liked, [(seed,) for seed in (*seeds, -1)], processes=run.processes)
    lines += _lines("likes", answers[:-1])
    real = answers[-1]
    lines.append(
        Line(
            what="the same in MovieLens-100k's own order of time, one stream",
            gate=f"{sum(real['alarms'])} of {len(real['alarms'])}; {real['rows_out']:.2%} of likes out",
            figures={"codes": real["codes"], "alarms": real["alarms"]},
        )
    )
    return lines


def _lines(what: str, answers: list[dict[str, Any]]) -> list[Line]:
    share = clopper_pearson(sum(sum(one["alarms"]) for one in answers), sum(len(one["alarms"]) for one in answers))
    streams = ratio_of([sum(one["alarms"]) for one in answers], [len(one["alarms"]) for one in answers])
    high = max(share.high, streams.high)
    kinds: dict[str, list[dict[str, Any]]] = {}
    codes: Counter[str] = Counter()
    for one in answers:
        kinds.setdefault(one["kind"], []).append(one)
        codes.update(one["codes"])
    return [
        Line(
            what=f"any alarm in a clean retraining, {what}, {len(answers)} streams of {ROUNDS}",
            gate=f"{share.value:.2%}, at most {high:.2%}; {np.mean([one['rows_out'] for one in answers]):.2%} of records out",
            target="upper 95% bound ≤ 5%",
            met=high <= 0.05,
            figures={
                "exact": share.to_json(),
                "by_stream": streams.to_json(),
                "held": sum(one["held"] for one in answers),
                "codes": dict(codes.most_common()),
                "by_round": np.mean([one["alarms"] for one in answers], axis=0).tolist(),
                "kinds": {kind: _rate(part) for kind, part in kinds.items()},
            },
        )
    ]


def _rate(answers: list[Mapping[str, Any]]) -> float:
    return float(np.mean([one["alarms"] for one in answers]))


MEASURE = Measure("streams", "clean retrainings: how often anybody is called", _run)
