"""What `_source`, `_batch` and `_row` cost on disk, before and after compaction."""

from __future__ import annotations

import shutil

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.environments import program
from bench.measure import run

__all__ = ["BENCH"]

MOST = 0.02


def _whats(events: int) -> tuple[str, ...]:
    return tuple(f"provenance on disk, {millions(events)} events, {when} compaction" for when in ("before", "after"))


def _run(sizes: Sizes) -> list[Line]:
    table = data.collected(sizes.events) / "lake" / "tables" / "events"
    out = data.DATA / "out" / "origin"
    shutil.rmtree(out, ignore_errors=True)
    sizes_on_disk = run(program("origin", table, out)).said
    shutil.rmtree(out)
    lines = []
    for what, when in zip(_whats(sizes.events), ("before", "after"), strict=True):
        ours, without = sizes_on_disk[when]["with"], sizes_on_disk[when]["without"]
        more = ours / without - 1
        lines.append(
            Line(
                what=what,
                ours=f"{ours / 1e6:.1f} MB",
                peer=f"without {without / 1e6:.1f} MB",
                ratio=f"{more:+.2%}",
                budget=f"≤ {MOST:.0%} more",
                met=more <= MOST,
                figures=sizes_on_disk[when],
            )
        )
    return lines


BENCH = Bench("origin", _whats(Sizes.events), _run)
