"""The command line: python -m bench.poison [NAME...] [--list] [--quick] [--seeds N] [--streams N] [--tuning] [--no-peers] [-o json]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.poison.side import ONE_THREAD

os.environ.update(ONE_THREAD)  # before anything that counts threads is imported; what is compared is one thread's work

from bench.poison import backdoors, certifying, costing, dripping, flipping, plots, shilling, streaming
from bench.poison.line import Line, Run, table
from bench.running import RESULTS, as_json, machine, run_each

MEASURES = {one.MEASURE.name: one.MEASURE for one in (flipping, dripping, backdoors, shilling, streaming, certifying, costing)}
TUNING = 1


def main() -> int:
    """Run the measures that are named, or all; 1 if one could not run, whether or not a target was met."""
    asked = _arguments()
    if asked.list:
        for measure in MEASURES.values():
            print(f"{measure.name:12} {measure.about}")
        return 0
    unknown = [name for name in asked.names if name not in MEASURES]
    if unknown:
        print(f"bench.poison: there is no measure {unknown[0]!r}. Known: {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    run = _run_of(asked)

    def stem(name: str) -> str:
        return f"poison-{name}{'-quick' if run.quick else ''}{'-tuning' if run.first < 1_000 else ''}"

    def measured(name: str) -> Sequence[Line]:
        lines = MEASURES[name].run(run)
        _draw(name, lines, stem(name), asked.plots)
        return lines

    found, failed = run_each(asked.names or list(MEASURES), measured, stem, vars(run))
    lines = [line for some in found.values() for line in some]
    about = f"{machine()}; seeds {run.first} to {run.chosen[-1]}{'; quick: too few to quote' if run.quick else ''}"
    if asked.output == "json":
        print(as_json({"machine": about, "lines": [line.to_json() for line in lines], "failed": failed}))
    else:
        print(f"\n{table(lines)}\n\n{about}")
    return 1 if failed else 0


def _run_of(asked: argparse.Namespace) -> Run:
    first = TUNING if asked.tuning else 1_000
    seeds, streams = (3, 12) if asked.quick else (10, 200)
    return Run(
        seeds=asked.seeds or seeds,
        streams=asked.streams or streams,
        first=first,
        quick=asked.quick,
        processes=asked.processes,
        peers=not asked.no_peers,
    )


def _draw(name: str, lines: Sequence[Line], stem: str, to: Path | None) -> None:
    RESULTS.mkdir(exist_ok=True)
    for file, drawing in plots.drawn(name, lines).items():
        (RESULTS / f"{stem}-{file}.svg").write_text(drawing)
        if to is not None:
            to.mkdir(parents=True, exist_ok=True)
            (to / f"gate-{file}.svg").write_text(drawing)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.poison", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(MEASURES)}; all without one")
    parser.add_argument("--list", action="store_true", help="name every measure, run nothing")
    parser.add_argument("--quick", action="store_true", help="3 seeds, 12 streams: to see that it runs")
    parser.add_argument("--seeds", type=int, help="of each attack; 10")
    parser.add_argument("--streams", type=int, help="of clean retrainings; 200")
    parser.add_argument("--tuning", action="store_true", help="seeds from 1 on, for whoever changes a gate; never the ones that are quoted")
    parser.add_argument("--no-peers", action="store_true", help="without ART and cleanlab (the net is still trained in their environment)")
    parser.add_argument("--processes", type=int, default=2, help="how many at a time; 2")
    parser.add_argument("--plots", type=Path, help="also write the plots here, as gate-*.svg; docs/img for the pages")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
