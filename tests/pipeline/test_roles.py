"""A process acts in the roles whose keys it holds, and in no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.core.errors import UsageError
from headwater.pipeline.build import load_served
from headwater.pipeline.project import Project

Copy = Callable[[Path], Path]


def left_with(folder: Path, *roles: str) -> Project:
    for key in (folder / "keys").glob("*.key"):
        if key.stem not in (*roles, "secret"):
            key.unlink()
    return Project.open(folder)


def test_a_server_needs_only_its_own_key_to_load_and_to_log(run_shop: Path, copied: Copy) -> None:
    project = left_with(copied(run_shop), "serve")
    load_served(project.registry, project.deployments.current("shop"))
    project.ledger.append("flushed", {"stream": "predictions", "file": "x", "rows": 0, "digest": "sha256:0"})


@pytest.mark.parametrize("kind", ["model", "deployed", "intent", "decided"])
def test_a_server_can_sign_neither_models_nor_deployments_nor_data(run_shop: Path, copied: Copy, kind: str) -> None:
    project = left_with(copied(run_shop), "serve")
    with pytest.raises(UsageError, match="may not act in that role"):
        project.ledger.append(kind, {})
