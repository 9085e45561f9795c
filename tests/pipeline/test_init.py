"""Begin: the shop out of the package, or a first pipeline out of somebody's own file, which runs and takes that file in."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.typed import typed

from headwater.pipeline.init import init
from headwater.pipeline.project import Project

ROWS = pl.DataFrame(
    {
        "visit id": [f"v{n}" for n in range(40)],  # no name in Python
        "class": ["a", "b"] * 20,  # a word of Python
        "user": [f"u{n % 7}" for n in range(40)],
        "ts": [datetime(2024, 1, 1, n % 24, 30, tzinfo=UTC) for n in range(40)],
        "price": [1.5 * n for n in range(40)],
        "count": list(range(40)),
        "paid": [n % 2 == 0 for n in range(40)],
        "note": [None if n % 3 else f'ünïcode, "quoted" {n}' for n in range(40)],
    }
)


def as_csv(path: Path) -> None:
    ROWS.write_csv(path)


def as_json(path: Path) -> None:
    path.write_text("".join(json.dumps(row, default=lambda value: value.isoformat()) + "\n" for row in ROWS.to_dicts()))


def as_packed_json(path: Path) -> None:
    as_json(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def as_parquet(path: Path) -> None:
    ROWS.with_columns(pl.col("count").cast(pl.UInt16), nested=pl.struct("user")).write_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("My Visits.csv", as_csv), ("visits.jsonl", as_json), ("visits.jsonl.gz", as_packed_json), ("visits.parquet", as_parquet)],
)
def test_what_is_inferred_from_a_file_runs_and_takes_all_of_it_in(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    file = tmp_path / name
    write(file)
    folder = tmp_path / "project"
    made = typed("init", file, "-C", folder, "-o", "json").json
    assert {"headwater.toml", "keys/"} <= set(made["made"])
    done = typed("run", "-C", folder, "-o", "json")
    assert done.code == 0, done.err
    (collected,) = done.json["collected"]
    assert (collected["rows"], collected["rejected"]) == (40, 0)
    project = Project.open(folder)
    table = project.pipeline.collect[0]
    assert (table.key, table.contributor, table.time) == ("visit id", "user", "ts")
    rows = project.lake.table(f"tables/{table.name}").scan().collect().sort("_row")
    for column in ("visit id", "class", "ts", "price", "paid", "note"):
        assert rows[column].to_list() == ROWS[column].to_list(), column
    assert rows["count"].dtype == pl.Int64
    assert project.lake.table("prepared/clean").scan().collect().height == 40
    assert typed("verify", "-C", folder).code == 0
    again = typed("run", "-C", folder, "-o", "json").json
    assert again["collected"][0]["rows"] == 0
    assert again["prepared"]["digest"] == done.json["prepared"]["digest"]


@settings(max_examples=30)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.integers(-(2**62), 2**62),
                "text": st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8),
                "number": st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32),
                "yes": st.none() | st.booleans(),
                "list": st.none() | st.lists(st.integers(0, 9), max_size=3),
            }
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row["id"],
    )
)
def test_a_contract_inferred_from_json_lines_never_rejects_what_it_was_inferred_from(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    home = tmp_path_factory.mktemp("inferred")
    (home / "things.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    init(home / "project", str(home / "things.jsonl"))
    (collected,) = Project.open(home / "project").run(until="collect").collected
    assert (collected.rows, collected.rejected) == (len(rows), 0)


def test_the_shop_is_all_there_and_its_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    made = typed("init", "shop", "-C", folder, "-o", "json").json
    assert set(made["made"]) >= {"shop.py", "headwater.toml", "get_data.py", "keys/", ".gitignore"}
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "keys").iterdir()}
    assert set(modes.values()) == {0o600}
    assert len([name for name in modes if name.endswith(".key")]) == 6  # five roles and the secret
    assert "keys/" in (folder / ".gitignore").read_text().splitlines()


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    init(tmp_path, "shop")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    as_csv(tmp_path / "visits.csv")
    for source in ("shop", tmp_path / "visits.csv"):
        done = typed("init", source, "-C", tmp_path)
        assert (done.code, "nothing was changed" in done.said) == (2, True)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("there", ["visits_pipeline.py", "shop.py", "get_data.py", ".gitignore", "data/visits.csv"])
@pytest.mark.parametrize("source", ["shop", "visits.csv"])
def test_a_file_of_ones_own_in_the_folder_stays_what_it_was(tmp_path: Path, there: str, source: str) -> None:
    folder = tmp_path / "project"
    as_csv(tmp_path / "visits.csv")
    (folder / there).parent.mkdir(parents=True)
    (folder / there).write_text("mine\n")
    done = typed("init", source if source == "shop" else tmp_path / source, "-C", folder)
    assert (folder / there).read_text() == "mine\n"
    if done.code:
        assert "nothing was changed" in done.said
        assert [path for path in folder.rglob("*") if path.is_file()] == [folder / there]


def test_an_init_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    init(tmp_path / "whole", "shop")
    (tmp_path / "half").mkdir()
    for name in ("shop.py", "get_data.py"):
        (tmp_path / "half" / name).write_bytes((tmp_path / "whole" / name).read_bytes())
    assert typed("init", "shop", "-C", tmp_path / "half").code == 0


def test_keys_alone_are_made_for_a_project_that_came_without_them(tmp_path: Path) -> None:
    init(tmp_path, "shop")
    for path in (tmp_path / "keys").iterdir():
        path.unlink()
    (tmp_path / "keys").rmdir()
    assert typed("init", "-C", tmp_path, "-o", "json").json["made"] == ["keys/"]
    again = typed("init", "-C", tmp_path, "-o", "json")
    assert (again.code, again.json["made"]) == (0, [])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nothing.csv", None, "is no file, and no example"),
        ("notes.docx", b"PK", "expected a name ending in"),
        ("empty.csv", b"", "empty.csv"),
        ("header.csv", b"a,b\n", "shows no rows"),
        ("broken.parquet", b"PAR1 nothing", "cannot be read as parquet"),
        ("broken.jsonl.gz", b"no gzip", "cannot be read as jsonl"),
        ("page.jsonl", b"<html>\n", "shows no rows"),
        ("same.csv", b"a,b\n1,x\n1,x\n", "no column names a record"),
        ("latin.csv", "id,name\n1,Müller\n".encode("latin-1"), "latin.csv"),
    ],
)
def test_a_file_that_says_nothing_is_told_in_one_line_and_leaves_no_project(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = typed("init", tmp_path / name, "-C", tmp_path / "project")
    assert done.code in (1, 2)
    assert said in done.said
    assert not (tmp_path / "project/headwater.toml").exists()
    assert not (tmp_path / "project/keys").exists()


def test_hostile_column_names_and_values_stay_text_in_the_code_that_is_written(tmp_path: Path) -> None:
    evil = 'x"); import os; os.system("touch owned'
    rows = [{"id": n, evil: "a' + __import__('os').abort() + '", "__class__": str(n % 2)} for n in range(30)]
    (tmp_path / "evil.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert typed("init", tmp_path / "evil.jsonl", "-C", tmp_path / "project").code == 0
    done = typed("run", "-C", tmp_path / "project", "-o", "json")
    assert done.code == 0, done.err
    assert done.json["collected"][0]["rows"] == 30
    assert not list(tmp_path.rglob("owned*"))
