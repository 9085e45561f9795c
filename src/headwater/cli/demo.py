"""demo: the whole story on real data, in about a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.options import Format, Output


def demo(
    name: Annotated[str, typer.Argument(help="Which: shop.")] = "shop",
    folder: Annotated[Path, typer.Option("-C", "--project", help="Where the project is made.")] = Path("headwater-demo"),
    offline: Annotated[bool, typer.Option(help="Fetch nothing: without what was fetched before, a simulated shop takes over.")] = False,
    output: Output = Format.table,
) -> None:
    """Tell the shop's story: collect, train, deploy, watch, answer."""
    from headwater.cli import show
    from headwater.core.errors import UsageError
    from headwater.pipeline.demo import shop

    if name != "shop":
        raise UsageError(f"there is no demo {name!r}: the one there is, is shop")
    console = show.console() if output is Format.table else None
    story = shop(folder, offline=offline, tell=console.print if console else lambda line: None)
    show.printed(story, output)
