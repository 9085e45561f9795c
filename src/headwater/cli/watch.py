"""watch: collect, monitor and retrain for ever."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headwater.cli.options import Folder, ProfileName


def watch(
    every: Annotated[float, typer.Option(help="Seconds between looks.", min=0.1)] = 10.0,
    turns: Annotated[int | None, typer.Option(help="Stop after so many looks.", show_default="never")] = None,
    project: Folder = ".",  # type: ignore[assignment]
    profile: ProfileName = "default",
) -> None:
    """Run the loop for ever: collect, watch, and retrain when the policy says so. May be killed at any time."""
    from headwater.cli import show
    from headwater.pipeline.watch import watch as work

    for line in work(project, profile, every_s=every, turns=turns):
        show.console().print(show.printable(line, 1_000))
        sys.stdout.flush()  # a log shows it when it happens
