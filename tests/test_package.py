"""Importing Headwater does nothing, and asking for help needs nothing heavy: seen by what is in sys.modules."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import headwater

HEAVY = {"polars", "pyarrow", "numpy", "scipy", "pandas", "fastapi", "uvicorn", "sklearn", "optuna", "pandera", "deltalake"} | {
    "nltk",
    "river",
    "implicit",
    "cryptography",
    "prometheus_client",
}
SEEN = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
EACH_VERB = """
import contextlib, io, json, sys
from headwater.cli.main import app
seen = {}
for verb in [None, *(command.name for command in app.registered_commands)]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        app([verb, "--help"] if verb else ["--help"], prog_name="headwater")
    seen[verb or "headwater"] = [said.getvalue(), sorted({name.partition(".")[0] for name in sys.modules})]
print(json.dumps(seen))
"""


def run(code: str) -> Any:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_importing_the_package_imports_nothing_but_a_little_of_the_standard_library() -> None:
    before, after = set(run(SEEN)), set(run(f"import headwater; {SEEN}"))
    assert after - before <= {"headwater", "importlib", "typing", "collections", "functools", "operator", "re", "enum"} | set(
        sys.stdlib_module_names
    )
    inside = run("import headwater, json, sys; print(json.dumps([name for name in sys.modules if name.startswith('headwater')]))")
    assert inside == ["headwater"]


def test_the_help_of_every_verb_imports_nothing_heavy() -> None:
    seen = run(EACH_VERB)
    assert {"run", "serve", "why", "init"} < set(seen)
    for verb, (said, modules) in seen.items():
        assert "Usage: headwater" in said, verb
        assert not HEAVY & set(modules), (verb, HEAVY & set(modules))


def test_declaring_a_pipeline_needs_no_server_no_search_and_no_model() -> None:
    modules = set(run(f"from headwater import Pipeline, Table, step, day; {SEEN}"))
    assert not modules & {"fastapi", "uvicorn", "optuna", "implicit", "nltk", "river", "deltalake", "sklearn"}


def test_every_public_name_is_there_and_told() -> None:
    for name in headwater.__all__:
        assert getattr(headwater, name).__name__ == name
    assert set(headwater.__all__) <= set(dir(headwater))
