"""run: carry everything new from the sources to the deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def run(
    stage: Annotated[str | None, typer.Argument(help="Stop after this stage: collect, process, train, deploy.")] = None,
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Collect what is new, process it, train, compare, deploy. Kill it anywhere and run it again."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    turn = Project.open(project, profile=profile).run(until=stage, progress=show.progress_line)
    if show.printed(turn.to_json(), output):
        return
    show.rows(turn.collected_rows(), "Collected")
    for note in turn.notes:
        show.console().print(f"note: {show.printable(note, 400)}")
    show.facts(turn.summary())
