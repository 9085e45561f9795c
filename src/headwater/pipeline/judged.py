"""Judged: what is new is put before every gate; what they ask for is remembered, signed, and done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from headwater.core.errors import Refused
from headwater.core.failpoint import failpoint
from headwater.core.gate import Action, Evidence, Finding, Gate, Verdict, judge
from headwater.core.names import printable
from headwater.gates.registry import defaults
from headwater.pipeline.build import load_served, read_tables, source_specs
from headwater.pipeline.exclude import take_out
from headwater.pipeline.newcomers import NAME, fresh_of, is_new
from headwater.retrain.fresh import Fresh, group_column
from headwater.store.exclusion import name_rows
from headwater.store.snapshot import Snapshot, snapshot_of
from headwater.trace.impact import Subject

if TYPE_CHECKING:
    from headwater.ledger.entries import Entry
    from headwater.pipeline.project import Project
    from headwater.process.prepared import Prepared

__all__ = ["Judged", "finish_judged", "gates_of", "judge_new", "last_judged"]

_WHAT = ("kind", "name", "batch", "source")
_TAKES = (Action.DOWN_WEIGHT, Action.QUARANTINE, Action.ROLL_BACK)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One round: the ledger entry with its verdicts, and what was taken out because of them."""

    entry: int
    findings: tuple[Mapping[str, Any], ...]
    taken_out: tuple[Mapping[str, Any], ...]

    def summary(self) -> str:
        """One line for a person."""
        found = sum(finding["severity"] != "note" for finding in self.findings)
        notes = f"{len(self.findings) - found} notes" if len(self.findings) > found else "nothing suspicious"
        return f"{found} findings, {len(self.taken_out):,} exclusions (headwater review)" if found else notes

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; contributors by pseudonym, as the ledger has them."""
        return {"entry": self.entry, "findings": list(self.findings), "taken_out": list(self.taken_out)}


def gates_of(project: Project) -> tuple[Gate, ...]:
    """The gates that the pipeline names, or those that have something to say about its tables and trainer."""
    pipeline = project.pipeline
    if pipeline.gates is not None:
        return tuple(pipeline.gates)
    return defaults(read_tables(pipeline), pipeline.train) if pipeline.train is not None else ()


def judge_new(project: Project, snapshot: Snapshot, prepared: Prepared) -> Judged | None:
    """Ask every gate about what came since the last accepted data, and do what they ask for; None if nothing came.

    The verdicts are in the ledger before anything is done, so a kill changes nothing. Raises `Refused` if a gate blocks:
    then nothing of it is accepted, and the same data are refused again until a person decides.
    """
    gates = gates_of(project)
    accepted = last_judged(project)
    base = _snapshot(project, accepted)
    if not gates or not is_new(snapshot, base, [table.name for table in read_tables(project.pipeline)]):
        return None
    before = project.ledger.last("judged")
    if before is not None and not before.body["passed"] and before.body["snapshot"] == snapshot.digest:
        raise _refusal(before)
    fresh = _fresh(project, snapshot, base, gates)
    states = accepted.body["states"] if accepted else {}
    inputs = {"fresh": fresh, "seed": 0, "pseudonym": project.keys.pseudonym, "lake": project.lake, "prepared": prepared}
    verdicts = [judge(gate, prepared, Evidence(inputs=inputs, state=states.get(gate.name, {}))) for gate in gates]
    entry = project.ledger.append(
        "judged",
        {
            "snapshot": snapshot.digest,
            "dataset": prepared.digest,
            "passed": all(verdict.passed for verdict in verdicts),
            "by": "gates",
            "why": "",
            "verdicts": [_told(project, verdict, fresh) for verdict in verdicts],
            "states": {verdict.gate: dict(verdict.state) for verdict in verdicts},
        },
    )
    failpoint("judge.judged")
    if not entry.body["passed"]:
        raise _refusal(entry)
    return _carried_out(project, entry)


def finish_judged(project: Project) -> None:
    """Do what the last verdicts asked for, if whoever wrote them died before it was done, or a person has agreed since."""
    entry = last_judged(project)
    if entry is not None and _undone(project, entry):
        _carried_out(project, entry)


def last_judged(project: Project) -> Entry | None:
    """The newest round that passed: all that was new in its snapshot has been accepted or taken out."""
    return project.ledger.last("judged", passed=True)


def _snapshot(project: Project, judged: Entry | None) -> Snapshot | None:
    taken = project.ledger.last("snapshot", digest=judged.body["snapshot"]) if judged else None
    return snapshot_of(taken) if taken else None


def _fresh(project: Project, snapshot: Snapshot, base: Snapshot | None, gates: Sequence[Gate]) -> dict[str, Fresh]:
    """The tables that the gates name (`tables`, or `table`), or all of them if one names none."""
    named = [getattr(gate, "tables", None) or getattr(gate, "table", None) for gate in gates]
    asked = {name for names in named for name in ((names,) if isinstance(names, str) else names or ())}
    tables = [table for table in read_tables(project.pipeline) if not all(named) or table.name in asked]
    asserted = {name: spec.contributor_asserted_by for name, spec in source_specs(project.profile, project.pipeline).items()}
    champion: Any = None
    if project.ledger.last("deployed", name=project.pipeline.name) is not None:
        champion = load_served(project.registry, project.deployments.current(project.pipeline.name)).predictor
    return {t.name: fresh_of(t, snapshot, base, lake=project.lake, asserted=asserted, champion=champion) for t in tables}


def _told(project: Project, verdict: Verdict, fresh: Mapping[str, Fresh]) -> dict[str, Any]:
    """A verdict as the ledger keeps it: contributors by pseudonym, rows by the digest of a list, and what would be taken out."""
    findings = []
    for finding, told in zip(verdict.findings, verdict.to_json()["findings"], strict=True):
        takes = _takes(project, finding, fresh) if finding.action in _TAKES else []
        axis, _, group = finding.subject.partition(":")
        if axis == "contributor":
            person, claimed = _person(finding, fresh) or (group, None)
            name = project.keys.pseudonym(person) + (f"@{claimed}" if claimed else "")
            told = {**told, "subject": f"{axis}:{name}", **_unnamed(told, {group, person})}
        findings.append({**told, "takes": takes})
    return {**verdict.to_json(), "findings": findings}


def _unnamed(told: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Message and evidence without those that say a contributor's name, however it was made printable: it is none of the ledger's."""
    said = re.compile("|".join(rf"(?<!\w){re.escape(one)}(?!\w)" for name in names for one in (name, printable(name), printable(name, 80))))
    message = f"{told['code']}: see the evidence" if said.search(told["message"]) else told["message"]
    evidence = {name: value for name, value in told["evidence"].items() if not (isinstance(value, str) and said.search(value))}
    return {"message": message, "evidence": evidence}


def _person(finding: Finding, fresh: Mapping[str, Fresh]) -> tuple[str, str | None] | None:
    """Whom a contributor's group is, and the source that claims it where nobody vouches for it; None if nobody there is it."""
    group = finding.subject.partition(":")[2]
    for name, table in fresh.items():
        if finding.table not in ("", name) or table.contributor is None:
            continue
        for frame in (table.new, table.history):
            rows = frame.filter(pl.col(group_column("contributor")) == group).head(1)
            if rows.height:
                person = str(rows[table.contributor][0])
                return person, None if group == person else str(rows["_source"][0])
    return None


def _takes(project: Project, finding: Finding, fresh: Mapping[str, Fresh]) -> list[dict[str, Any]]:
    """What a finding takes out, as `Subject`s with a contributor's pseudonym. Whom a person released before loses only what is new."""
    axis, _, group = finding.subject.partition(":")
    if finding.rows:
        return [_rows(project, finding.table, finding.rows)]
    if axis == "source":
        return [{"kind": "source", "name": group}]
    if axis == "batch":
        source, _, number = group.rpartition("/")
        return [{"kind": "batch", "name": source, "batch": int(number)}]
    found = _person(finding, fresh) if axis == "contributor" else None
    taken = {"kind": "contributor", "name": project.keys.pseudonym(found[0]), "source": found[1]} if found else {}
    if taken and not _released(project, taken):
        return [taken]
    rows = []
    for name, table in fresh.items():
        if finding.table in ("", name) and axis in table.axes:
            frames = [table.new] if taken else [table.new, table.history]
            mine = pl.concat([frame.filter(pl.col(group_column(axis)) == group).select(NAME) for frame in frames])
            rows += [_rows(project, name, mine.rows())] if mine.height else []
    return rows


def _rows(project: Project, table: str, rows: Sequence[tuple[str, int, int]]) -> dict[str, Any]:
    return {"kind": "rows", "name": name_rows(rows, lake=project.lake), "table": table}


def _released(project: Project, taken: Mapping[str, Any]) -> bool:
    back = {entry.body["excluded"] for entry in project.ledger.entries("released")}
    same = project.ledger.entries("excluded", equal={"kind": "contributor", "name": taken["name"]})
    return any(entry.seq in back and entry.body.get("source") == taken["source"] for entry in same)


def _takings(entry: Entry) -> dict[str, dict[str, Any]]:
    """What the verdicts of a round take out, each once, by the finding that asked for it first."""
    findings = [finding for verdict in entry.body["verdicts"] for finding in verdict["findings"]]
    found: dict[str, dict[str, Any]] = {}
    for number, finding in enumerate(findings):
        for taken in finding["takes"]:
            if taken not in found.values():
                found[f"{entry.seq}.{number}.{len(found)}"] = taken
    return found


def _undone(project: Project, entry: Entry) -> dict[str, dict[str, Any]]:
    """Those of them that nobody has taken out since. What a person put back later was taken out, and stays where he put it."""
    since = entry.body.get("refused", entry.seq)  # while a round waited, a person may have done some of it
    done = [taken.body for taken in project.ledger.entries("excluded", after=since)]
    out = {tuple(body.get(part) for part in _WHAT) for body in done if body["since"] is None}
    return {name: taken for name, taken in _takings(entry).items() if tuple(taken.get(part) for part in _WHAT) not in out}


def _carried_out(project: Project, entry: Entry) -> Judged:
    findings = tuple(finding for verdict in entry.body["verdicts"] for finding in verdict["findings"])
    undone = _undone(project, entry)
    people = _people(project, {taken["name"] for taken in undone.values() if taken["kind"] == "contributor"})
    out = []
    for name, taken in undone.items():
        subject = Subject(**{**taken, "name": people.get(taken["name"], taken["name"])})
        answer = take_out(project, subject, why=findings[int(name.split(".")[1])]["message"], finding=name)
        out.append({**taken, "rows": answer["rows"], "entry": answer["excluded"]["entry"], "serving": answer["serving"]})
        failpoint("judge.taken")
    return Judged(entry=entry.seq, findings=findings, taken_out=tuple(out))


def _people(project: Project, pseudonyms: set[str]) -> dict[str, str]:
    """The contributors that pseudonyms stand for."""
    found: dict[str, str] = {}
    for table in read_tables(project.pipeline):
        stored = project.lake.table(f"tables/{table.name}")
        if pseudonyms - found.keys() and table.contributor is not None and stored.exists():
            people = stored.scan().select(pl.col(table.contributor).drop_nulls().unique()).collect()[table.contributor]
            found |= {name: person for person in people if (name := project.keys.pseudonym(person)) in pseudonyms}
    return found


def _refusal(entry: Entry) -> Refused:
    findings = [f for verdict in entry.body["verdicts"] for f in verdict["findings"] if f["severity"] == "block"]
    why = "; ".join(f"{f['code']}: {f['message']}" for f in findings[:3])
    return Refused(f"nothing is trained: {why} (ledger entry {entry.seq}). To look and decide: headwater review")
