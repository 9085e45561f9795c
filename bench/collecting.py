"""JSON lines into the lake, with contract, provenance, digest, ledger and key check; beside those who do without."""

from __future__ import annotations

import shutil
from dataclasses import replace

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.environments import peers, program
from bench.measure import Used, by_turns, run

__all__ = ["BENCH"]

LEAST_OF_POLARS, LEAST_OF_DLT = 0.7, 15.0


def _against_polars(events: int) -> str:
    return f"collect {millions(events)} JSON lines, beside bare Polars and Delta"


def _against_dlt(events: int, dlt_events: int) -> str:
    return f"collect {millions(events)} JSON lines, rows/s beside dlt's on {millions(dlt_events)}"


def _run(sizes: Sizes) -> list[Line]:
    ours, polars = by_turns(sizes.rounds, lambda: data.collect(sizes.events), lambda: _peer("collect_polars", sizes.events))
    small, dlt = by_turns(min(sizes.rounds, 2), lambda: data.collect(sizes.dlt_events), lambda: _peer("collect_dlt", sizes.dlt_events))
    what = _against_dlt(sizes.events, sizes.dlt_events)
    line = _line(what, sizes.events, ours, dlt, "dlt", LEAST_OF_DLT, of=sizes.dlt_events)
    same = f"{line.ratio} (both on {millions(sizes.dlt_events)}, start-up included: {dlt.wall / small.wall:.1f} ×)"
    return [
        _line(_against_polars(sizes.events), sizes.events, ours, polars, "Polars", LEAST_OF_POLARS),
        replace(line, ratio=same, figures={**line.figures, "small": small.to_json()}),
    ]


def _peer(name: str, events: int) -> Used:
    out = data.DATA / "out" / name
    shutil.rmtree(out, ignore_errors=True)
    python = {"python": peers()} if name == "collect_dlt" else {}
    used = run(program(name, data.events(events) / "first", out, **python))
    assert used.said["rows"] == events, f"{name} wrote {used.said['rows']} rows of {events}"
    shutil.rmtree(out)
    return used


def _line(what: str, events: int, ours: Used, theirs: Used, name: str, least: float, *, of: int | None = None) -> Line:
    """`of` is how many events the peer was given, where it would take too long over as many."""
    given = of or events
    ratio = (events / ours.wall) / (given / theirs.wall)
    return Line(
        what=what,
        ours=f"{ours.wall:.1f} s, {events / ours.wall / 1e3:,.0f} k rows/s",
        peer=f"{name} {theirs.wall:.1f} s, {given / theirs.wall / 1e3:,.0f} k rows/s",
        ratio=f"{ratio:.2f} ×",
        budget=f"≥ {least:g} ×",
        met=ratio >= least,
        figures={"ours": ours.to_json(), "peer": theirs.to_json()},
    )


BENCH = Bench("collect", (_against_polars(Sizes.events), _against_dlt(Sizes.events, Sizes.dlt_events)), _run)
