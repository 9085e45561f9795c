"""status: what there is, what is new, and what is wrong with the set-up."""

from __future__ import annotations

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def status(project: Folder = ".", profile: ProfileName = "default", output: Output = Format.table) -> None:  # type: ignore[assignment]
    """Tables, models, the deployment, the last report, and every problem found. Exit 1 if something is wrong."""
    from headwater.cli import show
    from headwater.pipeline.status import status as look

    answer = look(project, profile)
    if not show.printed(answer, output):
        show.parts(answer)
    if answer["problems"]:
        raise typer.Exit(1)
