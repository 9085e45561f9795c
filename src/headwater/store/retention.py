"""Retention: what may be deleted is what neither a model nor a recent snapshot needs. Nothing else is, ever."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headwater.core.errors import Broken
from headwater.core.failpoint import failpoint
from headwater.ledger.entries import Ledger
from headwater.store.lake import Lake, LakeTable
from headwater.store.snapshot import Snapshot, snapshot_of

__all__ = ["kept_snapshots", "known_files", "open_compactions", "record_compaction", "sweep"]


def kept_snapshots(ledger: Ledger, *, newest: int) -> list[Snapshot]:
    """The snapshots that must stay readable: those that a model was made from, and the `newest` latest."""
    taken = [snapshot_of(entry) for entry in ledger.entries("snapshot")]
    datasets = {entry.body["dataset"] for entry in ledger.entries("model")}
    pinned = {entry.body["snapshot"] for entry in ledger.entries("dataset") if entry.body["digest"] in datasets}
    return [snapshot for i, snapshot in enumerate(taken) if snapshot.digest in pinned or i >= len(taken) - newest]


def sweep(lake: Lake, ledger: Ledger, keep: Mapping[str, Iterable[int]], *, dry_run: bool) -> list[dict[str, Any]]:
    """Compact each table, then delete the data files that none of its versions in `keep` needs. Says what, by table."""
    there = {path: lake.table(path) for path in sorted(keep) if lake.table(path).exists()}
    return [_swept(path, table, ledger, set(keep[path]), dry_run) for path, table in there.items()]


def _swept(path: str, table: LakeTable, ledger: Ledger, versions: set[int], dry_run: bool) -> dict[str, Any]:
    files = set(table.files())
    before = len(files)
    if not dry_run and before > 1:
        changed = _changed(path, table, ledger, files)
        if changed:
            raise Broken(f"{table.uri}: {changed} is not as it was written: nothing is compacted. Type: headwater verify")
        ledger.append("compacting", {"path": path})
        table.compact()
        failpoint("gc.compacted")
        record_compaction(path, table, ledger)
    current = table.version()
    deleted = table.vacuum({version for version in versions if 0 <= version <= current}, dry_run=dry_run)
    return {"table": table.uri, "files_before": before, "files": len(table.files()), "deleted": len(deleted)}


def record_compaction(path: str, table: LakeTable, ledger: Ledger) -> None:
    """Say which files a compaction made: those in use that nobody is known to have written."""
    uses = table.files()
    known = known_files(ledger, path)
    ledger.append("compacted", {"files": {path: table.hashed(file for file in uses if file not in known)}, "uses": uses})


def open_compactions(ledger: Ledger) -> list[str]:
    """Tables whose compaction was begun and not recorded: the process was killed in between."""
    state: dict[str, str] = {}
    for entry in ledger.entries():
        if entry.kind == "compacting":
            state[entry.body["path"]] = "open"
        elif entry.kind == "compacted":
            state |= dict.fromkeys(entry.body["files"], "done")
    return [path for path, what in state.items() if what == "open"]


def known_files(ledger: Ledger, path: str) -> dict[str, str]:
    """Every data file of a table that we wrote, with its SHA-256."""
    known: dict[str, str] = {}
    for entry in ledger.entries():
        if entry.kind in ("done", "prepared", "compacted"):
            known |= (entry.body.get("files") or {}).get(path, {})
    return known


def _changed(path: str, table: LakeTable, ledger: Ledger, files: set[str]) -> str | None:
    """A file that is not as the ledger has it: compaction must not make tampered bytes look like ours."""
    known = known_files(ledger, path)
    return next((file for file, digest in table.hashed(sorted(files)).items() if known.get(file) != digest), None)
