"""What is written about Headwater is true: every folder named, every link leads somewhere, every verb exists, sketches type-check."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import headwater

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
VERBS = {
    "init",
    "demo",
    "run",
    "serve",
    "watch",
    "status",
    "why",
    "impact",
    "verify",
    "promote",
    "rollback",
    "gc",
    "key",
    "exclude",
    "review",
}


def test_every_folder_of_the_package_has_its_floor_on_the_architecture_page() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    folders = {path.parent.name for path in (ROOT / "src/headwater").glob("*/__init__.py")}
    assert [name for name in sorted(folders) if f"`{name}/`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_verb_that_is_written_about_exists_and_the_other_way_round() -> None:
    from headwater.cli.main import app

    assert {command.name for command in app.registered_commands} == VERBS
    text = "\n".join(page.read_text() for page in PAGES)
    said = set(
        re.findall(
            r"headwater ([a-z]+)\b(?=[^\n]*`|[^\n]*$)", "\n".join(re.findall(r"`headwater [^`]+`|^ +headwater [a-z].*$", text, re.M))
        )
    )
    assert said <= VERBS
    assert {verb for verb in VERBS if f"headwater {verb}" not in text} == set()


def test_public_names_are_there_and_sorted() -> None:
    assert headwater.__all__ == sorted(headwater.__all__)
    assert len(headwater.__all__) <= 20
    for name in headwater.__all__:
        assert getattr(headwater, name).__name__ == name
    assert set(headwater.__all__) <= set(dir(headwater))


def test_every_module_says_in_its_first_line_what_is_in_it() -> None:
    silent = [str(path) for path in (ROOT / "src/headwater").rglob("*.py") if not path.read_text().startswith('"""')]
    assert silent == []


def test_every_connector_has_a_home_and_an_extra_that_exists() -> None:
    from headwater.connectors.registry import CONNECTORS

    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    for connector in CONNECTORS.values():
        module, _, name = connector.where.partition(":")
        assert hasattr(importlib.import_module(module), name)
        assert connector.extra is None or connector.extra in extras
    assert list(entry_points(group="headwater.connectors")) == []


def test_every_core_dependency_is_justified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[A-Za-z0-9-]+", line)[0] for line in project["dependencies"]}  # type: ignore[index]
    page = (ROOT / "docs/adr/0002-core-dependencies.md").read_text()
    table = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| "))
    assert {name for name in names if name not in table} == set()


def test_the_clinic_fits_the_words(tmp_path: Path) -> None:
    page = (ROOT / "docs/adr/0006-the-words-fit-the-clinic.md").read_text()
    sketch = tmp_path / "clinic.py"
    sketch.write_text(re.search(r"```python\n(.*?)```", page, re.S)[1])  # type: ignore[index]
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(sketch)]
    checked = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    subprocess.run([sys.executable, str(sketch)], check=True)


def test_no_page_holds_a_path_of_a_machine() -> None:
    assert [str(page) for page in PAGES if re.search(r"(?<![\w.])/(work|root|home)/", page.read_text())] == []
