"""What changes a step's digest, and what does not."""

import importlib.util
import sys
from pathlib import Path

import pytest

from headwater.process.identity import step_digest

STEPS = """
import re
import polars as pl
from headwater.process.step import step
import {helper}
from {helper} import clean
{top}
@step{options}
def tidy(events: pl.DataFrame) -> pl.DataFrame:
    {document}
    return clean({helper}.LIMIT, events, FACTOR, {use})
"""
HELPER = """
import json
LIMIT = {limit}
TABLE = {{"a": [1, {inner}]}}
def clean(*args, by={default}):
    return [x for x in args if inner(x) {compare} TABLE]
def inner(value):
    return value{suffix}
"""
PLAIN = {
    "top": "FACTOR = 2", "options": "", "document": "pass", "use": "None",
    "limit": 10, "inner": 1, "default": 1, "compare": "in", "suffix": "",
}  # fmt: skip
names = iter(range(1_000))


def digest(folder: Path, **change: object) -> str:
    """The digest of the step in a project written with these words."""
    words = {**PLAIN, **change}
    helper = folder / "project_helper.py"
    helper.write_text(HELPER.format(**words))
    main = folder / "project_main.py"
    main.write_text(STEPS.format(**words, helper="project_helper"))
    found = None
    for name, path in (("project_helper", helper), ("project_main", main)):
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        path.with_suffix(".pyc").unlink(missing_ok=True)
        found = importlib.util.module_from_spec(spec)
        sys.modules[name] = found
        exec(compile(path.read_text(), str(path), "exec"), found.__dict__)
    assert found is not None
    return step_digest(found.tidy)


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    for name in ("project_helper", "project_main"):
        sys.modules.pop(name, None)


def test_the_same_code_has_the_same_digest_in_another_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


@pytest.mark.parametrize("change", [{"document": '"""What it does."""'}, {"top": "# a comment\n\nFACTOR = 2"}])
def test_comments_and_docstrings_are_no_change(tmp_path: Path, change: dict[str, object]) -> None:
    assert digest(tmp_path, **change) == digest(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"top": "FACTOR = 3"},
        {"use": "1"},
        {"use": "re.compile('a')"},
        {"options": "(by='user_id')"},
        {"options": "(contributor=None)"},
        {"limit": 11},
        {"inner": 2},
        {"default": 2},
        {"compare": "not in"},
        {"suffix": ".real"},
        {"document": "import numpy"},
    ],
)
def test_a_change_of_code_constant_helper_or_declaration_is_another_digest(tmp_path: Path, change: dict[str, object]) -> None:
    assert digest(tmp_path, **change) != digest(tmp_path)


def test_another_version_of_a_library_is_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headwater.process import identity

    before = digest(tmp_path, use="pl.lit")
    monkeypatch.setattr(identity, "_version", lambda top: "99.0")
    assert digest(tmp_path, use="pl.lit") != before
