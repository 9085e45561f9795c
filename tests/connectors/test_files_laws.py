"""Files keep the law of sources, whatever their format."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.connectors.files import FilesSource, Limits
from headwater.testing.source_laws import SourceLaws

SCHEMA = pa.schema([("id", pa.int64()), ("kind", pa.string())])
SMALL = Limits(block=256, line=128, record=96, part=64, rows=5)
LINES = b"".join(b'{"id":%d,"kind":"v%d"}\n' % (n, n) if n % 7 else b'\n{"id":"%d"}\n' % n for n in range(40))
RECORDS = b"id,kind\r\n" + b"".join(b'%d,"v\n""%d"""\r\n' % (n, n) if n % 7 else b"%d,a,b\r\n" % n for n in range(40))


class FilesLaws(SourceLaws):
    """Files promise one thing more: where a chunk ends is their business, a cursor holds whatever the limits were."""

    def test_a_cursor_made_under_other_limits_is_as_good(self, source: FilesSource) -> None:
        chunks = list(source.read())
        rest = [row for chunk in chunks for row in chunk.rows.to_pylist()]
        rejects = [one for chunk in chunks for one in chunk.rejects]
        wider = replace(source, limits=Limits(block=700, line=128, record=96, part=200, rows=7))
        for chunk in chunks:
            rest, rejects = rest[chunk.rows.num_rows :], rejects[len(chunk.rejects) :]
            again = list(wider.read(after=chunk.cursor))
            assert [row for one in again for row in one.rows.to_pylist()] == rest
            assert [one for more in again for one in more.rejects] == rejects


class TestJsonLines(FilesLaws):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FilesSource:
        (tmp_path / "a.jsonl").write_bytes(LINES)
        (tmp_path / "b.jsonl").write_bytes(b"\xef\xbb\xbf" + LINES + b'{"id":1}')
        return FilesSource("events", "*.jsonl", schema=SCHEMA, root=tmp_path, limits=SMALL)


class TestPackedJsonLines(FilesLaws):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FilesSource:
        packed = gzip.compress(LINES, mtime=0) + gzip.compress(LINES, mtime=0)
        (tmp_path / "a.jsonl.gz").write_bytes(packed)
        (tmp_path / "b.jsonl.gz").write_bytes(packed[: len(packed) - 30])
        return FilesSource("events", "*.gz", schema=SCHEMA, root=tmp_path, limits=SMALL)


class TestCsv(FilesLaws):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FilesSource:
        (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + RECORDS)
        (tmp_path / "b.csv").write_bytes(RECORDS.replace(b'""', b""))
        return FilesSource("events", "*.csv", schema=SCHEMA, root=tmp_path, limits=SMALL)


class TestPackedCsv(FilesLaws):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FilesSource:
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(RECORDS + b'41,"never closed\n42,x\n', mtime=0))
        return FilesSource("events", "a.csv.gz", schema=SCHEMA, root=tmp_path, limits=SMALL)


class TestParquet(FilesLaws):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FilesSource:
        many = [2**64 - 1 if n % 9 == 8 else n for n in range(40)]
        kinds = pa.array([f"v{n}" for n in range(40)]).dictionary_encode()
        pq.write_table(pa.table({"id": pa.array(many, pa.uint64()), "kind": kinds}), tmp_path / "a.parquet", row_group_size=13)
        (tmp_path / "b.parquet").write_bytes(b"PAR1 this is none PAR1")
        return FilesSource("events", "*.parquet", schema=SCHEMA, root=tmp_path, limits=SMALL)
