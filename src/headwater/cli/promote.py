"""promote: serve a version by a person's decision."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def promote(
    version: Annotated[str | None, typer.Argument(help="A version of the model; the newest without one.")] = None,
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Serve a model that was held for a person, or any other version. The decision is signed into the ledger."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    deployment = Project.open(project, profile=profile).promote(version)
    if not show.printed(deployment.to_json(), output):
        show.facts({"serving": deployment.uri, **deployment.facts})
