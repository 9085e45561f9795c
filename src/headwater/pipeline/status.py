"""Status: what there is, what serves, and what is wrong with the set-up. Answers even where a project cannot be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headwater.core.errors import HeadwaterError
from headwater.pipeline.build import all_tables, sources
from headwater.pipeline.look import last_times
from headwater.pipeline.project import Project
from headwater.pipeline.review import exclusions, held_models, refused

__all__ = ["status"]


def status(folder: str | Path = ".", profile: str = "default") -> dict[str, Any]:
    """Everything a person wants to see first. `problems` are sentences, each with what to do; none when all is well."""
    try:
        project = Project.open(folder, profile=profile)
    except HeadwaterError as error:
        return {"project": str(folder), "problems": [str(error)]}
    problems: list[str] = []
    answer: dict[str, Any] = {
        "project": {"pipeline": project.pipeline.name, "profile": project.profile.name, "ledger_entries": project.ledger.head()[0]},
        "tables": _tables(project),
        "models": _models(project),
        "serving": _serving(project, problems),
        "review": _review(project, problems),
        "last": last_times(project),
    }
    _sources(project, problems)
    seen = project.ledger.witness.read()
    if seen and project.ledger.head()[0] < seen[0]:
        problems.append(f"the ledger ends at entry {project.ledger.head()[0]}, its witness saw {seen[0]}. Type: headwater verify")
    return {**answer, "problems": problems}


def _tables(project: Project) -> list[dict[str, Any]]:
    rows = []
    for table in all_tables(project.pipeline):
        done = [entry.body for entry in project.ledger.entries("done", equal={"table": table.name})]
        count, rejected = sum(body["rows"] for body in done), sum(body["rejected"] for body in done)
        rows.append({"table": table.name, "rows": count, "rejected": rejected, "batches": len(done)})
    return rows


def _models(project: Project) -> list[dict[str, Any]]:
    metric = project.pipeline.train.metric if project.pipeline.train else ""
    rows = []
    for entry in project.ledger.entries("model", equal={"name": project.pipeline.name}):
        test = entry.body["metrics"].get("test", {}).get(metric, {})
        rows.append(
            {"model": f"{entry.body['name']}@{entry.body['version']}", metric or "metric": test.get("value"), "trained": entry.time}
        )
    return rows[-10:]


def _serving(project: Project, problems: list[str]) -> dict[str, Any]:
    if project.ledger.last("deployed", name=project.pipeline.name) is None:
        return {"deployment": "none yet"}
    try:
        current = project.deployments.current(project.pipeline.name)
    except HeadwaterError as error:
        problems.append(str(error))
        return {"deployment": "refused"}
    return {"model": current.model, "epoch": current.epoch, "reason": current.reason}


def _review(project: Project, problems: list[str]) -> dict[str, Any]:
    """What a person may want to look at. A round that waits for him stops all training: that is a problem."""
    waits = refused(project)
    if waits:
        problems.append(
            f"the gates refused what is new (ledger entry {waits[0]['entry']}): nothing is trained until a person decides. "
            "Type: headwater review"
        )
    return {"taken_out": len(exclusions(project)), "held_models": len(held_models(project)), "refused_round": bool(waits)}


def _sources(project: Project, problems: list[str]) -> None:
    try:
        for source, _ in sources(project.profile, project.pipeline):
            del source
    except HeadwaterError as error:
        problems.append(str(error))
