"""JSON lines: one object a line, parsed in columns; what the column parser refuses is judged line by line."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from headwater.connectors.records import MOST_EXTRA_COLUMNS, Cut, Limits, Shape, Spans
from headwater.connectors.wire import Misfit, fit, told, wire_schema
from headwater.core.names import printable

__all__ = ["JsonLines"]

_BOM = b"\xef\xbb\xbf"
_OPEN, _CLOSE, _NEWLINE, _RETURN = b"{}\n\r"
_SAMPLE = 1000
_PIECE = 1 << 18
_DEPTH = 256
_EXACT = {pa.string(): str, pa.float64(): float, pa.bool_(): bool}
_SPACES = b" \t\r\n"


class JsonLines:
    """The format of .jsonl, .ndjson and .json files.

    Guarantees: a row is an object whose declared columns have the JSON kind that their type asks for. pyarrow reads whole
    blocks; it is trusted only where each line begins and ends with a brace and there are as many rows as lines, for it
    takes several objects on a line, objects over several lines, NaN, broken UTF-8, and dies of deep nesting.
    """

    padding = _SPACES

    def __init__(self, schema: pa.Schema | None, limits: Limits) -> None:
        self.declared = wire_schema(schema)
        self._types = {column.name: column.type for column in self.declared}
        self._exact = {name: _EXACT[kind] for name, kind in self._types.items() if kind in _EXACT}
        self._limits = limits

    def begin(self, head: bytes, whole: bool) -> int | None:
        return len(_BOM) if head.startswith(_BOM) else 0

    def cut(self, block: bytes, *, last: bool, grows: bool) -> Cut:
        """Lines, and what follows the last newline if it is the last block and a whole object, or cannot grow."""
        text = np.frombuffer(block, np.uint8)
        ends = _newlines(text) + 1
        full = len(ends) > self._limits.rows
        ends = ends[: self._limits.rows]
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))[: len(ends)]
        over = np.flatnonzero(ends - starts > self._limits.line)
        if len(over):
            full, starts, ends = True, starts[: over[0]], ends[: over[0]]
        taken = int(ends[-1]) if len(ends) else 0
        tail = len(block) - taken
        too_long = bool(len(over)) or (not full and tail > self._limits.line)
        full = full or too_long
        unended, lines = False, len(ends)
        if last and not full and tail and (not grows or _is_object(block[taken:])):
            starts, ends = np.append(starts, taken), np.append(ends, len(block))
            taken, unended = len(block), True
        kept = _not_blank(block, text, starts, ends)
        if not kept.all():
            starts, ends = starts[kept], ends[kept]
        return Cut(starts=starts, ends=ends, taken=taken, lines=lines, full=full, too_long=too_long, unended=unended)

    def shape(self, block: bytes, starts: Spans, ends: Spans) -> Shape:
        """The declared columns and those that the first records of the block have besides."""
        extra: dict[str, list[Any]] = {}
        for start, end in zip(starts[:_SAMPLE].tolist(), ends[:_SAMPLE].tolist(), strict=True):
            line = block[start:end]
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(value, dict) and not value.keys() <= self._types.keys() and not _is_deep(line):
                for name in value:
                    if name not in self._types and (name in extra or len(extra) < MOST_EXTRA_COLUMNS):
                        extra.setdefault(name, []).append(value[name])
        types = {name: kind for name, values in extra.items() if (kind := told(values)) is not None}
        return Shape(pa.schema([*self.declared, *types.items()]), extra=dict.fromkeys(extra))

    def fast(self, block: bytes, starts: Spans, ends: Spans, shape: Shape) -> pa.Table | None:
        """All records at once, None if any needs a closer look."""
        low, high = int(starts[0]), int(ends[-1])
        longest = int((ends - starts).max())
        if not len(shape.schema) or not _in_braces(block, starts, ends) or (longest > _DEPTH and _any_deep(block, starts, ends)):
            return None
        text = pa.py_buffer(block)[low:high]
        if not _is_utf8(text):
            return None
        try:
            rows = pj.read_json(
                pa.BufferReader(text),
                read_options=pj.ReadOptions(block_size=max(4 << 20, 2 * longest), use_threads=False),
                parse_options=pj.ParseOptions(explicit_schema=shape.schema, unexpected_field_behavior="error"),
            )
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        return rows if rows.num_rows == len(starts) and all(_is_finite(column) for column in rows.columns) else None

    def slow(self, block: bytes, starts: Spans, ends: Spans, shape: Shape) -> tuple[pa.Table, dict[int, tuple[str, str]]]:
        """The good records as rows, and why each of the others is none."""
        good: list[dict[str, Any]] = []
        wrong: dict[int, tuple[str, str]] = {}
        for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            try:
                good.append(self._record(block[start:end].strip(_SPACES), shape))
            except Misfit as misfit:
                wrong[row] = (misfit.code, misfit.reason)
        columns = {name: pa.array([record.get(name) for record in good], kind) for name, kind in self._types.items()}
        extra = dict.fromkeys(name for record in good for name in record if name not in self._types)
        for name in extra:
            values = [record.get(name) for record in good]
            kind = told(values)
            if kind is None or pa.types.is_nested(kind):
                if any(value is not None for value in values):
                    shape.untold.add(name)
                continue
            columns[name] = pa.array(values, kind)
        return pa.table(columns), wrong

    def _record(self, line: bytes, shape: Shape) -> dict[str, Any]:
        record = _loaded(line)
        for name, value in record.items():
            if type(value) is self._exact.get(name):  # the common case, without asking Arrow
                continue
            kind = self._types.get(name)
            if kind is not None:
                record[name] = fit(name, value, kind)
            elif name not in shape.extra:
                if len(shape.extra) >= MOST_EXTRA_COLUMNS:
                    raise Misfit("json.columns", f"it has an unknown column beyond the {MOST_EXTRA_COLUMNS} that a chunk may have")
                shape.extra[name] = None
        return record


def _loaded(line: bytes) -> dict[str, Any]:
    """The object in `line`. Raises `Misfit`."""
    if _is_deep(line):
        raise Misfit("json.depth", f"it is nested more than {_DEPTH} deep")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _why_not(line, error) from None
    if not isinstance(value, dict):
        raise Misfit("json.invalid", f"expected a JSON object on each line, not a {type(value).__name__}")
    if _may_repeat(line, value):
        json.loads(line, object_pairs_hook=_once, parse_int=str, parse_float=str)
    return value


def _why_not(line: bytes, error: orjson.JSONDecodeError) -> Misfit:
    try:
        line.decode()
    except UnicodeDecodeError as broken:
        return Misfit("encoding.invalid", f"byte {broken.start + 1} of the record is not UTF-8")
    if "infinity" in str(error) or re.search(rb"[:\[,]\s*-?(NaN|Inf(inity)?)\s*[,\]}]", line):
        return Misfit("json.number", "it has a number that is not finite: NaN, Infinity or over 1.8e308")
    return Misfit("json.invalid", f"it is not JSON: {printable(error.msg, 80)} at byte {error.pos + 1}")


def _may_repeat(line: bytes, value: dict[str, Any]) -> bool:
    """Whether there are more colons than the keys and the texts of a flat object account for."""
    spare = line.count(b":") - len(value)
    if not spare or b"\\" in line:
        return spare > 0
    texts = "".join(value) + "".join([one for one in value.values() if type(one) is str])
    return spare != texts.count(":")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Misfit("json.key-twice", f"it has the key {printable(twice, 60)!r} twice")
    return found


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text.strip(_SPACES)), dict)
    except orjson.JSONDecodeError:
        return False


def _newlines(text: Any) -> Spans:
    """Where they are; in pieces that stay in the processor's cache."""
    pieces = range(0, max(len(text), 1), _PIECE)
    return np.concatenate([np.flatnonzero(text[at : at + _PIECE] == _NEWLINE) + at for at in pieces])


def _not_blank(block: bytes, text: Any, starts: Spans, ends: Spans) -> Any:
    kept = np.ones(len(starts), bool)
    first = text[starts]
    for row in np.flatnonzero(np.isin(first, tuple(_SPACES))):
        kept[row] = bool(block[starts[row] : ends[row]].strip(_SPACES))
    return kept


def _in_braces(block: bytes, starts: Spans, ends: Spans) -> bool:
    """Whether each record begins and ends with a brace. Then no object can go on over a line's end: after a closing
    brace only a comma or another closing one could follow inside of an object, never an opening one."""
    text = np.frombuffer(block, np.uint8)
    last = ends - 2
    last[-1] += text[ends[-1] - 1] != _NEWLINE  # which only the last record of a file may lack
    closing = text[last]
    if (returns := closing == _RETURN).any():
        closing = text[last - returns]
    unclear = np.flatnonzero((text[starts] != _OPEN) | (closing != _CLOSE))
    for row in unclear.tolist():
        line = block[starts[row] : ends[row]].strip(_SPACES)
        if line[:1] != b"{" or line[-1:] != b"}":
            return False
    return True


def _is_deep(line: bytes) -> bool:
    if line.count(b"{") + line.count(b"[") <= _DEPTH:
        return False
    depth = 0
    for bracket in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', line, re.DOTALL):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(bracket.group(), 0)
        if depth > _DEPTH:
            return True
    return False


def _any_deep(block: bytes, starts: Spans, ends: Spans) -> bool:
    low, high = int(starts[0]), int(ends[-1])
    if block.count(b"{", low, high) + block.count(b"[", low, high) - len(starts) < _DEPTH:
        return False
    long = np.flatnonzero(ends - starts > _DEPTH)
    return any(_is_deep(block[start:end]) for start, end in zip(starts[long].tolist(), ends[long].tolist(), strict=True))


def _is_utf8(text: pa.Buffer) -> bool:
    offsets = pa.py_buffer(np.array([0, text.size], np.int32))
    try:
        pa.StringArray.from_buffers(1, offsets, text).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_finite(column: Any) -> bool:
    kind = column.type
    if pa.types.is_floating(kind):
        return bool(pc.all(pc.is_finite(column), min_count=0).as_py())
    if pa.types.is_struct(kind) or pa.types.is_list(kind):
        arrays = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return all(_is_finite(inner) for array in arrays for inner in (array.flatten() if pa.types.is_struct(kind) else [array.flatten()]))
    return True
