"""gc: compact small files, and delete what no pinned snapshot needs."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def gc(
    keep: Annotated[int, typer.Option(help="How many of the newest snapshots stay readable; those of models always do.", min=1)] = 10,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be deleted.")] = False,
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Compact tables (digests stay as they are) and delete files that no kept snapshot needs."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    answer = Project.open(project, profile=profile).gc(keep=keep, dry_run=dry_run)
    if not show.printed(answer, output):
        show.rows(answer["tables"], "Would be deleted" if dry_run else "Deleted")
