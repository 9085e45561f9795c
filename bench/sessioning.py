"""The shop's sessions, through `process` and its bookkeeping; beside the same by hand in Polars and in pandas."""

from __future__ import annotations

import shutil

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.environments import peers, program
from bench.measure import CouldNotRun, Used, by_turns, run

__all__ = ["BENCH"]

LEAST_OF_PANDAS, LEAST_OF_POLARS = 3.0, 0.9


def _against(peer: str, events: int) -> str:
    return f"sessions on {millions(events)} events, beside {peer}"


def _run(sizes: Sizes) -> list[Line]:
    project, python = data.collected(sizes.events), peers()
    table = project / "lake" / "tables" / "events"
    ours, polars, pandas = by_turns(
        min(sizes.rounds, 2) if sizes.events > 1_000_000 else sizes.rounds,
        lambda: run(program("process", project, "sessions")),
        lambda: _peer(table, "sessions_polars"),
        lambda: _peer(table, "sessions_pandas", python=python),
    )
    sums = run(program("process", project, "sessions", "--increment", "--sums")).said  # peers add up what they have in memory still
    for peer in (polars, pandas):
        if any(peer.said[name] != sums[name] for name in ("rows", "views", "seconds_in_sessions")):
            raise CouldNotRun(f"a peer made other sessions: {dict(peer.said)}, ours {dict(sums)}")
    return [
        _line(_against("pandas", sizes.events), ours, pandas, "pandas", LEAST_OF_PANDAS),
        _line(_against("the same Polars code by hand", sizes.events), ours, polars, "Polars", LEAST_OF_POLARS),
    ]


def _peer(table: object, name: str, **python: object) -> Used:
    out = data.DATA / "out" / name
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(exist_ok=True)
    used = run(program(name, table, out, **python))  # type: ignore[arg-type]
    shutil.rmtree(out, ignore_errors=True)
    return used


def _line(what: str, ours: Used, theirs: Used, name: str, least: float) -> Line:
    ratio = theirs.wall / ours.wall
    return Line(
        what=what,
        ours=f"{ours.wall:.1f} s, {ours.rss / 2**30:.1f} GiB",
        peer=f"{name} {theirs.wall:.1f} s, {theirs.rss / 2**30:.1f} GiB",
        ratio=f"{ratio:.2f} ×",
        budget=f"≥ {least:g} ×",
        met=ratio >= least,
        figures={"ours": ours.to_json(), "peer": theirs.to_json()},
    )


BENCH = Bench("sessions", (_against("pandas", Sizes.events), _against("the same Polars code by hand", Sizes.events)), _run)
