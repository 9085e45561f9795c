"""A shop that was run twice, to ask the command line about."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.killing import arrive, small_shop

from headwater.pipeline.project import Project


@pytest.fixture(scope="session")
def never_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed: copy it."""
    return small_shop(tmp_path_factory.mktemp("cli") / "shop")


@pytest.fixture(scope="session")
def ran_twice(tmp_path_factory: pytest.TempPathFactory, never_run: Path) -> Path:
    """Two models, of which the second serves. Not to be changed: copy it."""
    folder = Path(shutil.copytree(never_run, tmp_path_factory.mktemp("ran") / "shop"))
    Project.open(folder).run()
    arrive(folder, 1)
    Project.open(folder).run()
    return folder


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    return lambda origin: Path(shutil.copytree(origin, tmp_path / "shop"))
