"""Killed at any commit point and run again, everything is as if it had never been killed; nothing is there twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from tests.killing import Outcome, arrive, command, compare, headwater, kill, outcome, small_shop

import headwater as package
from headwater.core.files import locked
from headwater.ledger.entries import SIGNERS
from headwater.pipeline.project import Project
from headwater.pipeline.review import exclusions

SOURCE = Path(str(package.__file__)).parent
RUN = (
    *(f"ledger.{kind}.{when}" for kind in ("intent", "done", "snapshot", "prepared", "dataset", "judged") for when in ("before", "after")),
    *(f"ledger.{kind}.{when}" for kind in ("model", "decided", "deployed", "report") for when in ("before", "after")),
    *("collect.rows.before", "collect.rows.after", "collect.rejects.after"),
    *("process.commit.before", "process.commit.after", "process.recorded"),
    *("run.snapshot", "run.dataset", "run.decided", "judge.judged"),
    *("train.search.trial", "train.search.after", "train.save.before", "train.registry.write", "train.save.after", "train.recorded"),
    *("deploy.recorded", "deploy.pointed"),
)
"""Where any run may die, the first and those that go on from it. `TWICE`: where the two differ."""
ELSEWHERE = ("process.settle.before", "process.settle.after")  # only after many runs: tests/process/test_killed.py
BEHIND = ("ledger.deployed.after", "deploy.recorded")  # where the ledger knows more than the pointer says; the next run mends it
TAKEN = ("judge.taken", "ledger.excluded.before", "ledger.excluded.after")  # where a gate has something to take out: not in a first run
RECOVERY = ("ledger.abandoned.before", "ledger.abandoned.after")
GC = ("ledger.compacting.before", "ledger.compacting.after", "gc.compacted", "ledger.compacted.before", "ledger.compacted.after")
WATCH = ("ledger.request.before", "ledger.request.after")
REVIEW = (
    *("ledger.excluded.before", "ledger.excluded.after", "ledger.released.before", "ledger.released.after"),
    *("ledger.confirmed.before", "ledger.confirmed.after"),
)
SERVE = ("ledger.flushed.before", "ledger.flushed.after")
TWICE = (
    *(point for point in RUN if point.split(".")[1] in ("intent", "done", "prepared", "model", "decided", "deployed", "rows", "rejects")),
    *(point for point in RUN if point.startswith(("process.", "deploy.", "train.save", "train.registry", "run.decided", "judge."))),
)
SECOND = ("ledger.intent.after:2", "collect.rows.after:2", "ledger.prepared.after:3", "process.commit.after:4")

Copy = Callable[[str], Path]


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A shop that was never run, after one run, with more data, after a second run; none was ever killed."""
    home = tmp_path_factory.mktemp("grown")
    shops = {"fresh": small_shop(home / "fresh")}
    for before, after in (("fresh", "first"), ("first", "more"), ("more", "second")):
        shops[after] = Path(shutil.copytree(shops[before], home / after))
        if after == "more":
            arrive(shops[after], 1)
        else:
            Project.open(shops[after]).run()
    return shops


@pytest.fixture(scope="session")
def never_killed(grown: dict[str, Path]) -> dict[str, Outcome]:
    return {name: outcome(grown[name]) for name in ("first", "second")}


@pytest.fixture
def copied(grown: dict[str, Path], tmp_path: Path) -> Copy:
    return lambda name: Path(shutil.copytree(grown[name], tmp_path / "shop"))


def killed(*words: str | Path, point: str) -> None:
    done = headwater(*words, HEADWATER_FAILPOINT=point)
    assert done.returncode == -9, (point, done.stderr[-2000:])


def looks_honest(folder: Path, point: str) -> None:
    """Dying is no tampering."""
    found = [finding.code.partition(".")[0] for finding in Project.open(folder).verify().findings]
    assert found == (["deployment"] if point in BEHIND else [])


def test_every_commit_point_of_the_source_is_tried_here() -> None:
    code = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    named = set(re.findall(r'failpoint\("([a-z.]+)"\)', code))
    assert len(re.findall(r"(?<!def )failpoint\(", code)) == len(named) + 2  # and the two of the ledger, for each kind
    appended = set(re.findall(r'ledger\.append\(\s*"([a-z]+)"', code)) & set(SIGNERS)
    entries = {f"ledger.{kind}.{when}" for kind in appended for when in ("before", "after")}
    assert {*RUN, *TAKEN, *ELSEWHERE, *RECOVERY, *GC, *WATCH, *REVIEW, *SERVE} == named | entries
    assert appended == set(SIGNERS)  # no kind of entry is declared that nobody writes


@pytest.mark.parametrize("point", [*RUN, *SECOND])
def test_a_first_run_that_was_killed_ends_like_one_that_was_not(
    grown: dict[str, Path], never_killed: dict[str, Outcome], copied: Copy, point: str
) -> None:
    folder = copied("fresh")
    killed("run", "-C", folder, point=point)
    looks_honest(folder, point)
    Project.open(folder).run()
    compare(outcome(folder), never_killed["first"])


@pytest.mark.parametrize("point", [*TWICE, *TAKEN])
def test_a_later_run_that_was_killed_ends_like_one_that_was_not(never_killed: dict[str, Outcome], copied: Copy, point: str) -> None:
    folder = copied("more")
    killed("run", "-C", folder, point=point)
    looks_honest(folder, point)
    Project.open(folder).run()
    compare(outcome(folder), never_killed["second"])


@pytest.mark.parametrize("point", RECOVERY)
def test_a_recovery_that_was_killed_is_recovered_from(never_killed: dict[str, Outcome], copied: Copy, point: str) -> None:
    folder = copied("fresh")
    killed("run", "-C", folder, point="collect.rows.before")
    killed("run", "-C", folder, point=point)
    Project.open(folder).run()
    compare(outcome(folder), never_killed["first"])


@pytest.mark.parametrize("point", GC)
def test_a_compaction_that_was_killed_changes_no_row_and_is_taken_up(never_killed: dict[str, Outcome], copied: Copy, point: str) -> None:
    folder = copied("second")
    killed("gc", "-C", folder, point=point)
    Project.open(folder).gc()
    compare(outcome(folder), never_killed["second"])


@pytest.mark.parametrize("point", WATCH)
def test_a_watch_that_was_killed_is_started_again(never_killed: dict[str, Outcome], copied: Copy, point: str) -> None:
    folder = copied("more")
    code = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text(code.replace('every="1d", min_new_rows=1_000', 'every="1s", min_new_rows=1'))
    killed("watch", "--turns", "1", "-C", folder, point=point)
    done = headwater("watch", "--turns", "1", "-C", folder)
    assert done.returncode == 0, done.stderr
    Project.open(folder).run()
    compare(outcome(folder), never_killed["second"])


@pytest.mark.parametrize("point", REVIEW)
def test_an_exclusion_or_a_release_that_was_killed_is_said_again_and_ends_the_same(copied: Copy, tmp_path: Path, point: str) -> None:
    folder = copied("second")
    twin = Path(shutil.copytree(folder, tmp_path / "twin"))
    for place in (folder, twin):
        if point in REVIEW[2:]:
            Project.open(place).exclude("contributor:u1")
    words = ["exclude", "contributor:u1"]
    if point in REVIEW[2:]:
        words = ["review", "--release" if "released" in point else "--confirm", str(exclusions(Project.open(folder))[0]["entry"])]
    killed(*words, "-C", folder, point=point)
    for place in (folder, twin):
        assert headwater(*words, "-C", place).returncode in (0, 2)  # 2: it is done already
        Project.open(place).run()
    ended, expected = outcome(folder), outcome(twin)
    for name in ("tables", "snapshot", "dataset", "model"):
        assert getattr(ended, name) == getattr(expected, name)
    assert ended.serving[1] == expected.serving[1]


def test_a_serve_that_was_killed_loses_no_flush_and_the_next_one_tells_it(copied: Copy) -> None:
    folder = copied("first")
    (folder / "headwater.toml").write_text((folder / "headwater.toml").read_text() + '\n[default.serve]\nauth = "none"\n')
    for point in (*SERVE, ""):
        words = command("serve", "--port", "0", "-C", folder)
        with subprocess.Popen(words, env={**os.environ, "HEADWATER_FAILPOINT": point}, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().split()[-1]
                asked = Request(address + "/recommend", b'{"user":"u1"}', {"content-type": "application/json"})
                with urlopen(asked, timeout=30) as answer:
                    assert len(json.load(answer)["items"]) == 10
            finally:
                process.terminate()
        assert process.returncode == (-9 if point else 0)
    project = Project.open(folder)
    project.run(until="collect")
    assert project.lake.table("tables/predictions").scan().collect().height == 3
    told = {entry.body["file"]: entry.body["rows"] for entry in project.ledger.entries("flushed")}
    assert sum(told.values()) == 3
    assert project.verify().clean


def test_killed_at_random_moments_nothing_is_lost_doubled_or_different(tmp_path: Path) -> None:
    lines: list[str] = []
    toll = kill(10, 7, tmp_path, say=lines.append)
    assert toll.kills == 10
    assert toll.checks == len(lines) >= 3


def test_two_runs_at_once_end_like_one(never_killed: dict[str, Outcome], copied: Copy) -> None:
    folder = copied("fresh")
    with (
        subprocess.Popen(command("run", "-C", folder, "-o", "json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command("run", "-C", folder, "-o", "json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as two,
    ):
        said = [process.communicate(timeout=120) for process in (one, two)]
    assert one.returncode == 0 or two.returncode == 0
    for process, (out, err) in zip((one, two), said, strict=True):
        assert "Traceback" not in err
        if process.returncode:
            assert (process.returncode, "in use by another process" in err) == (1, True)
        else:
            assert json.loads(out)["deployment"]["epoch"] == 1
    compare(outcome(folder), never_killed["first"])


def test_a_second_run_says_that_the_first_is_at_work(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied("fresh")
    short = "import headwater.pipeline.run as run; run.WAIT_S = 0.0; import headwater.cli.main as cli; cli.main()"
    with locked(folder / "lake/staged/run.lock", "held by this test"):
        words = [sys.executable, "-c", short, "run", "-C", str(folder)]
        done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "headwater: this project's lake is in use by another process. Wait until it is done, then type the same again"
    ]
