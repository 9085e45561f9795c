"""impact: what a source, batch or contributor has reached."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def impact(
    subject: Annotated[str, typer.Argument(help="contributor:ID, source:NAME or batch:SOURCE/NUMBER (a bare word is tried as each).")],
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Walk forward: rows and batches, snapshots, models trained on them, deployments, predictions."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    answer = Project.open(project, profile=profile).impact(subject)
    if not show.printed(answer, output):
        show.parts(answer)
