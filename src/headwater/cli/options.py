"""The options that every verb shares."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Folder", "Format", "Output", "ProfileName"]


class Format(StrEnum):
    """How an answer is printed."""

    table = "table"
    json = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="table for people, json for programs.")]
Folder = Annotated[Path, typer.Option("-C", "--project", help="The project's folder.", show_default="here")]
ProfileName = Annotated[str, typer.Option("-p", "--profile", help="A profile of headwater.toml.", envvar="HEADWATER_PROFILE")]
