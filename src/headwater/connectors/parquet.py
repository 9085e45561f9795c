"""Parquet: rows in batches of bounded bytes, in types that every engine takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headwater.collect.source import Chunk, Place, Reject
from headwater.connectors.opened import Opened, fingerprint
from headwater.connectors.positions import Position
from headwater.connectors.records import Limits, shown
from headwater.connectors.wire import wire_schema
from headwater.core.names import printable

__all__ = ["rows_of"]

_BROKEN = (pa.ArrowException, OSError, ValueError, UnicodeDecodeError)


def rows_of(file: Opened, position: Position | None, schema: pa.Schema | None, limits: Limits) -> Iterator[tuple[Chunk, Position]]:
    """The rows of a Parquet file after `position`. What cannot be read is one reject, for the rest of the file."""
    done_rows = position.lines if position else 0
    mark = fingerprint(file.handle, file.size)

    def at(rows: int, done: bool) -> Position:
        return Position(lines=rows, done=done, grows=False, size=file.size, mtime=file.mtime, inode=file.inode, mark=mark)

    row = 0
    try:
        with os.fdopen(os.dup(file.handle), "rb") as handle, pq.ParquetFile(handle) as parquet:
            total = parquet.metadata.num_rows
            for batch in _batches(parquet, done_rows, limits):
                start, row = max(row, batch[0]), batch[0] + batch[1].num_rows
                yield _chunk(file.name, start, batch[1], schema), at(row, row == total)
                done_rows = row
    except _BROKEN as error:
        place = Place(at=f"{file.name}:row {done_rows + 1}", raw="")
        reject = Reject(code="parquet.unreadable", reason=f"the rest of the file cannot be read: {printable(str(error), 120)}", place=place)
        yield Chunk(rows=wire_schema(schema).empty_table(), cursor={}, rejects=(reject,)), at(done_rows, True)


def _batches(parquet: Any, skip: int, limits: Limits) -> Iterator[tuple[int, Any]]:
    """Batches with the row that each begins at, from row `skip` on; cut by row group, so always at the same rows."""
    first = 0
    for group in range(parquet.num_row_groups):
        about = parquet.metadata.row_group(group)
        size = max(min(limits.rows, limits.block * about.num_rows // max(about.total_byte_size, 1)), 1)
        at = first
        first += about.num_rows
        if first <= skip:
            continue
        for batch in parquet.iter_batches(batch_size=size, row_groups=[group], use_threads=True):
            end = at + batch.num_rows
            if end > skip:
                kept = batch.slice(max(skip - at, 0))
                yield end - kept.num_rows, kept
            at = end


def _chunk(name: str, start: int, batch: Any, schema: pa.Schema | None) -> Chunk:
    table = pa.Table.from_batches([batch])
    good, beyond = _in_range(table)
    rows = _plain(table.filter(good) if beyond else table)
    kept = pc.indices_nonzero(good).to_pylist() if beyond else None
    for column in schema or ():
        if column.name not in rows.column_names:
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, column.type))

    def place(row: int) -> Place:
        at = kept[row] if kept is not None else row
        raw = orjson.dumps(table.slice(at, 1).to_pylist()[0], default=repr, option=orjson.OPT_NON_STR_KEYS)
        return Place(at=f"{name}:row {start + at + 1}", raw=shown(raw))

    rejects = [
        Reject(
            code="parquet.number", reason=f"{printable(beyond[at])} is a whole number beyond 64 bits", place=_raw(table, name, start, at)
        )
        for at in sorted(beyond)
    ]
    return Chunk(rows=rows, cursor={}, rejects=rejects, place=place)


def _raw(table: pa.Table, name: str, start: int, at: int) -> Place:
    return Place(
        at=f"{name}:row {start + at + 1}", raw=shown(orjson.dumps({k: repr(v) for k, v in table.slice(at, 1).to_pylist()[0].items()}))
    )


def _in_range(table: pa.Table) -> tuple[Any, dict[int, str]]:
    """Which rows have no unsigned number beyond what is signed, and the column that has one in each of the others."""
    beyond: dict[int, str] = {}
    good: Any = pa.array([True]).take(pa.nulls(0, pa.int64()))
    for column in table.schema:
        if column.type == pa.uint64():
            over = pc.fill_null(pc.greater(table.column(column.name), pa.scalar(2**63 - 1, pa.uint64())), False)
            beyond.update(dict.fromkeys(pc.indices_nonzero(over).to_pylist(), column.name))
    if beyond:
        good = pa.array([row not in beyond for row in range(table.num_rows)])
    return good, beyond


def _plain(table: pa.Table) -> pa.Table:
    target = pa.schema([(column.name, _plain_type(column.type)) for column in table.schema])
    return table.cast(target)


def _plain_type(kind: Any) -> Any:
    """The same values in the plain form of the type: no views, no dictionaries, nothing unsigned."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_unsigned_integer(kind):
        return {8: pa.int16(), 16: pa.int32()}.get(kind.bit_width, pa.int64())
    if kind == pa.float16():
        return pa.float32()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(one.name, _plain_type(one.type)) for one in kind])
    return kind
