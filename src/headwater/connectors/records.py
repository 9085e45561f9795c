"""Records out of a block of text: all in one go where a block is clean, one by one only around what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.collect.source import Place, Reject

__all__ = ["Bad", "Cut", "Format", "Limits", "Parsed", "Places", "Shape", "Spans", "parse", "shown"]

Spans = npt.NDArray[np.int64]
_RAW = 64 * 1024
MOST_EXTRA_COLUMNS = 256


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds in bytes: of a block read at once, of a line, of a CSV record over several lines, of the part of a block
    that is read one by one when it holds something bad; and how many lines a chunk has at most.

    From 32 MiB on, glibc maps a block's memory anew each time, and zeroing it takes as long as reading it."""

    block: int = 24 << 20
    line: int = 16 << 20
    record: int = 1 << 20
    part: int = 64 << 10
    rows: int = 1 << 19

    def __post_init__(self) -> None:
        if not 0 < self.record <= self.line < self.block or self.part < 1 or self.rows < 1:
            raise ValueError(f"expected 0 < record <= line < block, and part and rows at least 1, not {self}")


@dataclass(frozen=True)
class Bad:
    """A stretch of a block that is no record, and why."""

    start: int
    end: int
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where the records of a block are, blank lines left out. `taken` bytes with `lines` newlines are used up.

    `full`: it stopped at a limit, so more may follow in the same block. `too_long`: it stopped at a line over the
    limit. `unended`: the last record has no newline.
    """

    starts: Spans
    ends: Spans
    taken: int
    lines: int
    bad: Sequence[Bad] = ()
    full: bool = False
    too_long: bool = False
    unended: bool = False


@dataclass
class Shape:
    """What is known of a chunk's columns while it is parsed: `schema` to try, extra columns seen, those of no one type."""

    schema: pa.Schema
    extra: dict[str, None] = field(default_factory=dict)
    untold: set[str] = field(default_factory=set)


class Format(Protocol):
    """How text becomes records. `fast` must accept no more than `slow` does, and give the same values."""

    declared: pa.Schema
    padding: bytes
    """What may stand between a record and its newline."""

    def begin(self, head: bytes, whole: bool) -> int | None:
        """Read what a file begins with; returns its length, None while it is not all there."""
        ...

    def cut(self, block: bytes, *, last: bool, grows: bool) -> Cut: ...

    def shape(self, block: bytes, starts: Spans, ends: Spans) -> Shape: ...

    def fast(self, block: bytes, starts: Spans, ends: Spans, shape: Shape) -> pa.Table | None: ...

    def slow(self, block: bytes, starts: Spans, ends: Spans, shape: Shape) -> tuple[pa.Table, dict[int, tuple[str, str]]]: ...


@dataclass(frozen=True)
class Parsed:
    """Rows of a block, where each was, and what was no record, in order."""

    rows: pa.Table
    starts: Spans
    ends: Spans
    bad: Sequence[Bad]


def parse(form: Format, block: bytes, cut: Cut, part: int) -> Parsed:
    """The records that `cut` found in `block`. Nothing is lost: each becomes a row or a `Bad`."""
    starts, ends = cut.starts, cut.ends
    if not len(starts):
        return Parsed(form.declared.empty_table(), starts, ends, cut.bad)
    shape = form.shape(block, starts, ends)
    whole = None if cut.bad else form.fast(block, starts, ends, shape)
    pieces, bad, keep = [(whole, len(starts))], list(cut.bad), np.ones(len(starts), bool)
    if whole is None:
        pieces.clear()
        for low, high in _parts(starts, ends, cut.bad, part):
            span = (block, starts[low:high], ends[low:high], shape)
            piece, wrong = form.fast(*span), dict[int, tuple[str, str]]()
            if piece is None:
                piece, wrong = form.slow(*span)
                keep[[low + row for row in wrong]] = False
                bad += [Bad(int(starts[low + row]), int(ends[low + row]), *why) for row, why in wrong.items()]
            pieces.append((piece, high - low - len(wrong)))
    rows = _stack(pieces, form.declared, shape)
    if not rows.num_columns:  # no column, no row: Arrow cannot hold it otherwise
        keep[:] = False
    return Parsed(rows, starts[keep], ends[keep], sorted(bad, key=lambda one: one.start))


def _parts(starts: Spans, ends: Spans, bad: Sequence[Bad], size: int) -> Iterator[tuple[int, int]]:
    """Runs of records of about `size` bytes with nothing bad between them."""
    stops = [*np.searchsorted(starts, [one.start for one in bad]).tolist(), len(starts)]
    low = 0
    for stop in stops:
        while low < stop:
            high = max(int(np.searchsorted(ends, starts[low] + size, side="right")), low + 1)
            yield low, min(high, stop)
            low = min(high, stop)


def _stack(pieces: Sequence[tuple[pa.Table, int]], declared: pa.Schema, shape: Shape) -> pa.Table:
    """One table: the declared columns, then extra ones that have one plain type in all of the chunk."""
    types: dict[str, Any] = {}
    for one in (column for piece, _ in pieces for column in piece.schema if column.name not in declared.names):
        if one.name in shape.untold or pa.types.is_null(one.type):
            continue
        types[one.name] = _joint(types.get(one.name, one.type), one.type)
    names = [name for name in shape.extra if types.get(name) is not None]
    target = pa.schema([*declared, *((name, types[name]) for name in names)])
    told = pa.concat_tables([_fitted(piece, count, target) for piece, count in pieces])
    return told.drop_columns([name for name in names if told.column(name).null_count == told.num_rows])


def _joint(one: Any, other: Any) -> Any:
    """The type that holds both, None if there is none or it is no plain value."""
    plain = (pa.bool_(), pa.int64(), pa.float64(), pa.string())
    if one not in plain or other not in plain:
        return None
    if one == other:
        return one
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else None


def _fitted(piece: pa.Table, count: int, target: pa.Schema) -> pa.Table:
    have = set(piece.column_names)
    columns = [piece.column(one.name).cast(one.type, safe=False) if one.name in have else pa.nulls(count, one.type) for one in target]
    return pa.table(columns, schema=target)


def shown(raw: bytes) -> str:
    """Bytes as text, at most 64 Ki characters, what is no UTF-8 as escapes."""
    return raw[:_RAW].rstrip(b"\r\n").decode("utf-8", "backslashreplace")[:_RAW]


@dataclass(frozen=True)
class Places:
    """Turns stretches of a block into places: the block began after `lines` lines, at byte `base` of the file `name`."""

    name: str
    block: bytes
    base: int
    lines: int

    @cached_property
    def _newlines(self) -> Spans:
        return np.flatnonzero(np.frombuffer(self.block, np.uint8) == 10)

    def place(self, start: int, end: int) -> Place:
        line = self.lines + int(np.searchsorted(self._newlines, start)) + 1
        return Place(at=f"{self.name}:{line}@{self.base + start}", raw=shown(self.block[start : min(end, start + _RAW)]))

    def reject(self, bad: Bad) -> Reject:
        return Reject(code=bad.code, reason=bad.reason, place=self.place(bad.start, bad.end))
