"""A second run with 1 % new rows, where a few users own most rows: what each kind of step costs of its first run."""

from __future__ import annotations

import os
from pathlib import Path

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.environments import headwater, program
from bench.measure import run

__all__ = ["BENCH"]

ZIPF = 1.1
MOST_SHARE, MOST_OVER = 0.05, 1.2


def _whats(events: int) -> tuple[str, ...]:
    size = millions(events)
    return (
        f"1 % more of {size} Zipf events: a row-by-row step",
        f"1 % more of {size} Zipf events: sessions, by user and day",
        f"1 % more of {size} Zipf events: a step by user",
    )


def _run(sizes: Sizes) -> list[Line]:
    more = sizes.events // 100
    files = data.events(sizes.events, zipf=ZIPF, more=more)
    project = data.project("increment", "data/*.jsonl")
    (project / "data").mkdir()
    _bring(files / "first", project)
    steps = ("cheap", "sessions", "by_user")
    command = headwater("run", "-C", project, "-o", "json")
    collected = run(headwater("run", "collect", "-C", project, "-o", "json"))
    first = {name: run(program("process", project, name, "--increment")) for name in steps}
    _bring(files / "more", project)
    collected_more = run(headwater("run", "collect", "-C", project, "-o", "json"))
    owned = run(program("touched", project / "lake" / "tables" / "events", more)).said
    second = {name: run(program("process", project, name, "--increment")) for name in steps}
    nothing = run(command)
    lines = []
    for what, name in zip(_whats(sizes.events), steps, strict=True):
        before, after = first[name].said["process_s"], second[name].said["process_s"]
        assert second[name].said["facts"][f"{name}.run"] == "increment", second[name].said
        share = after / before
        most = MOST_SHARE if name != "by_user" else MOST_OVER * owned["share_of_rows"]
        budget = (
            f"≤ {MOST_SHARE:.0%}" if name != "by_user" else f"≤ {MOST_OVER} × the {owned['share_of_rows']:.1%} of rows of touched users"
        )
        figures = {"first": first[name].to_json(), "second": second[name].to_json(), "touched": dict(owned)}
        if name == "cheap":
            figures |= {
                "collect_first": collected.to_json(),
                "collect_more": collected_more.to_json(),
                "run_nothing_new": nothing.to_json(),
            }
        lines.append(
            Line(
                what=what,
                ours=f"{after:.2f} s",
                peer=f"its first run {before:.2f} s",
                ratio=f"{share:.1%}",
                budget=budget,
                met=share <= most,
                figures=figures,
            )
        )
    return lines


def _bring(folder: Path, project: Path) -> None:
    for path in sorted(folder.glob("*.jsonl")):
        os.link(path, project / "data" / path.name)


BENCH = Bench("increment", _whats(Sizes.events), _run)
