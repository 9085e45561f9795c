"""A user's mistake is told in one line that says what to type, with exit code 2 (1 for what is not his), and never a traceback."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.killing import command
from tests.typed import typed

Copy = Callable[[Path], Path]
PASSWORD = "hunter2-very-secret"


def test_no_project(tmp_path: Path) -> None:
    done = typed("run", "-C", tmp_path)
    assert (done.code, "Type: headwater init" in done.said) == (2, True)
    done = typed("run", "-C", tmp_path / "nowhere")
    assert (done.code, "headwater.toml" in done.said) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run -p prodution", "has no profile [prodution]. Did you mean 'production'?"),
        ("run trian", "Did you mean 'train'?"),
        ("why shop@9", "shop@9"),
        ("why nothing", "nothing"),
        ("promote 9", "there is no version 9 of shop. Known: 1, 2"),
        ("rollback 9", "never served version '9'"),
        ("impact contributor:nobody", "'nobody' wrote no row"),
        ("impact batch:events", "expected batch:SOURCE/NUMBER"),
        ("key Some-One", "Some-One"),
        ("key someone --scope everything", "everything"),
        ("init shop", "headwater.toml exists: nothing was changed"),
        ("serve --port 99999", "99999"),
        ("demo clinic", "there is no demo 'clinic'"),
    ],
)
def test_a_word_that_is_not_known(ran_twice: Path, copied: Copy, words: str, said: str) -> None:
    folder = copied(ran_twice)
    with open(folder / "headwater.toml", "a") as file:
        file.write('[production]\nlake = "other"\n')
    done = typed(*words.split(), "-C", folder)
    assert (done.code, said in done.said) == (2, True), done.err


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('lake = "lake"', 'lake = "lake', "is not TOML"),
        ('lake = "lake"', 'lake = "lake"\nlaek = "x"', "has no setting 'laek'. Did you mean 'lake'?"),
        ('lake = "lake"', "lake = 7", "lake is 7, expected text"),
        ('lake = "lake"', 'lake = "."', "the keys must lie outside the lake"),
        ('lake = "lake"', 'lake = "s3://bucket/lake"', "on this machine"),
        ('lake = "lake"', 'lake = "lake"\nengine = "spark"', "spark"),
        ("reviews =", "reviewz =", "feeds the table 'reviewz'. Did you mean 'reviews'?"),
        ("data/reviews.csv", "kafka://broker/reviews", "no connector knows the scheme 'kafka'"),
        ("data/reviews.csv", "data/reviews.csv?formt=csv", "formt"),
        ("data/reviews.csv", "data/nothing.csv", "no file matches data/nothing.csv"),
        ("data/reviews.csv", "${SHOP_REVIEWS}", "the environment variable SHOP_REVIEWS, which is not set"),
        ('pipeline = "shop.py"', 'pipeline = "shup.py"', "shup.py is missing"),
    ],
)
def test_a_mistake_in_the_profile(never_run: Path, copied: Copy, before: str, after: str, said: str) -> None:
    folder = copied(never_run)
    toml = (folder / "headwater.toml").read_text()
    assert before in toml
    (folder / "headwater.toml").write_text(toml.replace(before, after))
    done = typed("run", "-C", folder)
    line = done.err.splitlines()[-1]  # what was collected before the mistake was met is told as it happens
    assert (done.code, said in line) == (2, True), done.err
    assert all(re.match(r"collect: [\d,]+ rows", early) for early in done.err.splitlines()[:-1])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("pipeline = Pipeline(", "pipeline = = Pipeline(", r"shop\.py line \d+: SyntaxError"),
        ("pipeline = Pipeline(", "pipelines = Pipeline(", r"shop\.py has no pipeline: expected  pipeline = Pipeline"),
        ('"shop",\n', '"The Shop",\n', r"'The Shop' is not a name"),
        ("collect=[events, reviews]", "collect=[events, events]", r"'events' is declared twice"),
        ("process=[sessions,", "process=[sesions,", r"shop\.py line \d+: NameError"),
        ("collect=[events, reviews]", "collect=[events]", r"reviews"),
        ("import polars as pl", "import polar as pl", r"shop\.py line \d+: ModuleNotFoundError: No module named 'polar'"),
    ],
)
def test_a_mistake_in_the_pipeline(never_run: Path, copied: Copy, before: str, after: str, said: str) -> None:
    folder = copied(never_run)
    code = (folder / "shop.py").read_text()
    assert before in code
    (folder / "shop.py").write_text(code.replace(before, after))
    done = typed("run", "-C", folder)
    assert done.code == 2
    assert re.search(said, done.said), done.err


def test_what_a_step_raises_is_told_with_the_step_and_its_line(never_run: Path, copied: Copy) -> None:
    folder = copied(never_run)
    code = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text(code.replace("    scores = [", '    raise KeyError("no such column")\n    scores = [', 1))
    done = typed("run", "-C", folder)
    assert done.code in (1, 2)
    assert "Traceback" not in done.err
    line = done.err.splitlines()[-1]
    assert line.startswith("headwater: ")
    assert "sentiment" in line
    assert "no such column" in line


@pytest.mark.parametrize("gone", ["keys", "keys/trusted.json", "keys/collect.key", "ledger.db"])
def test_keys_or_a_ledger_that_are_gone_are_never_made_anew(ran_twice: Path, copied: Copy, gone: str) -> None:
    folder = copied(ran_twice)
    (folder / gone).rename(folder / "away")
    with open(max((folder / "data/events").glob("*.jsonl")), "a") as file:
        file.write('{"event_id":"new","user_id":"u1","item_id":"i1","ts":"2016-02-01T00:00:00Z","kind":"view"}\n')
    done = typed("run", "-C", folder)
    assert done.code in (1, 2)
    assert done.err.splitlines()[-1].startswith("headwater: ")
    assert not (folder / gone).exists()


def test_a_private_key_that_others_can_read_is_refused(ran_twice: Path, copied: Copy) -> None:
    folder = copied(ran_twice)
    (folder / "keys/deploy.key").chmod(0o644)
    done = typed("rollback", "-C", folder)
    assert done.code in (1, 2)
    assert "deploy.key" in done.said


def test_a_port_that_is_taken(ran_twice: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = typed("serve", "--port", str(taken.getsockname()[1]), "-C", ran_twice)
    assert (done.code, "Choose another port" in done.said) == (2, True)


def test_nothing_to_serve_yet(never_run: Path) -> None:
    done = typed("serve", "--port", "0", "-C", never_run)
    assert done.code == 2
    assert "nothing is deployed" in done.said


def test_a_secret_in_a_url_appears_nowhere(ran_twice: Path, copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(ran_twice)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    toml = (folder / "headwater.toml").read_text()
    (folder / "headwater.toml").write_text(toml.replace("data/reviews.csv", "postgresql://reader:${PGPASSWORD}@db/shop?table=reviews"))
    for words in ("run", "status", "status -o json", "why shop", "impact source:events", "verify", "gc"):
        done = typed(*words.split(), "-C", folder)
        assert PASSWORD not in done.out + done.err, words
    assert typed("run", "-C", folder).code == 2
    assert all(PASSWORD.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_made_up_option_or_verb_is_a_wrong_command(tmp_path: Path) -> None:
    for words in (["rum"], ["run", "--fast"], ["run", "-o", "xml"]):
        done = subprocess.run(command(*words, "-C", tmp_path), capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
