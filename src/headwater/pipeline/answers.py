"""Answers about a project: the questions of `trace`, asked of its ledger, lake, registry and deployments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headwater.core.errors import HeadwaterError, UsageError
from headwater.pipeline.build import all_tables, predictor_of, source_specs, span
from headwater.pipeline.recover import recover
from headwater.store.retention import kept_snapshots, sweep
from headwater.trace.checks import check_deployments, check_models, check_prepared
from headwater.trace.impact import impact as trace_impact
from headwater.trace.impact import parse_subject
from headwater.trace.verify import Verified
from headwater.trace.verify import verify as trace_verify
from headwater.trace.why import find_model, why_model, why_prediction

if TYPE_CHECKING:
    from headwater.pipeline.project import Project

__all__ = ["collect_garbage", "impact", "verify", "why"]


def why(project: Project, subject: str) -> dict[str, Any]:
    """What a model or a prediction was made from."""
    tables = all_tables(project.pipeline)
    try:
        find_model(project.ledger, subject)
    except UsageError:
        if len(subject) < 32 or subject.startswith("sha256:"):
            raise  # too short for the id of a prediction: a model was meant
        return why_prediction(project.ledger, project.lake, subject, tables=tables, span=span, explain=lambda *a: _explain(project, *a))
    return why_model(project.ledger, project.lake, subject, tables=tables, span=span)


def impact(project: Project, subject: str) -> dict[str, Any]:
    """What a contributor, source or batch has reached."""
    known = list(source_specs(project.profile, project.pipeline))
    parsed = parse_subject(subject, sources=known)
    return trace_impact(project.ledger, project.lake, parsed, tables=all_tables(project.pipeline))


def verify(project: Project, progress: Callable[[int], None] | None = None) -> Verified:
    """Everything held against the signed ledger."""
    more = {
        "prepared": lambda: check_prepared(project.ledger, project.lake),
        "models": lambda: check_models(project.ledger, project.registry),
        "deployments": lambda: check_deployments(project.ledger, project.lake.root / "deployments"),
    }
    return trace_verify(project.ledger, project.lake, more=more, progress=progress)


def collect_garbage(project: Project, *, keep: int, dry_run: bool) -> dict[str, Any]:
    """Compact and delete, keeping what models and the newest snapshots need."""
    recover(project)
    kept = kept_snapshots(project.ledger, newest=keep)
    versions: dict[str, set[int]] = {f"tables/{name}": set() for name in project.lake.tables("tables")}
    versions |= {f"rejected/{name}": set() for name in project.lake.tables("rejected")}
    for snapshot in kept:
        for name, pinned in snapshot.tables.items():
            versions.setdefault(f"tables/{name}", set()).add(pinned.version)
    return {"kept_snapshots": len(kept), "tables": sweep(project.lake, project.ledger, versions, dry_run=dry_run)}


def _explain(project: Project, name: str, version: int, user: str, items: Sequence[str]) -> list[dict[str, Any]]:
    try:
        model, arrays = project.registry.load(name, version)
        made: Any = predictor_of(model, arrays)
    except HeadwaterError as error:
        return [{"item": "", "because": f"the model cannot be asked: {error}"}]
    if not hasattr(made, "explain"):  # what tells classes gives no reasons of its own
        return [{"item": item, "because": ""} for item in items]
    reasons = [(item, made.explain(item, user=user)) for item in items]
    return [{"item": item, "because": ", ".join(f"{own} ({part:.3g})" for own, part in why) or "popular of late"} for item, why in reasons]
