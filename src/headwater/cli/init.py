"""init: begin a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.options import Format, Output


def init(
    source: Annotated[
        str | None, typer.Argument(help="'shop' for the example, or a CSV, JSON lines or Parquet file to begin from.")
    ] = None,
    folder: Annotated[Path, typer.Option("-C", "--project", help="Where.")] = Path(),
    output: Output = Format.table,
) -> None:
    """Make a project: keys, headwater.toml and a first pipeline (from the shop, or inferred from your file)."""
    from headwater.cli import show
    from headwater.pipeline.init import init as work

    made = work(folder, source)
    if not show.printed(made, output):
        show.facts(made)
