"""verify: read everything again and hold it against the signed ledger."""

from __future__ import annotations

import typer

from headwater.cli.options import Folder, Format, Output, ProfileName


def verify(project: Folder = ".", profile: ProfileName = "default", output: Output = Format.table) -> None:  # type: ignore[assignment]
    """Check ledger, lake, models and deployment; name what changed. Exit 0 clean, 1 not clean."""
    from headwater.cli import show
    from headwater.pipeline.project import Project

    verified = Project.open(project, profile=profile).verify()
    if not show.printed(verified.to_json(), output):
        show.facts(verified.counts())
        for finding in verified.findings:
            show.console().print(f"{finding.code}: {show.printable(finding.message, 400)}")
        show.console().print("clean" if verified.clean else f"NOT CLEAN: {len(verified.findings)} finding(s)")
    if not verified.clean:
        raise typer.Exit(1)
