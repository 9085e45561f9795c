"""Watch: the loop by itself. It collects, retrains when the policy says so, and is killed and started again without loss."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.killing import arrive, command, compare, outcome, small_shop
from tests.typed import typed

from headwater.pipeline.project import Project


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that retrains at each new row, run once; more data has come since."""
    folder = small_shop(tmp_path_factory.mktemp("watch") / "shop")
    code = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text(code.replace('every="1d", min_new_rows=1_000', 'every="1s", min_new_rows=1'))
    assert typed("run", "-C", folder).code == 0
    arrive(folder, 1)
    return folder


@pytest.fixture
def shop(eager: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(eager, tmp_path / "shop"))


def watch(folder: Path) -> list[str]:
    """The lines of three looks; there is a second between them, as there must be between two trainings."""
    done = typed("watch", "--turns", "3", "--every", "1", "-C", folder)
    assert (done.code, "Traceback" in done.err) == (0, False)
    return done.out.splitlines()


def test_it_collects_and_retrains_once_and_then_nothing_is_new(shop: Path) -> None:
    said = watch(shop)
    assert said[0] == "collected 240 rows"
    assert said[1].startswith("retraining: ")
    assert said[2].startswith("promote: ")
    assert len(said) == 3
    project = Project.open(shop)
    assert len(list(project.ledger.entries("request"))) == 1
    assert project.deployments.current("shop").version == "2"


def test_killed_and_started_again_it_ends_like_one_that_was_not(shop: Path, tmp_path: Path) -> None:
    twin = Path(shutil.copytree(shop, tmp_path / "twin"))
    with subprocess.Popen(command("watch", "-C", shop, "--every", "0.1"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("collected")  # it is at work: the kill comes while it trains
        process.kill()
    watch(shop)
    typed("run", "-C", shop)
    assert typed("run", "-C", twin).code == 0
    compare(outcome(shop), outcome(twin))


def test_what_goes_wrong_in_a_turn_is_said_and_tried_again(shop: Path) -> None:
    reviews = shop / "data/reviews.csv"
    kept = reviews.read_bytes()
    reviews.write_bytes(b"a,b\n1,2\n")
    said = watch(shop)
    assert len(said) == 3
    assert all(line.startswith("not this time: ") and "reviews.csv" in line for line in said)
    reviews.write_bytes(kept)
    assert any(line.startswith("promote") for line in watch(shop))


def test_it_ends_where_nothing_can_be_trusted(shop: Path) -> None:
    victim = next((shop / "lake/tables/events").glob("*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    done = typed("watch", "--turns", "2", "--every", "0.1", "-C", shop)
    assert done.code == 1
    assert "headwater verify" in done.err.splitlines()[-1]


def test_stopped_by_hand_it_says_how_to_go_on(shop: Path) -> None:
    words = command("watch", "-C", shop, "--every", "600")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("promote"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "headwater: stopped. Nothing is lost: type the same again to go on"
