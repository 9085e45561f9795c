"""Rubbish in files: each kind has its code and its place, and what is good beside it is read."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.connectors.files import FilesSource, Limits
from headwater.core.errors import DataError, HeadwaterError, UsageError

SCHEMA = pa.schema(
    [("id", pa.int64()), ("score", pa.float64()), ("ts", pa.timestamp("us", "UTC")), ("kind", pa.string()), ("ok", pa.bool_())]
)
NAMED = pa.schema([("id", pa.int64()), ("kind", pa.string())])


def _read(folder: Path, url: str, schema: pa.Schema | None = SCHEMA, **given: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    chunks = list(FilesSource("events", url, schema=schema, root=folder, **given).read())
    rows = [{name: value for name, value in row.items() if value is not None} for chunk in chunks for row in chunk.rows.to_pylist()]
    return rows, [(one.code, one.place.at) for chunk in chunks for one in chunk.rejects]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"id":"7"}', "json.type"),
        (b'{"id":1.5}', "json.type"),
        (b'{"id":true}', "json.type"),
        (b'{"kind":7}', "json.type"),
        (b'{"kind":{"a":1}}', "json.type"),
        (b'{"ts":1704067200}', "json.type"),
        (b'{"score":"1.5"}', "json.type"),
        (b'{"ok":1}', "json.type"),
        (b'{"id":9223372036854775808}', "json.number"),
        (b'{"id":-1e300}', "json.number"),
        (b'{"id":NaN}', "json.number"),
        (b'{"score":-Infinity}', "json.number"),
        (b'{"score":1e999}', "json.number"),
        (b'{"other":NaN}', "json.number"),
        (b'{"id":1,"id":2}', "json.key-twice"),
        (b'{"other":{"a":1,"a":1}}', "json.key-twice"),
        (b'{"id":1}{"id":2}', "json.invalid"),
        (b'{"id":1', "json.invalid"),
        (b'{"kind":"\\ud800"}', "json.invalid"),
        (b"null", "json.invalid"),
        (b"[1]", "json.invalid"),
        (b'{"id":1}\0', "json.invalid"),
        (b'{"kind":"\xff"}', "encoding.invalid"),
        (b'{"other":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "json.depth"),
        (b'{"other":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}", "json.depth"),
        (b'{"kind":"' + b"x" * (17 << 20) + b'"}', "line.too-long"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:24].decode("latin-1"),
)
def test_a_bad_line_is_rejected_and_its_neighbours_are_rows(tmp_path: Path, line: bytes, code: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id":0}\n\n' + line + b'\n{"id":9}\n')
    assert _read(tmp_path, "a.jsonl") == ([{"id": 0}, {"id": 9}], [(code, "a.jsonl:3@10")])


def test_a_line_over_two_lines_is_two_bad_ones_even_where_counts_would_agree(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id":\n1}\n{"id":2}{"id":3}\n{"id":4}\n')
    assert _read(tmp_path, "a.jsonl") == ([{"id": 4}], [("json.invalid", f"a.jsonl:{at}") for at in ("1@0", "2@7", "3@10")])


def test_a_whole_number_may_be_written_as_a_fraction_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id":7.0}\n{"id":1e3}\n')
    assert _read(tmp_path, "a.jsonl") == ([{"id": 7}, {"id": 1000}], [])


def test_extra_columns_are_kept_where_they_have_one_type_and_stay_the_text_they_were(tmp_path: Path) -> None:
    lines = b'{"id":1,"day":"2024-01-01","n":1,"deep":{"x":[1]},"mixed":1,"none":null}\n{"id":2,"day":"2024-01-02","n":2.5,"mixed":"a"}\n'
    (tmp_path / "a.jsonl").write_bytes(lines)
    assert _read(tmp_path, "a.jsonl") == ([{"id": 1, "day": "2024-01-01", "n": 1.0}, {"id": 2, "day": "2024-01-02", "n": 2.5}], [])


def test_a_flood_of_unknown_columns_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"".join(b'{"id":%d,"c%d":1}\n' % (n, n) for n in range(5000)))
    rows, rejects = _read(tmp_path, "a.jsonl")
    assert len(rows) == 256
    assert {code for code, _ in rejects} == {"json.columns"}
    assert len(rejects) == 5000 - 256


def test_without_a_schema_types_are_inferred(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"b":1,"a":"x","c":true}\n{"b":2,"a":null,"c":false}\n')
    (tmp_path / "a.csv").write_bytes(b"b,a,c,d,e\n1,x,true,1.5,007\n-2,,false,2,008\n")
    types = {"b": pa.int64(), "a": pa.string(), "c": pa.bool_()}
    for url, more in (("a.jsonl", {}), ("a.csv", {"d": pa.float64(), "e": pa.string()})):
        (chunk,) = FilesSource("events", url, schema=None, root=tmp_path).read()
        assert dict(zip(chunk.rows.column_names, chunk.rows.schema.types, strict=True)) == types | more


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (b"1,2,3", "csv.fields"),
        (b"1", "csv.fields"),
        (b"1,\xff", "encoding.invalid"),
        (b'1,"x"y', "csv.quoting"),
        (b"1,a\rb", "csv.quoting"),
        (b'1,"never closed', "csv.quoting"),
        (b"1," + b"x" * (17 << 20), "line.too-long"),
    ],
)
def test_a_bad_record_is_rejected_and_its_neighbours_are_rows(tmp_path: Path, record: bytes, code: str) -> None:
    after = b"9,z\n" + b"".join(b"%d,long enough to end the hope for a closing quote\n" % n for n in range(30_000))
    (tmp_path / "a.csv").write_bytes(b'id,kind\n0,"a\nb"\n\n' + record + b"\n" + after)
    rows, rejects = _read(tmp_path, "a.csv", NAMED)
    assert rows[:2] == [{"id": "0", "kind": "a\nb"}, {"id": "9", "kind": "z"}]
    assert (len(rows), rejects) == (30_002, [(code, "a.csv:5@17")])


def test_an_empty_field_is_null_and_a_quoted_one_is_empty_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfid,kind,\r\n1,,x\r\n2,"",x\r\n')
    (chunk,) = FilesSource("events", "a.csv", schema=NAMED, root=tmp_path).read()
    assert chunk.rows.to_pylist() == [{"id": "1", "kind": None}, {"id": "2", "kind": ""}]


@pytest.mark.parametrize(
    ("header", "said"),
    [(b"a,b", "Expected some of id, kind"), (b"id,id", "twice"), (b"\xff,id", "UTF-8"), (b"x" * 70_000, "header does not end")],
)
def test_a_header_that_is_none_is_an_error(tmp_path: Path, header: bytes, said: str) -> None:
    (tmp_path / "a.csv").write_bytes(header + b"\n1,2\n")
    with pytest.raises(DataError, match=said):
        _read(tmp_path, "a.csv", NAMED)


def test_whole_lines_before_the_end_of_a_truncated_or_corrupt_gzip_are_rows(tmp_path: Path) -> None:
    lines = b"".join(b'{"id":%d,"kind":"%s"}\n' % (n, os.urandom(8).hex().encode()) for n in range(20_000))
    packed = gzip.compress(lines)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    rows, (reject,) = _read(tmp_path, "cut.jsonl.gz")
    assert [row["id"] for row in rows] == list(range(len(rows)))
    assert len(rows) > 8_000
    assert reject[0] == "gzip.truncated"
    assert reject[1].startswith(f"cut.jsonl.gz:{len(rows) + 1}@")
    (tmp_path / "bad.jsonl.gz").write_bytes(packed[:100_000] + b"\xff" * 1000 + packed[101_000:])
    rows, rejects = _read(tmp_path, "bad.jsonl.gz")
    assert len(rows) > 1_000
    assert rejects[-1][0] == "gzip.corrupt"
    (tmp_path / "no.jsonl.gz").write_bytes(lines)
    assert _read(tmp_path, "no.jsonl.gz") == ([], [("gzip.corrupt", "no.jsonl.gz:1@0")])


def test_a_csv_number_cut_by_a_truncated_gzip_is_no_row(tmp_path: Path) -> None:
    packed = gzip.compress(b"id,kind\n1,view\n2,vi", mtime=0)
    (tmp_path / "a.csv.gz").write_bytes(packed[:-8])
    assert _read(tmp_path, "a.csv.gz", NAMED) == ([{"id": "1", "kind": "view"}], [("gzip.truncated", "a.csv.gz:3@15")])


def test_a_gzip_bomb_on_one_line_is_one_reject_in_bounded_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", compresslevel=1) as file:
        file.write(b'{"id":1}\n')
        for _ in range(600):
            file.write(b"\0" * (1 << 20))
        file.write(b'\n{"id":2}\n')
    code = (
        "import re, sys; from pathlib import Path; from headwater.connectors.files import FilesSource\n"
        "chunks = list(FilesSource('events', 'a.jsonl.gz', schema=None, root=Path(sys.argv[1])).read())\n"
        "print([c.rows.to_pylist() for c in chunks if c.rows.num_rows], [r.place.at for c in chunks for r in c.rejects])\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)\n"  # getrusage counts the parent's in
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    said, peak = done.stdout.splitlines()
    assert said == "[[{'id': 1}], [{'id': 2}]] ['a.jsonl.gz:2@9']"
    assert int(peak) < 600  # the bomb alone unpacks to 600, and Python with its libraries takes 200


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_a_parquet_file_that_cannot_be_read_is_one_reject_or_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    assert _read(tmp_path, "a.parquet") == ([], [("parquet.unreadable", "a.parquet:row 1")] if content else [])


def test_a_parquet_file_damaged_in_the_middle_gives_what_comes_before(tmp_path: Path) -> None:
    table = pa.table({"id": list(range(100)), "kind": [f"kind {n}" for n in range(100)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10, compression="gzip")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    middle = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(5).column(1).data_page_offset
    content[middle : middle + 30] = b"\xff" * 30
    (tmp_path / "a.parquet").write_bytes(content)
    rows, rejects = _read(tmp_path, "a.parquet", NAMED)
    assert rows == table.slice(0, 50).to_pylist()
    assert rejects == [("parquet.unreadable", "a.parquet:row 51")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.jsonl.gz"])
def test_an_empty_file_is_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert list(FilesSource("events", name, schema=SCHEMA, root=tmp_path).read()) == []


def test_a_folder_a_pipe_a_link_out_and_no_match_are_clear_errors(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    out.mkdir()
    (out / "secret.jsonl").write_bytes(b'{"id":1}\n')
    (home / "folder").mkdir()
    (home / "spark.parquet").mkdir()
    (home / "link.jsonl").symlink_to(out / "secret.jsonl")
    (home / "door").symlink_to(out)
    os.mkfifo(home / "pipe.json")
    said = {
        "folder": r"folder is a folder; expected a file. Type for the files in it: folder/\*",
        "*.parquet": "spark.parquet is a folder",
        "link.jsonl": "leads out of",
        "*.jsonl": "leads out of",
        "**/secret.jsonl": "leads out of",
        "door/*.jsonl": "leads out of",
        "../out/*.jsonl": "leads out of",
        "pipe.json": "not a regular file",
        "nothing/*.csv": "no file matches nothing/",
        "": "names no file",
    }
    for url, message in said.items():
        with pytest.raises(UsageError, match=message):
            _read(home, url)


def test_a_link_inside_of_the_root_and_a_path_outside_that_was_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_bytes(b'{"id":1}\n')
    (tmp_path / "today.jsonl").symlink_to(tmp_path / "data" / "a.jsonl")
    assert _read(tmp_path, "today.jsonl")[0] == [{"id": 1}]
    assert _read(tmp_path / "elsewhere", f"{tmp_path}/data/*.jsonl")[0] == [{"id": 1}]
    assert _read(tmp_path, f"file://{tmp_path}/data/a.jsonl")[0] == [{"id": 1}]


def test_a_file_that_may_not_be_read_is_a_clear_error(tmp_path: Path) -> None:
    """Nothing is forbidden to root, so reading happens as nobody."""
    (tmp_path / "a.jsonl").write_bytes(b'{"id":1}\n')
    (tmp_path / "a.jsonl").chmod(0)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o755)
    code = (
        "import os, sys; from pathlib import Path; from headwater.connectors.files import FilesSource\n"
        "from headwater.core.errors import UsageError\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: list(FilesSource('events', 'a.jsonl', schema=None, root=Path(sys.argv[1])).read())\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("a.jsonl may not be read by this user. Type: chmod u+r a.jsonl")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("a.txt", "does not tell its format"),
        ("a.txt?format=xml", "format='xml': expected one of json, csv, parquet"),
        ("a.txt?fromat=json", "Did you mean 'format'"),
    ],
)
def test_what_is_wrong_with_the_url_is_said(tmp_path: Path, url: str, said: str) -> None:
    (tmp_path / "a.txt").write_bytes(b'{"id":1}\n')
    with pytest.raises(UsageError, match=said):
        _read(tmp_path, url)


def test_the_format_may_be_named_and_a_question_mark_may_be_a_wildcard(tmp_path: Path) -> None:
    (tmp_path / "a1.log").write_bytes(b'{"id":1}\n')
    assert _read(tmp_path, "a?.log?format=json")[0] == [{"id": 1}]
    assert _read(tmp_path, "b*.jsonl?optional=yes") == ([], [])


def test_hostile_names_come_out_printable_in_messages(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31mred.csv").write_bytes(b"x\n1\n")
    with pytest.raises(HeadwaterError) as caught:
        _read(tmp_path, "*.csv", NAMED)
    assert "\x1b" not in str(caught.value)


def test_limits_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="record <= line < block"):
        Limits(block=10, line=20)
