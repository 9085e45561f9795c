"""The command line: python -m bench [NAME...] [--list] [--quick] [--full] [-o json]."""

from __future__ import annotations

import argparse
import sys

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
from bench.budget import Sizes, table
from bench.running import as_json, machine, run_each

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
    found, failed = run_each(
        asked.names or list(BENCHES),
        lambda name: BENCHES[name].run(sizes),
        lambda name: f"{name}{'-quick' if sizes.quick else ''}",
        vars(sizes),
    )
    lines = [line for some in found.values() for line in some]
    about = f"{machine()}{'; quick: small sizes, not the figures to quote' if sizes.quick else ''}"
    if asked.output == "json":
        print(as_json({"machine": about, "lines": [line.to_json() for line in lines], "failed": failed}))
    else:
        print(f"\n{table(lines)}\n\n{about}")
    return 1 if failed else 0


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
