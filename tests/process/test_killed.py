"""Killed anywhere and run again, the prepared tables are as if nothing had happened."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from killed_run import grow  # noqa: E402

POINTS = [
    (1, "process.commit.before:2"),
    (1, "process.commit.after:1"),
    (1, "ledger.prepared.after:2"),
    (3, "process.commit.before:3"),
    (3, "process.commit.after:1"),
    (3, "process.commit.after:2"),
    (3, "process.commit.after:3"),
    (3, "process.recorded:1"),
    (4, "process.settle.before:1"),
    (4, "process.settle.after:1"),
    (4, "ledger.prepared.before:2"),
]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Lakes after each number of runs, made without being killed."""
    lakes, root = {}, tmp_path_factory.mktemp("grown")
    for runs in range(1, 6):
        lakes[runs] = root / str(runs)
        if runs > 1:
            shutil.copytree(lakes[runs - 1], lakes[runs])
        grow(lakes[runs], runs)
    return lakes


@pytest.mark.parametrize(("runs", "point"), POINTS)
def test_killed_at_a_commit_point_and_run_again_equals_never_killed(runs: int, point: str, grown: dict[int, Path], tmp_path: Path) -> None:
    root = tmp_path / "lake"
    if runs > 1:
        shutil.copytree(grown[runs - 1], root)
    path = os.pathsep.join([str(HERE), *(p for p in sys.path if p)])
    killed = subprocess.run(
        [sys.executable, str(HERE / "killed_run.py"), str(root), str(runs)],
        env={**os.environ, "HEADWATER_FAILPOINT": point, "PYTHONPATH": path},
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr.decode()[-2000:]
    for total in (runs, runs + 1):
        (lake, prepared), (other, expected) = grow(root, total), grow(grown[total], total)
        assert prepared.digest == expected.digest
        for name, frame in other.frames(expected).items():
            assert lake.frames(prepared)[name].equals(frame), name
            assert prepared.tables[name].rows == frame.height
    contents = [entry.body["content"]["digest"] for entry in lake.ledger.entries("prepared") if entry.body["how"] == "whole"]
    assert contents[:1] == [entry.body["content"]["digest"] for entry in other.ledger.entries("prepared")][:1]
