"""exclude: take a contributor, source or batch out, everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def exclude(
    subject: Annotated[str, typer.Argument(help="contributor:ID, source:NAME or batch:SOURCE/NUMBER.")],
    since: Annotated[str | None, typer.Option(help="Only rows from this time on, as 2024-01-31T12:00:00Z.", show_default="all")] = None,
    source: Annotated[str | None, typer.Option(help="Of a contributor, only what this source brought.", show_default="all")] = None,
    why: Annotated[str, typer.Option(help="The reason, for the ledger.")] = "",
    retrain: Annotated[bool, typer.Option(help="Train again without them right away.")] = False,
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Find the affected models, serve the last clean one again, and train without these rows from the next run on."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    opened = Project.open(project, profile=profile)
    answer = opened.exclude(subject, since=since, source=source, why=why)
    if retrain:
        turn = opened.run(progress=show.progress_line)
        answer["retrained"] = turn.summary()
    if not show.printed(answer, output):
        show.parts(answer)
