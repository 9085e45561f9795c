"""Exclude: a contributor, source or batch is taken out, everywhere, in one command; and put back exactly."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headwater.core.errors import Refused, UsageError
from headwater.core.names import printable
from headwater.pipeline.build import Served, all_tables, load_served, source_specs
from headwater.store.exclusion import active
from headwater.trace.impact import affected, parse_subject, touched_rows
from headwater.trace.why import models_of

if TYPE_CHECKING:
    from headwater.deploy.deployment import Deployment
    from headwater.pipeline.project import Project

__all__ = ["exclude", "exclusions", "held_models", "release", "taken_out", "vouch"]


def exclude(project: Project, subject: str, *, since: str | None = None, why: str = "") -> dict[str, Any]:
    """Take a subject's rows out of every snapshot to come.

    The decision is in the ledger first (a contributor by pseudonym). If what serves has learned from these rows, the last
    model that has not is put to work again at once; without one, `serving` says so. Nothing is deleted. Raises
    `UsageError` if the subject wrote nothing that is in the lake, or is taken out already.
    """
    started = time.perf_counter()
    tables = all_tables(project.pipeline)
    parsed = parse_subject(subject, sources=list(source_specs(project.profile, project.pipeline)))
    touched = touched_rows(project.lake, parsed, tables=tables)
    if touched.is_empty():
        raise UsageError(f"{parsed.kind} {printable(parsed.name, 80)!r} wrote no row that is in the lake: nothing was changed")
    name = project.keys.pseudonym(parsed.name) if parsed.kind == "contributor" else parsed.name
    moment = _moment(since)
    before = [e.entry for e in active(project.ledger) if (e.kind, e.name, e.batch, e.since) == (parsed.kind, name, parsed.batch, moment)]
    rows = int(touched["rows"].sum())
    reached = affected(project.ledger, project.lake, parsed, touched)
    models = {str(model["model"]) for model in reached}
    if before:  # said before, maybe by a process that died before a clean model served again: then that is done now
        entry, serving = before[0], _clean_again(project, models)
        if not serving["rolled_back"]:
            raise UsageError(f"{parsed.kind} {printable(parsed.name, 80)!r} is taken out already. To see what is: headwater review")
    else:
        body = {"kind": parsed.kind, "name": name, "batch": parsed.batch, "since": moment, "why": printable(why, 500)}
        entry = project.ledger.append("excluded", {**body, "rows": rows, "models": sorted(models)}).seq
        serving = _clean_again(project, models)
    return {
        "excluded": {"entry": entry, "kind": parsed.kind, "name": parsed.name, "batch": parsed.batch, "since": moment},
        "rows": rows,
        "affected_models": [f"{model['name']}@{model['version']}" for model in reached],
        "serving": serving,
        "seconds": round(time.perf_counter() - started, 3),
    }


def release(project: Project, entry: int, *, why: str = "") -> dict[str, Any]:
    """Put back what ledger entry `entry` took out. The next run's snapshot, dataset and model are what they would have been."""
    found = next((exclusion for exclusion in active(project.ledger) if exclusion.entry == entry), None)
    if found is None:
        known = ", ".join(str(exclusion.entry) for exclusion in active(project.ledger)) or "none"
        raise UsageError(f"ledger entry {entry} takes nothing out. Those that do: {known}")
    done = project.ledger.append("released", {"excluded": entry, "why": printable(why, 500)})
    return {"released": {"entry": done.seq, "excluded": entry, "kind": found.kind, "batch": found.batch}}


def exclusions(project: Project) -> list[dict[str, Any]]:
    """Everything that is taken out now, with who decided and why, newest first."""
    told = {entry.seq: entry for entry in project.ledger.entries("excluded")}
    rows = []
    for exclusion in reversed(active(project.ledger)):
        body = told[exclusion.entry].body
        what = exclusion.name if exclusion.batch is None else f"{exclusion.name}/{exclusion.batch}"
        times = {"since": exclusion.since, "time": told[exclusion.entry].time}
        rows.append({"entry": exclusion.entry, "kind": exclusion.kind, "name": what, "rows": body["rows"], "why": body["why"], **times})
    return rows


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


def held_models(project: Project) -> list[dict[str, Any]]:
    """Models that wait for a person: the newest decision about each is to hold it."""
    decisions = {entry.body["model"]: entry for entry in project.ledger.entries("decided")}
    names = {entry.body["model"]: f"{entry.body['name']}@{entry.body['version']}" for entry in models_of(project.ledger)}
    return [
        {"model": names.get(digest, digest), "why": entry.body["why"], "time": entry.time}
        for digest, entry in decisions.items()
        if entry.body["outcome"] == "hold"
    ]
