"""why: what a model or a prediction was made from."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def why(
    subject: Annotated[str, typer.Argument(help="A model (shop, shop@3, a digest) or a prediction's id.")],
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Walk back: prediction, model, prepared tables, snapshot, batches, files and lines, contributors."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    answer = Project.open(project, profile=profile).why(subject)
    if not show.printed(answer, output):
        show.parts(answer)
