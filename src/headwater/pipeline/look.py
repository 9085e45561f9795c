"""Look: the probes asked about what serves, the report kept, people told, and whether it is time to train again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headwater.collect.request import Request
from headwater.core.files import write_whole
from headwater.monitor.alerts import Alert, Alerts, Event, alert, drifted, refused
from headwater.monitor.prometheus import text
from headwater.monitor.report import Report, watch
from headwater.pipeline.build import read_tables
from headwater.retrain.policy import Policy, State, retrain, staleness

if TYPE_CHECKING:
    import polars as pl

    from headwater.pipeline.project import Project
    from headwater.process.prepared import Prepared

__all__ = ["last_report", "last_times", "look", "request_now", "tell"]

RECENT_SHARE = 0.8  # without an older model, the last fifth in time is held against what came before


def look(project: Project, prepared: Prepared) -> Report:
    """Ask every probe, keep the report (JSON, a page, Prometheus text) and tell people of what is wrong."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    deployed = project.ledger.last("deployed", name=project.pipeline.name)
    parents = [prepared.digest, *([deployed.body["digest"]] if deployed else [])]
    report = watch(
        project.pipeline.monitor, _evidence(project, prepared), uri=f"report:{project.pipeline.name}@{at}", at=at, parents=parents
    )
    folder = project.lake.root / "reports"
    write_whole(folder / "latest.json", json.dumps(report.to_json(), indent=1).encode())
    write_whole(folder / "latest.html", report.html().encode())
    write_whole(folder / "latest.prom", text(report).encode())
    project.ledger.append("report", {"digest": report.digest, "at": at, "worst": report.worst, "facts": dict(report.facts)})
    tell(project, drifted(report), "drift", report)
    return report


def last_report(project: Project) -> Report | None:
    """The newest report, if it is the one that the ledger remembers."""
    entry, path = project.ledger.last("report"), project.lake.root / "reports" / "latest.json"
    if entry is None or not path.is_file():
        return None
    report = Report.from_json(json.loads(path.read_text(encoding="utf-8")))
    return report if report.digest == entry.body["digest"] else None


def request_now(project: Project) -> Request | None:
    """The request for the next training, if the policy says that it is time; people are told of what is stale."""
    policy = project.pipeline.retrain or Policy()
    state = _state(project)
    stale = staleness(policy, state)
    tell(project, [stale] if stale else [], "stale")
    return retrain(last_report(project), policy, state)


def tell(project: Project, alerts: list[Alert], about: Event, report: Report | None = None) -> None:
    """Tell people what was not told yet of one kind of event; none of it now means that it ended.

    A channel that fails is tried again next time and stops nothing.
    """
    config = Alerts.from_config(project.profile.alerts)
    path = project.profile.ledger.parent / "alerts.json"
    told: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    _, state = alert(config, alerts, told, at=datetime.now(UTC).isoformat(timespec="seconds"), about=(about,), report=report)
    if state != told:
        write_whole(path, json.dumps(state).encode())


def tell_refused(project: Project, why: str | None) -> None:
    """Tell people that a turn was refused, or (None) that it is no longer."""
    tell(project, [refused(project.pipeline.name, why)] if why else [], "refused")


def last_times(project: Project) -> dict[str, Any]:
    """When each kind of thing was last done."""
    kinds = {
        "collected": "done",
        "processed": "dataset",
        "trained": "model",
        "decided": "decided",
        "deployed": "deployed",
        "reported": "report",
    }
    found = {name: project.ledger.last(kind) for name, kind in kinds.items()}
    return {name: entry.time if entry else None for name, entry in found.items()}


def _state(project: Project) -> State:
    ledger = project.ledger
    tables = tuple(table.name for table in read_tables(project.pipeline))
    tried, ended = ledger.last("request"), _ended(project)
    since = max((entry.seq for entry in (tried, ledger.last("decided")) if entry), default=0)
    new = sum(entry.body["rows"] for entry in ledger.entries("done", after=since) if entry.body["table"] in tables)
    last = ledger.last("decided")
    return State(
        now=datetime.now(UTC),
        tables=tables,
        new_rows=new,
        trained_at=_when(ended),
        tried_at=_when(tried),
        held_up=last.body["why"] if last and last.body["outcome"] == "hold" else "",
        sources=tuple(project.profile.sources),
    )


def _ended(project: Project) -> str | None:
    decisions = project.ledger.entries("decided", newest_first=True)
    return next((entry.time for entry in decisions if entry.body["outcome"] != "hold"), None)


def _when(entry: Any) -> datetime | None:
    text = entry if isinstance(entry, str) else entry.time if entry else None
    return datetime.fromisoformat(text) if text else None


def _evidence(project: Project, prepared: Prepared) -> dict[str, pl.LazyFrame]:
    """`reference/TABLE` is what came up to the model's data, `current/TABLE` what came since."""
    evidence: dict[str, pl.LazyFrame] = {}
    for name in ("predictions", "feedback"):
        stored = project.lake.table(f"tables/{name}")
        if stored.exists():
            evidence[name] = stored.scan().drop("_source", "_batch", "_row")
    until = _model_until(project)
    for name in prepared.tables:
        frame = prepared.scan(project.lake, name)
        times = [column for column, kind in frame.collect_schema().items() if kind.is_temporal()]
        if times:
            evidence[f"reference/{name}"], evidence[f"current/{name}"] = _parted(frame, times[0], until)
    return evidence


def _parted(frame: pl.LazyFrame, time: str, until: datetime | None) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    import polars as pl

    newest = frame.select(pl.col(time).max()).collect().item()
    if until is None or newest is None or newest <= until:
        until = frame.select(pl.col(time).quantile(RECENT_SHARE, interpolation="lower")).collect().item() if newest else None
    if until is None:
        return frame, frame.clear()
    return frame.filter(pl.col(time) <= until), frame.filter(pl.col(time) > until)


def _model_until(project: Project) -> datetime | None:
    """The newest event that the serving model's predecessor in data had seen: what is later is new to it."""
    deployed = project.ledger.last("deployed", name=project.pipeline.name)
    if deployed is None:
        return None
    model, _ = project.registry.load(deployed.body["name"], int(deployed.body["version"]))
    until = model.facts.get("until_us")
    return datetime.fromtimestamp(int(until) / 1e6, UTC) if until else None
