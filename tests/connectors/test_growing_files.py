"""However a file comes about, in whatever pieces, its records are read once, in order, as if it had always been there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.connectors.files import FilesSource, Limits
from headwater.core.errors import DataError

SCHEMA = pa.schema([("id", pa.int64()), ("score", pa.float64()), ("kind", pa.string()), ("tags", pa.list_(pa.string()))])
SMALL = Limits(block=200, line=100, record=60, part=50, rows=4)
WIDE = Limits(block=4096, line=100, record=60, part=4096, rows=1000)

GOOD = [
    b'{"id":1,"score":1,"kind":"view"}',
    b'{"id":2.0,"kind":"\xc3\xa9\\n"}',
    b' {"id":3, "new":"x", "tags":["a",null]}',
    b"{}",
    b'{"id":4}\r',
]
BAD = [
    b'{"id":"1"}', b'{"id":1.5}', b'{"id":99999999999999999999}', b'{"kind":7}', b'{"kind":{"a":1}}', b'{"score":NaN}', b'{"score":1e999}',
    b'{"x":Infinity}', b'{"id":1,"id":2}', b'{"kind":"\xff"}', b'{"kind":"\\ud800"}', b'{"tags":["a",1]}', b"null", b"[1]", b"17", b"junk",
    b'{"id":1', b'"', b'"}', b'{"kind":"' + b"x" * 120 + b'"}', b'{"z":{"a":1,"a":2}}', b"\x00", b'{"id":', b'1}', b'{"z":' + b"[" * 90,
]  # fmt: skip
BLANK = [b"", b"\r", b"  "]
lines = st.lists(st.sampled_from(GOOD * 3 + BAD + BLANK), max_size=25).map(lambda some: b"".join(line + b"\n" for line in some))

FIELDS = [b"1,view", b"2,", b'3,""', b'"4","a,b"', b'5,"two\nlines"', b'6,"say ""hi"""', b'7,a "quote" inside', b'8,"v"\r', b"9,\xc3\xa9"]
RAGGED = [b"1", b"1,2,3", b'1,"x"y', b"1,\xff", b"1,a\rb", b'1,"never', b"", b"\r", b"1," + b"y" * 120, b'"two\n" x,1']
records = st.lists(st.sampled_from(FIELDS * 3 + RAGGED), max_size=25).map(lambda some: b"id,kind\n" + b"".join(one + b"\n" for one in some))


def _read(source: FilesSource, cursor: Any = None) -> tuple[list[Any], list[Any], Any]:
    rows, rejects = [], []
    for chunk in source.read(after=cursor):
        cursor = chunk.cursor
        told = chunk.rows.to_pylist()
        rows += [({k: v for k, v in row.items() if v is not None}, chunk.place(at)) for at, row in enumerate(told)]
        rejects += chunk.rejects
    return rows, rejects, cursor


def _check_pieces(name: str, content: bytes, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        source = FilesSource("events", name, schema=SCHEMA, root=Path(folder), limits=SMALL)
        rows, rejects, cursor, sizes = [], [], None, sorted({*(cut % (len(content) + 1) for cut in cuts), len(content)})
        done = 0
        for size in sizes:
            with open(path, "ab") as file:
                file.write(content[done:size])
            done = size
            more_rows, more_rejects, cursor = _read(source, cursor)
            rows += more_rows
            rejects += more_rejects
        whole = FilesSource("events", name, schema=SCHEMA, root=Path(folder), limits=WIDE)
        assert _read(whole)[:2] == (rows, rejects)


@settings(max_examples=150, deadline=None)
@given(lines, st.lists(st.integers(0, 2000), max_size=5))
def test_json_lines_in_any_pieces_are_what_one_reading_gives(content: bytes, cuts: list[int]) -> None:
    _check_pieces("a.jsonl", content, cuts)


@settings(max_examples=150, deadline=None)
@given(records, st.lists(st.integers(1, 60), max_size=5))
def test_csv_in_any_pieces_of_whole_lines_is_what_one_reading_gives(content: bytes, cuts: list[int]) -> None:
    ends = [at + 1 for at, byte in enumerate(content) if byte == 10]
    _check_pieces("a.csv", content, [ends[cut % len(ends)] for cut in cuts])


def test_half_a_line_is_left_and_told_about_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    source = FilesSource("events", "a.jsonl", schema=SCHEMA, root=tmp_path)
    path.write_bytes(b'{"id":1}\n{"id":')
    rows, _, cursor = _read(source)
    assert ([row for row, _ in rows], source.pending) == ([{"id": 1}], {"a.jsonl": 6})
    assert (_read(source, cursor)[0], source.pending) == ([], {"a.jsonl": 6})
    with open(path, "ab") as file:
        file.write(b"2}")
    rows, _, cursor = _read(source, cursor)
    assert ([(row, place.at) for row, place in rows], source.pending) == ([({"id": 2}, "a.jsonl:2@9")], {})
    with open(path, "ab") as file:
        file.write(b'\n{"id":3}\n')
    rows, _, _ = _read(source, cursor)
    assert [(row, place.at) for row, place in rows] == [({"id": 3}, "a.jsonl:3@18")]


def test_a_line_taken_without_its_newline_and_then_continued_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    source = FilesSource("events", "a.csv", schema=SCHEMA, root=tmp_path)
    path.write_bytes(b"id,kind\n1,vi")
    rows, _, cursor = _read(source)
    assert [row for row, _ in rows] == [{"id": "1", "kind": "vi"}]
    with open(path, "ab") as file:
        file.write(b"ew\n2,buy\n")
    rows, rejects, _ = _read(source, cursor)
    assert [(row, place.at) for row, place in rows] == [({"id": "2", "kind": "buy"}, "a.csv:3@15")]
    assert [(one.code, one.place.raw) for one in rejects] == [("line.continued", "ew")]


def test_new_files_are_read_and_old_ones_are_not_read_again(tmp_path: Path) -> None:
    source = FilesSource("events", "*.jsonl", schema=SCHEMA, root=tmp_path)
    (tmp_path / "b.jsonl").write_bytes(b'{"id":2}\n')
    _, _, cursor = _read(source)
    (tmp_path / "a.jsonl").write_bytes(b'{"id":1}\n')
    rows, _, cursor = _read(source, cursor)
    assert [row for row, _ in rows] == [{"id": 1}]
    os.utime(tmp_path / "a.jsonl", ns=(1, 1))
    (tmp_path / "b.jsonl").unlink()
    assert _read(source, cursor)[0] == []


@pytest.mark.parametrize("now", [b'{"id":1}\n', b'{"id":9}\n{"id":2}\n{"id":3}\n', b""], ids=["shorter", "changed", "empty"])
def test_a_file_changed_behind_our_back_is_reported_and_nothing_is_read(tmp_path: Path, now: bytes) -> None:
    source = FilesSource("events", "*.jsonl", schema=SCHEMA, root=tmp_path)
    (tmp_path / "b.jsonl").write_bytes(b'{"id":1}\n{"id":2}\n')
    _, _, cursor = _read(source)
    (tmp_path / "b.jsonl").write_bytes(now)
    (tmp_path / "a.jsonl").write_bytes(b'{"id":1}\n')
    with pytest.raises(DataError, match=r"b.jsonl was changed behind our back.*mv b.jsonl new-b.jsonl"):
        next(source.read(after=cursor))


def test_a_file_gone_before_its_end_is_an_error_unless_it_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id":1}\n' * 100)
    first = next(iter(FilesSource("events", "*.jsonl", schema=SCHEMA, root=tmp_path, limits=SMALL).read()))
    path.unlink()
    with pytest.raises(DataError, match=r"a.jsonl is gone before its end: it was read up to byte 36"):
        _read(FilesSource("events", "*.jsonl", schema=SCHEMA, root=tmp_path), first.cursor)
    assert _read(FilesSource("events", "*.jsonl?optional=yes", schema=SCHEMA, root=tmp_path), first.cursor)[0] == []


def test_a_file_deleted_while_it_is_read_is_read_to_its_end_and_one_cut_short_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id":1}\n' * 100)
    source = FilesSource("events", "a.jsonl", schema=SCHEMA, root=tmp_path, limits=SMALL)
    reading = source.read()
    got = next(reading).rows.num_rows
    path.unlink()
    assert got + sum(chunk.rows.num_rows for chunk in reading) == 100
    path.write_bytes(b'{"id":1}\n' * 100)
    reading = source.read()
    next(reading)
    os.truncate(path, 40)
    with pytest.raises(DataError, match="shrank while it was read"):
        list(reading)


def test_a_file_that_nobody_wrote_to_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id":1}\n')
    source = FilesSource("events", "a.jsonl", schema=SCHEMA, root=tmp_path)
    _, _, cursor = _read(source)
    status = path.stat()
    with open(path, "r+b") as file:
        file.write(b'{"id":2}\n')  # would be reported, if it were looked at
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert _read(source, cursor)[:2] == ([], [])
