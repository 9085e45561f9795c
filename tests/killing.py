"""`headwater run` killed at random moments, again and again, and held against a twin that is never killed.

python -m tests.killing --times 500 --seed 0
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from tests.pipeline.conftest import make_shop

from headwater.pipeline.build import load_served
from headwater.pipeline.project import Project

EVENTS = 2_500
ORIGIN = ["_source", "_batch", "_row"]
ROUNDS = 6  # how often data comes before a shop is begun anew, so that runs stay short

GATE = '''
class Looks:
    """A gate that takes three rows of what came out again, so that verdicts and what they lead to are remembered too."""

    name = "looks"
    tables = ("events",)

    def judge(self, artifact: Any, evidence: Any) -> Any:
        from headwater import Verdict
        from headwater.core.gate import Action, Finding, Severity

        fresh = evidence.inputs["fresh"]["events"]
        rows = fresh.new.head(3).select("_source", "_batch", "_row").rows() if fresh.history.height else []
        found = [
            Finding(severity=Severity.REVIEW, code="t", subject="row:1", message="", action=Action.QUARANTINE, table="events", rows=(row,))
            for row in rows
        ]
        return Verdict(gate="looks", digest=artifact.digest, findings=tuple(found))


pipeline ='''


def small_shop(folder: Path) -> Path:
    """A shop that runs in about a second, with a gate, and with a champion that is easily replaced."""
    make_shop(folder, events=EVENTS)
    code = (folder / "shop.py").read_text()
    code = code.replace("trials=2)", "trials=1)").replace("\npipeline =", GATE)
    code = code.replace("retrain=Policy(", "gates=[Looks()],\n    retrain=Policy(margin=0.9, min_users=2, ")
    (folder / "shop.py").write_text(code)
    return folder


def command(*words: str | Path) -> list[str]:
    """What a user types, for a process of its own."""
    return [sys.executable, "-m", "headwater", *(str(word) for word in words)]


def headwater(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type it and wait."""
    return subprocess.run(command(*words), env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300)


def arrive(folder: Path, number: int) -> None:
    """More data comes: four events of each of sixty users we know, written into the newest file, and a broken line."""
    files = sorted((folder / "data/events").glob("*.jsonl"))
    people = pl.read_ndjson(files[-2])["user_id"].unique(maintain_order=True).head(60).to_list()
    items = pl.read_ndjson(files[-2])["item_id"].to_list()
    start = datetime(2016, 1, 1, tzinfo=UTC) + timedelta(days=number)
    with open(files[-1], "a") as file:
        for i in range(4 * len(people)):
            at = f"{start + timedelta(minutes=5 * i):%Y-%m-%dT%H:%M:%S.000Z}"
            user, item = people[i % len(people)], items[(i * 31 + number * 7) % len(items)]
            file.write(f'{{"event_id":"more{number}-{i}","user_id":"{user}","item_id":"{item}","ts":"{at}","kind":"view"}}\n')
        file.write("half a reco\n")


@dataclass(frozen=True)
class Outcome:
    """Everything that must be as if nobody had been killed."""

    tables: dict[str, list[tuple[Any, ...]]]
    counts: dict[str, int]
    snapshot: str
    dataset: str
    model: str
    decision: tuple[str, str]
    serving: tuple[int, str]


def outcome(folder: Path) -> Outcome:
    """What a project ended with. Fails if it does not verify or does not serve."""
    project = Project.open(folder)
    findings = project.verify().findings
    assert not findings, findings
    tables = {}
    for name in (f"{kind}/{table}" for kind in ("tables", "rejected") for table in project.lake.tables(kind)):
        frame = project.lake.table(name).scan().collect().sort(ORIGIN)
        tables[name] = frame.select(sorted(frame.columns)).rows()
    ledger = project.ledger
    last = {kind: ledger.last(kind) for kind in ("snapshot", "dataset", "model", "decided")}
    body = {kind: entry.body if entry else {} for kind, entry in last.items()}
    current = project.deployments.current("shop")
    assert load_served(project.registry, current).recommend("u1")
    return Outcome(
        tables=tables,
        counts={kind: len(list(ledger.entries(kind))) for kind in ("done", "snapshot", "dataset", "model", "decided", "deployed")},
        snapshot=body["snapshot"]["digest"],
        dataset=body["dataset"]["digest"],
        model=body["model"]["model"],
        decision=(body["decided"]["model"], body["decided"]["outcome"]),
        serving=(current.epoch, current.model_digest),
    )


@dataclass
class Toll:
    """What was done."""

    kills: int = 0
    missed: int = 0  # the run was done before the blow
    checks: int = 0

    def strike(self, folder: Path, after_s: float) -> None:
        """Start a run and kill it after a while."""
        with subprocess.Popen(command("run", "-C", folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                _, said = process.communicate(timeout=after_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                self.kills += 1
            else:
                assert process.returncode == 0, said.decode()[-2000:]
                self.missed += 1


def kill(times: int, seed: int, home: Path, *, say: Callable[[str], object] = lambda line: sys.stdout.write(line + "\n")) -> Toll:
    """Kill `times` runs at moments drawn evenly over a run's length; after one to four blows in a row, run whole and compare."""
    dice, toll, number = random.Random(seed), Toll(), 0
    fresh = small_shop(home / "fresh")
    length = min(_length(fresh, home / f"clock-{i}") for i in range(2))
    while toll.kills < times:
        if number % ROUNDS == 0:
            for name in ("killed", "twin"):
                shutil.rmtree(home / name, ignore_errors=True)
                shutil.copytree(fresh, home / name)
        else:
            for name in ("killed", "twin"):
                arrive(home / name, number)
        number += 1
        for _ in range(min(dice.randint(1, 4), times - toll.kills)):
            toll.strike(home / "killed", dice.uniform(0.0, length))
        Project.open(home / "killed").run()
        Project.open(home / "twin").run()
        compare(outcome(home / "killed"), outcome(home / "twin"))
        toll.checks += 1
        say(f"{toll.kills} kills, {toll.missed} too late, {toll.checks} comparisons")
    return toll


def _length(fresh: Path, folder: Path) -> float:
    """How many seconds a whole run takes here and now."""
    shutil.copytree(fresh, folder)
    started = time.monotonic()
    assert headwater("run", "-C", folder).returncode == 0
    return time.monotonic() - started


def compare(killed: Outcome, twin: Outcome) -> None:
    """The same, part by part, so that what differs is named."""
    for name in Outcome.__dataclass_fields__:
        assert getattr(killed, name) == getattr(twin, name), name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kill(options.times, options.seed, Path(folder))
