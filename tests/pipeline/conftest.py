"""A small simulated shop, run once and copied for each test that wants to do something to it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from headwater.pipeline.init import init, template
from headwater.pipeline.project import Project

EVENTS = 6_000


def module_of(path: Path) -> ModuleType:
    name = f"tests_example_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def make_shop(folder: Path, *, events: int = EVENTS) -> Path:
    """The shop's template with a short search, and simulated data with broken records among them."""
    init(folder, "shop")
    code = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text(code.replace("trials=20", "trials=2"))
    module_of(template("shop") / "simulate.py").simulate(folder, events=events, seed=1)
    module_of(template("shop") / "broken.py").plant(folder / "data")
    return folder


@pytest.fixture(scope="session")
def fresh_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that was never run."""
    return make_shop(tmp_path_factory.mktemp("fresh") / "shop")


@pytest.fixture(scope="session")
def run_shop(tmp_path_factory: pytest.TempPathFactory, fresh_shop: Path) -> Path:
    """The same shop after one run. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("run") / "shop"
    shutil.copytree(fresh_shop, folder)
    Project.open(folder).run()
    return folder


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy that a test may do anything to."""

    def copy(origin: Path) -> Path:
        return Path(shutil.copytree(origin, tmp_path / "shop"))

    return copy
