"""rollback: serve an earlier model again."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def rollback(
    version: Annotated[str | None, typer.Argument(help="A version; without one, the last good one before the current.")] = None,
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Serve an earlier model again, as a new signed decision. Running servers follow within two seconds."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    deployment = Project.open(project, profile=profile).rollback(version)
    if not show.printed(deployment.to_json(), output):
        show.facts({"serving": deployment.uri, **deployment.facts})
