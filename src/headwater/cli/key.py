"""key: make an API key for the server."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[list[str], typer.Option(help="predict, feedback or metrics; more than once for several.")] = ["predict"],  # noqa: B006
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
    output: Output = Format.table,
) -> None:
    """Make an API key. It is shown once and kept only as a hash."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    secret = Project.open(project, profile=profile).api_key(name, scope)
    if not show.printed({"name": name, "scopes": scope, "key": secret.reveal()}, output):
        show.facts({"key": secret.reveal(), "use": "send it as the header  Authorization: Bearer KEY", "note": "it is not shown again"})
