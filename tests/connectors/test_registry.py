"""The registry finds the connector that a url names, and says what to do where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headwater.connectors import registry
from headwater.connectors.files import FilesSource
from headwater.core.errors import MissingExtra, UsageError


def test_every_row_of_the_table_can_be_loaded() -> None:
    for connector in registry.CONNECTORS.values():
        assert callable(registry._load(connector, "events"))


@pytest.mark.parametrize("url", ["data/*.jsonl", "file:///data/*.jsonl"])
def test_a_path_and_a_file_url_are_files(tmp_path: Path, url: str) -> None:
    source = registry.open_source(url, name="events", schema=None, root=tmp_path)
    assert isinstance(source, FilesSource)
    assert source.name == "events"


def test_an_unknown_scheme_is_named_with_the_nearest_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no connector knows the scheme 'fiel'\. Did you mean 'file'"):
        registry.open_source("fiel:///a", name="events", schema=None, root=tmp_path)


def test_another_package_adds_a_scheme_by_entry_point_but_replaces_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "their-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: their\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[headwater.connectors]\ntheirs = their_connector:Source\nfile = their_connector:Source\n")
    (tmp_path / "their_connector.py").write_text("class Source:\n    def __init__(self, name, url, *, schema, root): self.name = name\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert type(registry.open_source("theirs://x", name="events", schema=None, root=tmp_path)).__module__ == "their_connector"
    assert isinstance(registry.open_source("file:///x", name="events", schema=None, root=tmp_path), FilesSource)


def test_a_missing_library_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'headwater\[moon\]'"):
        registry._load(registry.Connector("no_such_library:Source", extra="moon"), "events")


def test_span_says_which_lines_of_which_files_were_read_between_two_cursors(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id":1}\n{"id":2}\n')
    source = registry.open_source("*.jsonl", name="events", schema=None, root=tmp_path)
    first = [chunk.cursor for chunk in source.read()][-1]
    with open(tmp_path / "a.jsonl", "ab") as file:
        file.write(b'{"id":3}\n{"id":4}')
    second = [chunk.cursor for chunk in source.read(after=first)][-1]
    assert registry.span(None, first) == [{"file": "a.jsonl", "first_line": 1, "last_line": 2, "first_byte": 0, "end_byte": 18}]
    assert registry.span(first, second) == [{"file": "a.jsonl", "first_line": 3, "last_line": 4, "first_byte": 18, "end_byte": 35}]


def test_importing_the_registry_imports_nothing_heavy() -> None:
    heavy = ("pyarrow", "numpy", "polars", "importlib.metadata")
    code = f"import sys, headwater.connectors.registry; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
