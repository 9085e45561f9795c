"""Recover: what a killed process left half-done and nobody else finishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.core.errors import Broken
from headwater.store.retention import open_compactions, record_compaction
from headwater.trace.verify import check_rejects, check_tables

if TYPE_CHECKING:
    from headwater.pipeline.project import Project

__all__ = ["recover"]


def recover(project: Project) -> None:
    """Finish what can be vouched for. A compaction that was killed is recorded if every row is still what was collected."""
    for path in open_compactions(project.ledger):
        checks = [*check_tables(project.ledger, project.lake, lambda batches, rows: None), *check_rejects(project.ledger, project.lake)]
        if checks:
            raise Broken(
                f"a compaction of {path} was interrupted and its rows are not as collected: {checks[0].message}. Type: headwater verify"
            )
        record_compaction(path, project.lake.table(path), project.ledger)
