"""How good the recommender is on real ratings; beside the library by hand and popularity, on what came after."""

from __future__ import annotations

from typing import Any

from bench import data
from bench.budget import Bench, Line, Sizes
from bench.environments import program
from bench.measure import run

__all__ = ["BENCH"]

SETS = {"MovieLens-100k": "100k", "MovieLens-1M": "1m"}
PEERS = {
    "the library `implicit` by hand": "equal within noise",
    "popularity": "better beyond the interval",
    "recent popularity": "better beyond the interval",
}


def _what(name: str, peer: str) -> str:
    return f"NDCG@10, {name}, beside {peer}"


def _run(sizes: Sizes) -> list[Line]:
    lines = []
    for name, which in SETS.items():
        used = run(program("recommend", data.SHOP, which, 5 if sizes.quick else 20))
        said: dict[str, Any] = dict(used.said)
        for peer, budget in PEERS.items():
            theirs = said["peers"][peer]
            difference = theirs["difference"]
            low, high = difference["low"], difference["high"]
            lines.append(
                Line(
                    what=_what(name, peer),
                    ours=_interval(said["ours"]),
                    peer=_interval(theirs["ndcg"]),
                    ratio=f"{difference['value']:+.4f} [{low:+.4f}, {high:+.4f}]",
                    budget=budget,
                    met=low <= 0 <= high if budget.startswith("equal") else low > 0,
                    figures={**theirs, "wall_s": used.wall, "parameters": said["parameters"], "users": said["users"]},
                )
            )
    return lines


def _interval(one: dict[str, float]) -> str:
    return f"{one['value']:.4f} [{one['low']:.4f}, {one['high']:.4f}]"


BENCH = Bench("recommend", tuple(_what(name, peer) for name in SETS for peer in PEERS), _run)
