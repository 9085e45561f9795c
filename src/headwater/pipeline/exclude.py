"""Exclude: a contributor, source or batch is taken out, everywhere, in one command; and put back exactly."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headwater.core.errors import Refused, UsageError
from headwater.core.names import did_you_mean, printable
from headwater.pipeline.build import Served, all_tables, load_served, source_specs
from headwater.store.exclusion import active
from headwater.trace.impact import Subject, affected, parse_subject, touched_rows

if TYPE_CHECKING:
    from headwater.deploy.deployment import Deployment
    from headwater.pipeline.project import Project

__all__ = ["exclude", "release", "take_out", "taken_out", "vouch"]


def exclude(project: Project, subject: str, *, since: str | None = None, source: str | None = None, why: str = "") -> dict[str, Any]:
    """Take a subject's rows out of every snapshot to come; of a contributor, maybe only those that one `source` brought.

    The decision is in the ledger first (a contributor by pseudonym). If what serves has learned from these rows, the last
    model that has not is put to work again at once; without one, `serving` says so. Nothing is deleted. Raises
    `UsageError` if the subject wrote nothing that is in the lake, or is taken out already.
    """
    known = list(source_specs(project.profile, project.pipeline))
    parsed = parse_subject(subject, sources=known)
    if source is not None:
        if parsed.kind != "contributor" or source not in known:
            raise UsageError(f"--source goes with a contributor and names a source. {did_you_mean(source, known)}")
        parsed = replace(parsed, source=source)
    done = take_out(project, parsed, since=_moment(since), why=why)
    if done["repeated"] and not done["serving"]["rolled_back"]:
        raise UsageError(f"{parsed.kind} {printable(parsed.name, 80)!r} is taken out already. To see what is: headwater review")
    return {name: value for name, value in done.items() if name != "repeated"}


def take_out(project: Project, subject: Subject, *, since: str | None = None, why: str = "", finding: str | None = None) -> dict[str, Any]:
    """Take out what `subject` names, by a person or because of a gate's `finding` (ENTRY.NUMBER); once, however often it is said."""
    started = time.perf_counter()
    touched = touched_rows(project.lake, subject, tables=all_tables(project.pipeline))
    if touched.is_empty():
        raise UsageError(f"{subject.kind} {printable(subject.name, 80)!r} wrote no row that is in the lake: nothing was changed")
    name = project.keys.pseudonym(subject.name) if subject.kind == "contributor" else subject.name
    what = (subject.kind, name, subject.batch, since, subject.source)
    before = [exclusion.entry for exclusion in active(project.ledger) if exclusion.what == what]
    rows = int(touched["rows"].sum())
    reached = affected(project.ledger, project.lake, subject, touched)
    models = {str(model["model"]) for model in reached}
    if before:  # said before, maybe by a process that died before a clean model served again: then that is done now
        entry = before[0]
    else:
        said = {
            "kind": subject.kind,
            "name": name,
            "batch": subject.batch,
            "since": since,
            "source": subject.source,
            "table": subject.table,
        }
        told = {"why": printable(why, 500), "rows": rows, "models": sorted(models), "judged_finding": finding}
        entry = project.ledger.append("excluded", {**said, **told}).seq
    serving = _clean_again(project, models)
    shown = {"entry": entry, "kind": subject.kind, "name": subject.name, "batch": subject.batch, "since": since, "source": subject.source}
    return {
        "excluded": shown,
        "rows": rows,
        "affected_models": [f"{model['name']}@{model['version']}" for model in reached],
        "serving": serving,
        "seconds": round(time.perf_counter() - started, 3),
        "repeated": bool(before),
    }


def release(project: Project, entry: int, *, why: str = "") -> dict[str, Any]:
    """Put back what ledger entry `entry` took out. The next run's snapshot, dataset and model are what they would have been."""
    found = next((exclusion for exclusion in active(project.ledger) if exclusion.entry == entry), None)
    if found is None:
        known = ", ".join(str(exclusion.entry) for exclusion in active(project.ledger)) or "none"
        raise UsageError(f"ledger entry {entry} takes nothing out. Those that do: {known}")
    done = project.ledger.append("released", {"excluded": entry, "why": printable(why, 500)})
    return {"released": {"entry": done.seq, "excluded": entry, "kind": found.kind, "batch": found.batch}}


def vouch(project: Project, candidate: Deployment) -> Served:
    """The model of a deployment, if it can be vouched for: verified whole, and not trained on anything that is taken out."""
    served = load_served(project.registry, candidate)
    entry = taken_out(project, candidate)
    if entry is not None:
        raise Refused(f"{candidate.model} learned from rows that ledger entry {entry} took out. Type: headwater run")
    return served


def taken_out(project: Project, deployment: Deployment) -> int | None:
    """The ledger entry that took out rows which a deployment's model learned from, if there is one."""
    for exclusion in active(project.ledger):
        told = next(project.ledger.entries("excluded", after=exclusion.entry - 1))
        if deployment.model_digest in told.body["models"]:
            return exclusion.entry
    return None


def _clean_again(project: Project, reached: set[str]) -> dict[str, Any]:
    """Make the last model that is not affected serve again, if the one that serves is."""
    if project.ledger.last("deployed", name=project.pipeline.name) is None:
        return {"model": None, "clean": True, "rolled_back": False}
    current = project.deployments.current(project.pipeline.name)
    if current.model_digest not in reached:
        return {"model": current.model, "clean": True, "rolled_back": False}
    try:
        back = project.deployments.rollback(project.pipeline.name)
    except UsageError as error:
        return {"model": current.model, "clean": False, "rolled_back": False, "why": f"{error} Type: headwater run"}
    return {"model": back.model, "clean": True, "rolled_back": True}


def _moment(since: str | None) -> str | None:
    if since is None:
        return None
    try:
        when = datetime.fromisoformat(since)
    except ValueError:
        raise UsageError(f"--since {printable(since)!r} is no time: expected 2024-01-31 or 2024-01-31T12:00:00Z") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
