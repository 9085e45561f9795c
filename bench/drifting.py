"""Drift of 20 columns, from Parquet to a verdict, beside evidently."""

from __future__ import annotations

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.environments import peers, program
from bench.measure import by_turns, run

__all__ = ["BENCH"]

LEAST = 25.0


def _what(rows: int) -> str:
    return f"drift on {millions(rows)} × 20 columns, beside evidently"


def _run(sizes: Sizes) -> list[Line]:
    folder = data.DATA / f"drift-{sizes.drift_rows}"
    if not (folder / "current.parquet").exists():
        run(program("drift_data", folder, sizes.drift_rows))
    python = peers()
    ours, theirs = by_turns(
        min(sizes.rounds, 2),
        lambda: run(program("drift_headwater", folder)),
        lambda: run(program("drift_evidently", folder, python=python)),
    )
    whole, inside = theirs.wall / ours.wall, theirs.said["compared_s"] / ours.said["compared_s"]
    return [
        Line(
            what=_what(sizes.drift_rows),
            ours=f"{ours.said['compared_s']:.2f} s (whole program {ours.wall:.1f} s)",
            peer=f"evidently {theirs.said['compared_s']:.1f} s (whole program {theirs.wall:.1f} s)",
            ratio=f"{inside:.0f} × (whole program {whole:.1f} ×)",
            budget=f"≥ {LEAST:g} ×",
            met=inside >= LEAST,
            figures={"ours": ours.to_json(), "peer": theirs.to_json()},
        )
    ]


BENCH = Bench("drift", (_what(Sizes.drift_rows),), _run)
