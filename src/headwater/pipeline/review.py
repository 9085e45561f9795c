"""Review: what the gates and people took out or held back, with the evidence and the rows; a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headwater.core.errors import UsageError
from headwater.core.names import printable
from headwater.pipeline.build import all_tables
from headwater.store.exclusion import Exclusion, active, excluded_rows, load, resolved
from headwater.trace.why import models_of

if TYPE_CHECKING:
    from headwater.ledger.entries import Entry
    from headwater.pipeline.project import Project

__all__ = ["MOST_ROWS", "accept", "confirm", "exclusions", "held_models", "refused", "shown"]

MOST_ROWS = 20


def exclusions(project: Project) -> list[dict[str, Any]]:
    """Everything that is taken out now, with who decided and why, newest first."""
    told = {entry.seq: entry for entry in project.ledger.entries("excluded")}
    confirmed = {entry.body["excluded"] for entry in project.ledger.entries("confirmed")}
    rows = []
    for exclusion in reversed(active(project.ledger)):
        body = told[exclusion.entry].body
        what = exclusion.name if exclusion.batch is None else f"{exclusion.name}/{exclusion.batch}"
        what = what if exclusion.source is None else f"{what} from {exclusion.source}"
        by = "gate" if body.get("judged_finding") else "person"
        rows.append(
            {
                "entry": exclusion.entry,
                "kind": exclusion.kind,
                "name": what,
                "rows": body["rows"],
                "why": body["why"],
                "since": exclusion.since,
                "time": told[exclusion.entry].time,
                "by": f"{by}, confirmed" if exclusion.entry in confirmed else by,
            }
        )
    return rows


def refused(project: Project) -> list[dict[str, Any]]:
    """The findings of the round that waits for a person, if one does."""
    last = project.ledger.last("judged")
    if last is None or last.body["passed"]:
        return []
    return [
        {"entry": last.seq, **{name: f[name] for name in ("severity", "code", "subject", "message")}, "time": last.time}
        for verdict in last.body["verdicts"]
        for f in verdict["findings"]
    ]


def held_models(project: Project) -> list[dict[str, Any]]:
    """Models that wait for a person: the newest decision about each is to hold it."""
    decisions = {entry.body["model"]: entry for entry in project.ledger.entries("decided")}
    names = {entry.body["model"]: f"{entry.body['name']}@{entry.body['version']}" for entry in models_of(project.ledger)}
    return [
        {"model": names.get(digest, digest), "why": entry.body["why"], "time": entry.time}
        for digest, entry in decisions.items()
        if entry.body["outcome"] == "hold"
    ]


def shown(project: Project, entry: int) -> dict[str, Any]:
    """The evidence behind what ledger entry `entry` took out, and the first rows of it, with their names."""
    exclusion, told = _found(project, entry)
    finding = _finding(project, told.body.get("judged_finding"))
    rows: list[dict[str, Any]] = []
    for table in all_tables(project.pipeline):
        rules = resolved(table, [exclusion], lake=project.lake, keys=project.keys)
        stored = project.lake.table(f"tables/{table.name}")
        if rules is None or not stored.exists() or len(rows) >= MOST_ROWS:
            continue
        mine = stored.scan().filter(excluded_rows(load(project.lake, rules))).sort("_source", "_batch", "_row")
        names = ["_source", "_batch", "_row"]
        found = mine.head(MOST_ROWS - len(rows)).collect()
        values = [column for column in found.columns if column not in names]
        for row in found.iter_rows(named=True):
            said = ", ".join(f"{name}={printable(str(row[name]), 40)}" for name in values)
            rows.append({"table": table.name, "row": "/".join(str(row[name]) for name in names), "values": said})
    about = next(line for line in exclusions(project) if line["entry"] == entry)
    shown = {"code": finding["code"], "evidence": dict(finding["evidence"])} if finding else {}
    return {"excluded": about, **shown, "rows": rows}


def confirm(project: Project, entry: int, *, why: str = "") -> dict[str, Any]:
    """A person agrees: with what was taken out, which stays out and no longer waits for a look; or with the gates that refused
    a round, and the next run does what they ask for and trains on the rest."""
    if _waits(project, entry):
        return {"confirmed": {"entry": _passed(project, why, verdicts=True), "refused": entry}}
    _found(project, entry)
    done = project.ledger.append("confirmed", {"excluded": entry, "why": printable(why, 500)})
    return {"confirmed": {"entry": done.seq, "excluded": entry}}


def accept(project: Project, entry: int, *, why: str = "") -> dict[str, Any]:
    """A person lets a refused round pass: the next run trains on it, but for what was taken out otherwise."""
    if not _waits(project, entry):
        last = project.ledger.last("judged")
        waits = f"that is {last.seq}" if last is not None and not last.body["passed"] else "none does"
        raise UsageError(f"ledger entry {entry} is no round that waits for a person: {waits}")
    return {"accepted": {"entry": _passed(project, why, verdicts=False), "refused": entry}}


def _waits(project: Project, entry: int) -> bool:
    last = project.ledger.last("judged")
    return last is not None and last.seq == entry and not last.body["passed"]


def _passed(project: Project, why: str, *, verdicts: bool) -> int:
    """The refused round again, passed by a person, with or without what the gates asked for."""
    last = project.ledger.last("judged")
    assert last is not None
    kept = last.body["verdicts"] if verdicts else []
    said = {"passed": True, "by": "person", "why": printable(why, 500), "refused": last.seq}
    return project.ledger.append("judged", {**last.body, **said, "verdicts": kept}).seq


def _found(project: Project, entry: int) -> tuple[Exclusion, Entry]:
    found = next((exclusion for exclusion in active(project.ledger) if exclusion.entry == entry), None)
    if found is None:
        known = ", ".join(str(exclusion.entry) for exclusion in active(project.ledger)) or "none"
        raise UsageError(f"ledger entry {entry} takes nothing out. Those that do: {known}")
    return found, next(project.ledger.entries("excluded", after=entry - 1))


def _finding(project: Project, name: str | None) -> Mapping[str, Any] | None:
    """The finding that ENTRY.NUMBER.PART names."""
    if name is None:
        return None
    seq, number, _ = (int(part) for part in name.split("."))
    entry = next(project.ledger.entries("judged", after=seq - 1))
    findings = [finding for verdict in entry.body["verdicts"] for finding in verdict["findings"]]
    found: Mapping[str, Any] = findings[number]
    return found
