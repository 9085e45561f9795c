"""The law of sources as tests: reading after any cursor gives exactly the rest, rows and rejects, always the same."""

from __future__ import annotations

import copy
import json
from typing import Any

import pyarrow as pa

from headwater.collect.source import Chunk, Cursor, Source

__all__ = ["SourceLaws"]


class SourceLaws:
    """Inherit it, and give the fixture `source`: one that has at least two chunks to read, some rows and some rejects.

    `most_bytes` bounds the rows of a chunk; set it to what the connector promises.
    """

    most_bytes = 256 << 20

    def test_the_source_under_test_has_something_to_tell(self, source: Source) -> None:
        chunks = list(source.read())
        assert len(chunks) > 1
        assert sum(chunk.rows.num_rows for chunk in chunks) > 1
        assert any(chunk.rejects for chunk in chunks)

    def test_reading_after_any_cursor_gives_exactly_the_rest(self, source: Source) -> None:
        chunks = [_seen(chunk) for chunk in source.read()]
        for at, (*_, cursor) in enumerate(chunks, start=1):
            assert [_seen(chunk) for chunk in source.read(after=_kept(cursor))] == chunks[at:]

    def test_reading_twice_gives_the_same(self, source: Source) -> None:
        assert [_seen(chunk) for chunk in source.read()] == [_seen(chunk) for chunk in source.read()]

    def test_cursors_are_plain_json(self, source: Source) -> None:
        for chunk in source.read():
            assert _kept(chunk.cursor) == chunk.cursor

    def test_reading_leaves_the_cursor_it_was_given_as_it_was(self, source: Source) -> None:
        cursor = next(iter(source.read())).cursor
        before = copy.deepcopy(cursor)
        list(source.read(after=cursor))
        assert cursor == before

    def test_a_chunk_keeps_its_cursor_when_reading_goes_on(self, source: Source) -> None:
        reading = source.read()
        first = next(reading)
        before = copy.deepcopy(first.cursor)
        list(reading)
        assert first.cursor == before

    def test_chunks_are_bounded(self, source: Source) -> None:
        for chunk in source.read():
            assert chunk.rows.nbytes <= self.most_bytes

    def test_every_row_and_reject_has_a_place_of_its_own(self, source: Source) -> None:
        places = []
        for chunk in source.read():
            places += [chunk.place(row) for row in range(chunk.rows.num_rows)]
            places += [reject.place for reject in chunk.rejects]
        assert len({place.at for place in places}) == len(places)
        assert all(len(place.raw) <= 64 * 1024 for place in places)

    def test_rows_have_types_that_every_engine_takes(self, source: Source) -> None:
        for chunk in source.read():
            assert not [column for column in chunk.rows.schema if not _is_plain(column.type)]


def _kept(cursor: Cursor) -> Cursor:
    """A cursor as the ledger gives it back."""
    kept: Cursor = json.loads(json.dumps(cursor, allow_nan=False))
    return kept


def _seen(chunk: Chunk) -> tuple[Any, ...]:
    rows = chunk.rows.combine_chunks()
    places = [chunk.place(row) for row in range(rows.num_rows)]
    return rows.schema, rows.to_pylist(), places, list(chunk.rejects), chunk.cursor


def _is_plain(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return all(_is_plain(one.type) for one in kind)
    if pa.types.is_list(kind):
        return _is_plain(kind.value_type)
    views = pa.types.is_string_view(kind) or pa.types.is_binary_view(kind) or pa.types.is_dictionary(kind)
    return not (views or pa.types.is_unsigned_integer(kind))
