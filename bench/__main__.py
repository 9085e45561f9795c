"""The command line: python -m bench [NAME...] [--list] [--quick] [--full] [-o json]."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from bench import (
    collecting,
    digesting,
    drifting,
    incrementing,
    originating,
    recommending,
    remembering,
    returning,
    serving,
    sessioning,
    starting,
)
from bench.budget import Line, Sizes, table
from bench.measure import CouldNotRun

BENCHES = {
    one.BENCH.name: one.BENCH
    for one in (
        starting,
        collecting,
        sessioning,
        incrementing,
        originating,
        remembering,
        serving,
        returning,
        drifting,
        digesting,
        recommending,
    )
}
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the benches that are named, or all; 1 if one could not run, whether or not a budget was met."""
    asked = _arguments()
    if asked.list:
        for bench in BENCHES.values():
            for what in bench.whats:
                print(f"{bench.name:12} {what}")
        return 0
    unknown = [name for name in asked.names if name not in BENCHES]
    if unknown:
        print(f"bench: there is no bench {unknown[0]!r}. Known: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    sizes = Sizes.quickly(full=asked.full) if asked.quick else Sizes(full=asked.full)
    lines, failed = _run(asked.names or list(BENCHES), sizes)
    about = f"{_machine()}{'; quick: small sizes, not the figures to quote' if sizes.quick else ''}"
    if asked.output == "json":
        print(json.dumps({"machine": about, "lines": [line.to_json() for line in lines], "failed": failed}, indent=1))
    else:
        print(f"\n{table(lines)}\n\n{about}")
    return 1 if failed else 0


def _run(names: list[str], sizes: Sizes) -> tuple[list[Line], list[str]]:
    lines: list[Line] = []
    failed: list[str] = []
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        started = time.perf_counter()
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            found = BENCHES[name].run(sizes)
        except CouldNotRun as error:
            print(f"{name} could not run: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        lines += found
        took = time.perf_counter() - started
        result = {"bench": name, "machine": _machine(), "sizes": vars(sizes), "took_s": took, "lines": [line.to_json() for line in found]}
        (RESULTS / f"{name}{'-quick' if sizes.quick else ''}.json").write_text(json.dumps(result, indent=1) + "\n")
        for line in found:
            print(f"  {' · '.join(cell for cell in line.cells() if cell)}", file=sys.stderr, flush=True)
        print(f"  ({took:.0f} s)", file=sys.stderr, flush=True)
    return lines, failed


def _machine() -> str:
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, load {load:.1f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)}; all without one")
    parser.add_argument("--list", action="store_true", help="name every budget, run nothing")
    parser.add_argument("--quick", action="store_true", help="a million events at most, each once")
    parser.add_argument("--full", action="store_true", help="also what takes long: memory at 30 M events")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
