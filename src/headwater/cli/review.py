"""review: what waits for a person, and what was taken out."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def review(
    release: Annotated[int | None, typer.Option(help="Put back what this ledger entry took out.", show_default="only list")] = None,
    why: Annotated[str, typer.Option(help="The reason, for the ledger.")] = "",
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """List what was excluded and which models are held; --release ENTRY puts an exclusion back exactly."""
    from headwater.cli import show
    from headwater.pipeline.exclude import exclusions, held_models
    from headwater.pipeline.project import Project

    opened = Project.open(project, profile=profile)
    done = opened.release(release, why=why) if release is not None else {}
    answer = {**done, "excluded": exclusions(opened), "held": held_models(opened)}
    if not show.printed(answer, output):
        show.parts(answer)
