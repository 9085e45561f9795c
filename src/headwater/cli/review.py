"""review: what waits for a person, and what was taken out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def review(
    entry: Annotated[
        int | None, typer.Argument(help="Show the evidence and the rows of what this ledger entry took out.", show_default="all")
    ] = None,
    release: Annotated[int | None, typer.Option(help="Put back what this ledger entry took out.", show_default="only list")] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            help="Agree with what this ledger entry took out, or with the gates that refused this round.", show_default="only list"
        ),
    ] = None,
    accept: Annotated[int | None, typer.Option(help="Train on a round that gates refused all the same.", show_default="only list")] = None,
    why: Annotated[str, typer.Option(help="The reason, for the ledger.")] = "",
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """List what was taken out, refused or held; show one with its evidence; release it exactly, confirm it, or accept a refused round."""
    from headwater.cli import show
    from headwater.pipeline import review as reviewing
    from headwater.pipeline.project import Project

    opened = Project.open(project, profile=profile)
    answer: dict[str, Any] = {}
    if entry is not None:
        answer = reviewing.shown(opened, entry)
    if release is not None:
        answer |= opened.release(release, why=why)
    if confirm is not None:
        answer |= reviewing.confirm(opened, confirm, why=why)
    if accept is not None:
        answer |= reviewing.accept(opened, accept, why=why)
    if entry is None:
        answer |= {
            "excluded": reviewing.exclusions(opened),
            "refused": reviewing.refused(opened),
            "held": reviewing.held_models(opened),
        }
    if not show.printed(answer, output):
        show.parts(answer)
