"""serve: put the promoted model to work over REST."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.options import Folder, ProfileName


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="the profile's")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 for any free one.", show_default="the profile's")] = None,
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
) -> None:
    """Serve the model that the signed deployment names, and follow it when it changes. Stops cleanly on SIGTERM."""
    from headwater.pipeline.serving import serve as work

    work(project, profile, host=host, port=port)
