"""JSON lines into the lake, with contract, provenance, digest, ledger and key check; beside those who do without."""

from __future__ import annotations

import shutil
from dataclasses import replace

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.measure import Used, by_turns, program, run

__all__ = ["BENCH"]

LEAST_OF_POLARS, LEAST_OF_DLT = 0.7, 15.0


def _against_polars(events: int) -> str:
    return f"collect {millions(events)} JSON lines, beside bare Polars and Delta"


def _against_dlt(events: int) -> str:
    return f"collect {millions(events)} JSON lines, beside dlt"


def _run(sizes: Sizes) -> list[Line]:
    ours, polars = by_turns(sizes.rounds, lambda: data.collect(sizes.events), lambda: _peer("collect_polars", sizes.events))
    small, dlt, tiny, tiny_dlt = by_turns(
        min(sizes.rounds, 2),
        lambda: data.collect(sizes.dlt_events),
        lambda: _peer("collect_dlt", sizes.dlt_events),
        lambda: data.collect(sizes.dlt_events // 10),
        lambda: _peer("collect_dlt", sizes.dlt_events // 10),
    )
    beyond = (dlt.wall - tiny_dlt.wall) / max(small.wall - tiny.wall, 1e-9)
    line = _line(_against_dlt(sizes.dlt_events), sizes.dlt_events, small, dlt, "dlt", LEAST_OF_DLT)
    about = {"a_tenth": tiny.to_json(), "a_tenth_peer": tiny_dlt.to_json(), "beyond_start": beyond}
    return [
        _line(_against_polars(sizes.events), sizes.events, ours, polars, "Polars", LEAST_OF_POLARS),
        replace(line, ratio=f"{line.ratio} (per row beyond start-up {beyond:.0f} ×)", figures={**line.figures, **about}),
    ]


def _peer(name: str, events: int) -> Used:
    out = data.DATA / "out" / name
    shutil.rmtree(out, ignore_errors=True)
    python = {"python": data.peers()} if name == "collect_dlt" else {}
    used = run(program(name, data.events(events) / "first", out, **python))
    assert used.said["rows"] == events, f"{name} wrote {used.said['rows']} rows of {events}"
    shutil.rmtree(out)
    return used


def _line(what: str, events: int, ours: Used, theirs: Used, name: str, least: float) -> Line:
    ratio = theirs.wall / ours.wall
    return Line(
        what=what,
        ours=f"{ours.wall:.1f} s, {events / ours.wall / 1e3:,.0f} k rows/s",
        peer=f"{name} {theirs.wall:.1f} s, {events / theirs.wall / 1e3:,.0f} k rows/s",
        ratio=f"{ratio:.2f} ×",
        budget=f"≥ {least:g} ×",
        met=ratio >= least,
        figures={"ours": ours.to_json(), "peer": theirs.to_json()},
    )


BENCH = Bench("collect", (_against_polars(Sizes.events), _against_dlt(Sizes.dlt_events)), _run)
