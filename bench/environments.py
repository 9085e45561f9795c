"""Environments: Headwater as a user installs it, without what its developers need; the peers apart from it; and commands in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench.measure import ROOT, CouldNotRun

__all__ = ["headwater", "made", "peers", "program", "user"]

HERE = Path(__file__).parent


@cache
def user() -> Path:
    """The Python of an environment that `pip install .` would make, of this source tree."""
    return made(HERE / ".user", (ROOT / "pyproject.toml").read_text(), "-e", ROOT)


@cache
def peers() -> Path:
    """The Python of the peers' environment, by the pins in bench/peers.txt."""
    return made(HERE / ".peers", (HERE / "peers.txt").read_text(), "-r", HERE / "peers.txt")


def headwater(*arguments: str | Path) -> list[str | Path]:
    """The command line, as a user types it."""
    return [user().with_name("headwater"), *arguments]


def program(name: str, *arguments: object, python: Path | None = None) -> list[str | Path]:
    """One of the programs beside this file, in the user's environment if no other is named."""
    return [python or user(), HERE / "programs" / f"{name}.py", *map(str, arguments)]


def made(folder: Path, wanted: str, *what: str | Path) -> Path:
    """Make it if it is not there, or was made of something else."""
    ready, python = folder / "ready", folder / "bin" / "python"
    if not ready.exists() or ready.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "venv", folder],
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *what],
        ):
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
            if done.returncode:
                raise CouldNotRun(f"the environment {folder.name} could not be made: {done.stderr[-300:]}")
        ready.write_text(wanted)
    return python
