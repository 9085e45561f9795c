"""Run: the loop. Collect, pin, process, check, judge, train, decide, deploy, look; every step remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headwater.core.errors import Broken, UsageError
from headwater.core.failpoint import failpoint
from headwater.core.files import locked
from headwater.core.names import did_you_mean
from headwater.ledger.seals import check_chain
from headwater.pipeline import build
from headwater.pipeline.champion import Decided, decide
from headwater.pipeline.data import PreparedData
from headwater.pipeline.judged import Judged, finish_judged, judge_new
from headwater.pipeline.recover import recover
from headwater.store.commit import Collected, Collector
from headwater.store.snapshot import Snapshot, take_snapshot
from headwater.trace.files import check_files

if TYPE_CHECKING:
    from headwater.deploy.deployment import Deployment
    from headwater.monitor.report import Report
    from headwater.pipeline.project import Project
    from headwater.process.prepared import Prepared
    from headwater.train.model import Model

__all__ = ["STAGES", "Turn", "run"]

STAGES = ("collect", "process", "judge", "train", "deploy", "monitor")
WAIT_S = 10.0  # how long to wait for another run
Progress = Callable[[str, int, float], None]


@dataclass
class Turn:
    """What one run did. Fields are filled in the order of the pipeline; what was not reached is None."""

    collected: list[Collected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    snapshot: Snapshot | None = None
    prepared: Prepared | None = None
    judged: Judged | None = None
    model: Model | None = None
    decided: Decided | None = None
    deployment: Deployment | None = None
    report: Report | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.perf_counter() - started, 3)

    def collected_rows(self) -> list[dict[str, Any]]:
        """One line for each source."""
        return [
            {"source": c.source, "table": c.table, "rows": c.rows, "rejected": c.rejected, "batches": c.batches} for c in self.collected
        ]

    def summary(self) -> dict[str, Any]:
        """What a person wants to see at the end."""
        named: dict[str, Any] = {}
        if self.snapshot:
            named["snapshot"] = self.snapshot.digest
        if self.prepared:
            named["dataset"] = self.prepared.digest
        if self.judged:
            named["gates"] = self.judged.summary()
        if self.model:
            named["model"] = f"{self.model.name}@{self.model.version} {self.model.digest}"
        if self.decided:
            named["decision"] = f"{self.decided.outcome}: {self.decided.why}"
        if self.deployment:
            named["serving"] = f"{self.deployment.model} (epoch {self.deployment.epoch})"
        if self.report:
            named["report"] = f"{self.report.worst}, {len(self.report.measures)} measures"
        return {**named, "seconds": ", ".join(f"{stage} {s:.2f}" for stage, s in self.seconds.items())}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "collected": self.collected_rows(),
            "notes": self.notes,
            "snapshot": self.snapshot.to_json() if self.snapshot else None,
            "prepared": self.prepared.to_json() if self.prepared else None,
            "judged": self.judged.to_json() if self.judged else None,
            "model": self.model.to_json() if self.model else None,
            "decision": self.decided.to_json() if self.decided else None,
            "deployment": self.deployment.to_json() if self.deployment else None,
            "report": {"digest": self.report.digest, "worst": self.report.worst} if self.report else None,
            "seconds": self.seconds,
        }


def run(project: Project, *, until: str | None = None, progress: Progress | None = None) -> Turn:
    """Carry everything new from the sources to the deployment.

    Guarantees: killed anywhere and run again, the result is as if it had never been killed; a second run at the same
    time waits ten seconds and then raises `Retryable`; data that does not match the ledger is never trained on
    (`Broken`); a gate that refuses stops here (`Refused`).
    """
    if until is not None and until not in STAGES:
        raise UsageError(f"there is no stage {until!r}. {did_you_mean(until, STAGES)}")
    turn = Turn()
    with locked(project.lake.root / "staged" / "run.lock", "this project's lake", wait_s=WAIT_S):
        recover(project)
        finish_judged(project)
        for stage, work in zip(STAGES, (_collect, _process, _judge, _train, _deploy, _monitor), strict=True):
            with turn.timed(stage):
                work(project, turn, progress)
            if stage == until or (stage == "process" and project.pipeline.train is None):
                break
    return turn


def _collect(project: Project, turn: Turn, progress: Progress | None) -> None:
    started, rows = time.perf_counter(), 0

    def report(more: int) -> None:
        nonlocal rows
        rows += more
        if progress:
            progress("collect", rows, time.perf_counter() - started)

    for table in build.read_tables(project.pipeline):
        Collector(table, lake=project.lake, ledger=project.ledger).prepare()
    for source, table in build.sources(project.profile, project.pipeline):
        done = Collector(table, lake=project.lake, ledger=project.ledger).collect(source, progress=report)
        turn.collected.append(done)
        pending = getattr(source, "pending", {})
        turn.notes += [f"{file} ends in half a record ({size} bytes): left until it is whole" for file, size in pending.items()]


def _process(project: Project, turn: Turn, progress: Progress | None) -> None:
    from headwater.process.process import process

    tables = build.read_tables(project.pipeline)
    started = time.perf_counter()
    turn.snapshot = take_snapshot(tables, lake=project.lake, ledger=project.ledger)
    failpoint("run.snapshot")
    turn.prepared = process(
        turn.snapshot,
        project.pipeline.process,
        lake=project.lake,
        ledger=project.ledger,
        engine=build.engine(project.profile),
        contributors={table.name: table.contributor for table in tables},
        progress=(lambda step, rows: progress(step, rows, time.perf_counter() - started)) if progress else None,
    )
    body = {
        "digest": turn.prepared.digest,
        "snapshot": turn.snapshot.digest,
        "tables": {n: t.digest for n, t in turn.prepared.tables.items()},
    }
    if project.ledger.last("dataset", digest=turn.prepared.digest) is None:
        project.ledger.append("dataset", body)
    failpoint("run.dataset")


def _judge(project: Project, turn: Turn, progress: Progress | None) -> None:
    """What is new is held against the ledger, then put before the gates; without what they take out, all is prepared again."""
    assert turn.prepared is not None
    assert turn.snapshot is not None
    _checked(project, turn.prepared)
    turn.judged = judge_new(project, turn.snapshot, turn.prepared)
    if turn.judged is not None and turn.judged.taken_out:
        _process(project, turn, progress)


def _train(project: Project, turn: Turn, progress: Progress | None) -> None:
    from headwater.train.train import train

    assert turn.prepared is not None
    assert project.pipeline.train is not None
    turn.model = train(
        PreparedData(turn.prepared, project.lake),
        project.pipeline.train,
        name=project.pipeline.name,
        registry=project.registry,
        ledger=project.ledger,
        work_folder=project.lake.root / "staged" / "search",
        progress=(lambda line: progress(line, 0, 0.0)) if progress else None,
    )


def _checked(project: Project, prepared: Prepared) -> None:
    """What is about to be learned from is what was collected: every file held against the ledger."""
    if any(entry.body["dataset"] == prepared.digest for entry in project.ledger.entries("model")):
        return  # was learned from already; nothing will be read
    findings = list(check_chain(project.ledger)) or list(check_files(project.ledger, project.lake))
    if findings:
        raise Broken(f"nothing is trained: {findings[0].message} ({len(findings)} findings). Type: headwater verify")


def _deploy(project: Project, turn: Turn, progress: Progress | None) -> None:
    assert turn.model is not None
    assert turn.prepared is not None
    turn.decided = decide(project, turn.model, PreparedData(turn.prepared, project.lake))
    failpoint("run.decided")
    if turn.decided.outcome == "promote":
        version = str(turn.model.version)
        turn.deployment = project.deployments.promote(
            project.pipeline.name, model=turn.model.uri, digest=turn.model.digest, version=version
        )
    elif project.ledger.last("deployed", name=project.pipeline.name) is not None:
        turn.deployment = project.deployments.current(project.pipeline.name)


def _monitor(project: Project, turn: Turn, progress: Progress | None) -> None:
    from headwater.pipeline.look import look

    assert turn.prepared is not None
    turn.report = look(project, turn.prepared)
