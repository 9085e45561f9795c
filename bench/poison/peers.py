"""Peers: ART and cleanlab, in an environment of their own, on the same records. Arrays go in and come out."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import DATA
from bench.environments import made
from bench.measure import CouldNotRun
from bench.poison.interval import wilson
from bench.poison.line import Run
from bench.poison.side import ONE_THREAD

__all__ = ["flips", "nets", "python"]

HERE = Path(__file__).parent
FOLDER = DATA / "poison" / "peers"


def python() -> Path:
    """The Python of the peers' environment, by the pins in peers.txt."""
    return made(FOLDER, (HERE / "peers.txt").read_text(), "-r", HERE / "peers.txt")


def _together(program: str, jobs: Sequence[Mapping[str, Any]], processes: int) -> list[dict[str, Any]]:
    """Arrays for each job in, arrays out; `processes` of them at a time, each with a share of the jobs."""
    folder = DATA / "poison" / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        for number, job in enumerate(jobs):
            np.savez(work / f"{number}.in.npz", **job)
        shares = [range(start, len(jobs), max(processes, 1)) for start in range(max(processes, 1))]
        running = [
            subprocess.Popen(
                [python(), HERE / "programs" / f"{program}.py", work, *map(str, share)],
                env={**os.environ, **ONE_THREAD},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for share in shares
            if len(share)
        ]
        for process in running:
            _, said = process.communicate()
            if process.returncode:
                raise CouldNotRun(f"{program}.py ended with {process.returncode}: {said[-600:]}")
        return [dict(np.load(work / f"{number}.out.npz")) for number in range(len(jobs))]


def nets(jobs: Sequence[Mapping[str, Any]], *, processes: int = 2) -> list[dict[str, Any]]:
    """See programs/nets.py for what goes in and comes out."""
    return _together("nets", jobs, processes)


FLIPS = {
    "≥ 50 % flips, ≥ 30 records": ("100 % by 2", "100 % by 4", "50 % by 2", "50 % by 4"),
    "25 % flips, ≥ 100 records": ("25 %, 100 records",),
    "25 % flips, 30 records": ("25 %, 30 records",),
}


def flips(run: Run, world: Callable[..., Any], cases: Mapping[str, Any]) -> dict[str, str]:
    """cleanlab on the same rounds, and who has at least half of his records flagged; digits and breast cancer."""
    asked = [
        (what, name, case, seed)
        for what, chosen in {**FLIPS, "clean": ("clean",)}.items()
        for case in chosen
        for name in ("digits", "cancer")
        if name in cases[case].sets
        for seed in run.chosen[:10]
    ]
    worlds = [world(name, cases[case], seed) for _, name, case, seed in asked]
    jobs = [
        {"x": np.concatenate([w.history.x, w.new.x]), "y": np.concatenate([w.history.given, w.new.given]), "seed": seed}
        for w, (*_, seed) in zip(worlds, asked, strict=True)
    ]
    answers = _together("labels", jobs, run.processes)
    hits: dict[str, list[int]] = {}
    wronged = [0, 0]
    for (what, *_), w, answer in zip(asked, worlds, answers, strict=True):
        flagged = answer["issues"][len(w.history) :]
        for one in np.unique(w.new.who):
            caught = bool(flagged[w.new.who == one].mean() >= 0.5)
            into = hits.setdefault(what, [0, 0]) if one in w.attackers else wronged
            into[0] += caught
            into[1] += 1
    said = {what: f"cleanlab, half of his records: {wilson(*counts).percent()}" for what, counts in hits.items()}
    return {**said, "wronged": f"cleanlab {wilson(*wronged).percent(2)}"}
