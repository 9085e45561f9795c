"""CSV: a header, then records of as many fields, quoted ones over several lines; every column is text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as pc

from headwater.connectors.records import Bad, Cut, Limits, Shape, Spans
from headwater.core.errors import DataError
from headwater.core.names import printable

__all__ = ["HEAD", "Delimited", "with_types"]

HEAD = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_COMMA, _QUOTE, _NEWLINE, _RETURN = b',"\n\r'
_FIELD = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n][^,\r\n]*|))(,|\r?\n|\Z)')
_QUOTED = re.compile(rb'"[^"]*(?:""[^"]*)*"')
_LOOKS = {
    r"^(0|-?[1-9][0-9]{0,17})$": pa.int64(),
    r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$": pa.float64(),
    r"^(true|false)$": pa.bool_(),
}
_UNCLOSED = -1
_WRONG = -2


class Delimited:
    """The format of one .csv file.

    Guarantees: a row has as many fields as the header; an empty field is null, `""` is empty text. A quote counts only
    where a field begins; one that is not closed within `limits.record` bytes costs its own line and no other.
    """

    padding = b"\r\n"

    def __init__(self, schema: pa.Schema | None, limits: Limits, name: str) -> None:
        self.declared = pa.schema([(column.name, pa.string()) for column in schema or ()])
        self._limits, self._name = limits, printable(name)
        self._header: list[str] = []

    def begin(self, head: bytes, whole: bool) -> int | None:
        """Read the header. Raises `DataError` if it is none for the declared columns."""
        start = len(_BOM) if head.startswith(_BOM) else 0
        end = _end(head, start, len(head))
        if end in (_UNCLOSED, _WRONG) or not head[:end].endswith(b"\n"):
            if whole:
                return None
            raise DataError(
                f"{self._name}: its header does not end within {HEAD} bytes. Expected the names of the columns on the first line"
            )
        try:
            header = [field or "" for field in _fields(head[start:end])]
        except UnicodeDecodeError:
            raise DataError(f"{self._name}: its header is not UTF-8. Save the file as UTF-8") from None
        named = [name for name in header if name]
        twice = {name for name in named if named.count(name) > 1}
        if twice or not named:
            raise DataError(
                f"{self._name}: its header {_list(header)} names {_list(sorted(twice)) or 'no column'} twice. Give each column one name"
            )
        if len(self.declared) and not set(named) & set(self.declared.names):
            raise DataError(f"{self._name}: its header is {_list(header)}. Expected some of {_list(self.declared.names)}")
        self._header = [name or f"\0{at}" for at, name in enumerate(header)]  # columns without a name are left out later
        return end

    def cut(self, block: bytes, *, last: bool, grows: bool) -> Cut:
        """Records: lines, joined where a quoted field goes on over their ends."""
        text = np.frombuffer(block, np.uint8)
        newlines = np.flatnonzero(text == _NEWLINE)
        lines = np.diff(newlines, prepend=-1)
        tail = len(block) - (int(newlines[-1]) + 1 if len(newlines) else 0)
        whole = len(block) - block.endswith(b"\r")  # half of a CR LF
        plain = _is_plain(block, text[:whole], 0, whole)
        if not plain or tail > self._limits.line or (len(lines) and lines.max() > self._limits.line):
            return self._scan(block, last, grows)
        quotes = np.flatnonzero(text == _QUOTE)
        outside = np.searchsorted(quotes, newlines) % 2 == 0
        ends = newlines[outside] + 1
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))[: len(ends)]
        taken = int(ends[-1]) if len(ends) else 0
        several = len(ends) < len(newlines)
        if several and (len(block) - taken > self._limits.record or (len(ends) and (ends - starts).max() > self._limits.record)):
            return self._scan(block, last, grows)
        full = len(ends) > self._limits.rows
        starts, ends = starts[: self._limits.rows], ends[: self._limits.rows]
        taken = int(ends[-1]) if len(ends) else 0
        if last and not full and taken < len(block):
            return self._scan(block, last, grows, starts=starts.tolist(), ends=ends.tolist())
        kept = (ends - starts > 2) | ((text[starts] != _NEWLINE) & (text[starts] != _RETURN))
        return Cut(starts=starts[kept], ends=ends[kept], taken=taken, lines=block.count(b"\n", 0, taken), full=full)

    def _scan(self, block: bytes, last: bool, grows: bool, starts: list[int] | None = None, ends: list[int] | None = None) -> Cut:
        """`cut`, record by record, after the `starts` and `ends` that are known."""
        starts, ends, bad = starts or [], ends or [], list[Bad]()
        at, size, too_long, unended = ends[-1] if ends else 0, len(block), False, False
        while at < size and len(starts) + len(bad) < self._limits.rows:
            newline = block.find(b"\n", at)
            line = newline + 1 if newline >= 0 else size
            if line - at > self._limits.line:
                too_long = True
                break
            bound = min(size, max(line, at + self._limits.record))
            end = _end(block, at, bound)
            ended = end > 0 and block[end - 1] == _NEWLINE
            if ended or (end == size and last and (not grows or len(_fields(block[at:end], "replace")) == len(self._header))):
                starts.append(at)
                ends.append(end)
                at, unended = end, not ended
                continue
            half = end == _WRONG and block.endswith(b"\r")
            may_go_on = bound == size and (end != _WRONG or half) and not (last and not grows)
            if may_go_on or (newline < 0 and (grows or not last)):
                break
            bad.append(Bad(at, line, "csv.quoting", "a quoted field is not closed, or something follows its closing quote"))
            at = line
        full = too_long or len(starts) + len(bad) >= self._limits.rows
        spans = [(s, e) for s, e in zip(starts, ends, strict=True) if block[s : min(e, s + 3)].strip(b"\r\n")]
        pairs = np.array(spans, np.int64).reshape(-1, 2)
        return Cut(
            starts=pairs[:, 0],
            ends=pairs[:, 1],
            taken=at,
            lines=block.count(b"\n", 0, at),
            bad=bad,
            full=full,
            too_long=too_long,
            unended=unended,
        )

    def shape(self, block: bytes, starts: Spans, ends: Spans) -> Shape:
        extra = [name for name in self._header if name not in self.declared.names and not name.startswith("\0")]
        return Shape(pa.schema([(name, pa.string()) for name in self._header]), extra=dict.fromkeys(extra))

    def fast(self, block: bytes, starts: Spans, ends: Spans, shape: Shape) -> pa.Table | None:
        """All records at once, None if any needs a closer look."""
        low, high = int(starts[0]), int(ends[-1])
        if not _is_plain(block, np.frombuffer(block, np.uint8)[low:high], low, high):
            return None
        try:
            rows = pc.read_csv(
                pa.BufferReader(pa.py_buffer(block)[low:high]),
                read_options=pc.ReadOptions(
                    column_names=self._header, block_size=max(4 << 20, 2 * int((ends - starts).max())), use_threads=high - low > 4 << 20
                ),
                parse_options=pc.ParseOptions(newlines_in_values=block.find(b'"', low, high) >= 0),
                convert_options=pc.ConvertOptions(
                    column_types=shape.schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        return rows if rows.num_rows == len(starts) else None

    def slow(self, block: bytes, starts: Spans, ends: Spans, shape: Shape) -> tuple[pa.Table, dict[int, tuple[str, str]]]:
        """The good records as rows, and why each of the others is none."""
        good: list[list[str | None]] = []
        wrong: dict[int, tuple[str, str]] = {}
        for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            try:
                fields = _fields(block[start:end])
            except UnicodeDecodeError:
                wrong[row] = ("encoding.invalid", "a field of the record is not UTF-8")
                continue
            if len(fields) == len(self._header):
                good.append(fields)
            else:
                wrong[row] = ("csv.fields", f"it has {len(fields)} fields: expected {len(self._header)}, as in the header")
        columns = list(zip(*good, strict=True)) or [()] * len(self._header)
        return pa.table([pa.array(column, pa.string()) for column in columns], names=self._header), wrong


def _end(block: bytes, start: int, bound: int) -> int:
    """Where the record at `start` ends, after its newline or at `bound`; `_UNCLOSED` or `_WRONG` if it does not."""
    at = start
    while True:
        field = _FIELD.match(block, at, bound)
        if field is None:
            return _WRONG if block[at] != _QUOTE or _QUOTED.match(block, at, bound) else _UNCLOSED
        at = field.end()
        if field.group(3) != b",":
            return at


def _fields(record: bytes, errors: str = "strict") -> list[str | None]:
    """The fields of a record that `_end` accepts; an empty one that is not quoted is None."""
    fields: list[str | None] = []
    at = 0
    while field := _FIELD.match(record, at):
        quoted, plain, then = field.groups()
        fields.append(quoted.replace(b'""', b'"').decode("utf-8", errors) if quoted is not None else plain.decode("utf-8", errors) or None)
        at = field.end()
        if then != b",":
            break
    return fields


def _is_plain(block: bytes, text: Any, low: int, high: int) -> bool:
    """Whether quotes open only where fields begin and close only where they end, and lines end in LF or CR LF: then every
    other quote opens, and a newline is inside of a field exactly if an odd number of quotes comes before it."""
    returns = block.count(b"\r", low, high)
    if returns and returns != block.count(b"\r\n", low, high):
        return False
    if block.find(b'"', low, high) < 0:
        return True
    quotes = np.flatnonzero(text == _QUOTE)
    padded = np.concatenate(([_NEWLINE], text, [_NEWLINE]))
    before, after = padded[quotes[0::2]], padded[quotes[1::2] + 2]
    opens = (before == _COMMA) | (before == _NEWLINE) | (before == _QUOTE)
    closes = (after == _COMMA) | (after == _NEWLINE) | (after == _RETURN) | (after == _QUOTE)
    return bool(opens.all() and closes.all())


def _list(names: list[str]) -> str:
    return printable(", ".join(names), 120)


def with_types(rows: pa.Table) -> pa.Table:
    """`rows` of text with the columns that are all whole numbers, numbers, or true and false as such; `007` stays text."""
    for at, name in enumerate(rows.column_names):
        text = rows.column(name)
        for pattern, kind in _LOOKS.items():
            if text.null_count < len(text) and compute.all(compute.match_substring_regex(text, pattern)).as_py():
                rows = rows.set_column(at, name, text.cast(kind))
                break
    return rows
