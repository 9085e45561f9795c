"""Every verb answers with one JSON object where it is asked to, in sentences otherwise, and ends with the code it should."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.killing import command
from tests.typed import typed

from headwater.pipeline.project import Project

Copy = Callable[[Path], Path]
ASKED = ("run", "status", "why shop", "why shop@1", "impact source:events", "impact batch:events/1", "verify", "gc --dry-run")
CARE = ("gc", "rollback", "rollback 1", "promote", "promote 1", "key somebody --scope predict --scope metrics", "run collect")


@pytest.mark.parametrize("words", ASKED)
def test_a_question_is_answered_with_one_json_object(ran_twice: Path, copied: Copy, words: str) -> None:
    folder = copied(ran_twice)
    done = typed(*words.split(), "-C", folder, "-o", "json")
    assert done.code == 0, done.err
    assert done.json


@pytest.mark.parametrize("words", CARE)
def test_so_is_what_changes_something(ran_twice: Path, copied: Copy, words: str) -> None:
    folder = copied(ran_twice)
    done = typed(*words.split(), "-C", folder, "-o", "json")
    assert done.code == 0, done.err
    assert done.json
    assert typed("verify", "-C", folder).code == 0


@pytest.mark.parametrize("words", [*ASKED, *CARE])
def test_people_get_something_to_read(ran_twice: Path, copied: Copy, words: str) -> None:
    done = typed(*words.split(), "-C", copied(ran_twice))
    assert done.code == 0, done.err
    assert done.out.strip()
    with pytest.raises(ValueError, match=r"."):
        json.loads(done.out)


def test_on_the_way_nothing_but_the_answer_is_on_standard_output(never_run: Path, copied: Copy) -> None:
    done = subprocess.run(command("run", "-C", copied(never_run), "-o", "json"), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["decision"]["outcome"] == "promote"
    assert "collect: " in done.stderr
    assert "\r" not in done.stderr  # no terminal: plain lines


def test_what_is_not_clean_ends_with_one(ran_twice: Path, copied: Copy) -> None:
    folder = copied(ran_twice)
    victim = next((folder / "lake/tables/events").glob("*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    done = typed("verify", "-C", folder, "-o", "json")
    assert (done.code, done.json["clean"]) == (1, False)
    assert typed("verify", "-C", folder).out.splitlines()[-1].startswith("NOT CLEAN")
    assert typed("gc", "-C", folder).code == 1


def test_what_a_gate_refuses_ends_with_three_and_trains_nothing(never_run: Path, copied: Copy) -> None:
    folder = copied(never_run)
    code = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text(
        code.replace('return Verdict(gate="looks", digest=artifact.digest, findings=tuple(found))', 'raise RuntimeError("gate is ill")')
    )
    done = typed("run", "-C", folder)
    assert done.code == 3
    assert "nothing is trained: gate.crashed: RuntimeError in gate looks" in done.err.splitlines()[-1]
    assert Project.open(folder).ledger.last("model") is None
    status = typed("status", "-C", folder)
    assert status.code == 1
    assert "nothing is trained until a person decides. Type: headwater review" in status.out


def test_a_model_that_was_changed_is_refused_with_three(ran_twice: Path, copied: Copy) -> None:
    folder = copied(ran_twice)
    weights = folder / "lake/models/shop/2/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    for words in (("serve", "--port", "0"), ("promote", "2")):
        done = typed(*words, "-C", folder)
        assert done.code == 3
        assert "weights.safetensors was changed" in done.said


def test_status_tells_what_is_wrong_and_ends_with_one(ran_twice: Path, copied: Copy) -> None:
    folder = copied(ran_twice)
    toml = (folder / "headwater.toml").read_text()
    (folder / "headwater.toml").write_text(toml + 'unheard = "data/unheard.csv"\n')
    done = typed("status", "-C", folder, "-o", "json")
    assert done.code == 1
    assert any("unheard" in problem for problem in done.json["problems"])


def test_a_project_that_cannot_be_opened_is_a_problem_that_status_tells(tmp_path: Path) -> None:
    done = typed("status", "-C", tmp_path, "-o", "json")
    assert done.code == 1
    assert "headwater init" in done.json["problems"][0]
