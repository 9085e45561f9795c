"""The most memory that collecting and processing ever hold."""

from __future__ import annotations

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.environments import headwater
from bench.measure import run

__all__ = ["BENCH"]

MOST_GIB = 2.0


def _what(events: int) -> str:
    return f"memory for collect and process of {millions(events)} events"


def _run(sizes: Sizes) -> list[Line]:
    budget = f"< {MOST_GIB:g} GiB"
    if not sizes.full:
        return [Line(what=_what(sizes.full_events), ours="left out: `python -m bench memory --full`", budget=budget)]
    folder = data.project("memory", f"{data.events(sizes.full_events)}/first/*.jsonl")
    collected = run(headwater("run", "collect", "-C", folder, "-o", "json"))
    processed = run(headwater("run", "process", "-C", folder, "-o", "json"))
    most = max(collected.rss, processed.rss) / 2**30
    said = [f"{name} {used.rss / 2**30:.2f} GiB in {used.wall:.0f} s" for name, used in (("collect", collected), ("process", processed))]
    return [
        Line(
            what=_what(sizes.full_events),
            ours=", ".join(said),
            budget=budget,
            met=most < MOST_GIB,
            figures={"collect": collected.to_json(), "process": processed.to_json()},
        )
    ]


BENCH = Bench("memory", (_what(Sizes.full_events),), _run)
