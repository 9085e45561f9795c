"""Contract: what a record must be. Splits rows into those that keep it and those that break it, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandera.polars as pandera
import polars as pl
import pyarrow as pa

from headwater.core.errors import UsageError
from headwater.core.names import printable

__all__ = ["Contract", "Split", "Violation"]

MOST_EXTRA_COLUMNS = 200
_RESERVED = ("_source", "_batch", "_row")
_TIMES = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Violation:
    """Why one row breaks its contract: a stable `code` (`contract.type`, `contract.check`), and a reason for people."""

    row: int
    code: str
    reason: str


@dataclass(frozen=True)
class Split:
    """`rows` keep the contract and have its types; `violations`, by row of what was given, do not. Together: everything."""

    rows: pl.DataFrame
    violations: Sequence[Violation]


class Contract:
    """A pandera (Polars) model, made strict enough to feed a lake.

    Guarantees: every row is either in `rows`, with exactly the declared types, or in `violations` with a reason.
    Text is read as a time or a number only where all of it is one; a time without a zone is UTC; NaN and infinity are
    no numbers. Columns that the model does not know are kept as they come, as new nullable columns.
    """

    def __init__(self, model: type[Any]) -> None:
        if not (isinstance(model, type) and issubclass(model, pandera.DataFrameModel)):
            raise UsageError(f"{model!r} is no contract: expected a class derived from pandera.polars.DataFrameModel")
        self.model = model
        self._schema = model.to_schema()
        self.types: dict[str, pl.DataType] = {}
        for name, column in self._schema.columns.items():
            if name in _RESERVED or column.unique:
                what = (
                    "is a name Headwater uses" if name in _RESERVED else "is unique=True, which a batch cannot know: declare key= instead"
                )
                raise UsageError(f"{model.__name__}.{name} {what}")
            self.types[name] = _stored_type(column.dtype.type, f"{model.__name__}.{name}")
            column.required = False  # a missing column becomes nulls, so that the reason names the rows
        if self._schema.unique or self._schema.checks:
            raise UsageError(
                f"{model.__name__} has a check over whole frames: a contract speaks about rows; write it as a check of a column"
            )

    @property
    def schema(self) -> pa.Schema:
        """The declared columns as Arrow types: what a source should read."""
        frame = pl.DataFrame(schema=self.types)
        return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).schema

    def split(self, rows: pa.Table, known: Mapping[str, pl.DataType] | None = None) -> Split:
        """Split `rows`; `known` are the types that extra columns already have in the lake, which they must keep."""
        types = {**(known or {}), **self.types}
        violations: dict[int, Violation] = {}
        frame = self._typed(rows, types, violations)
        self._checked(frame, violations)
        if violations:
            keep = pl.Series([True]).new_from_index(0, frame.height).scatter(list(violations), False)
            frame = frame.filter(keep)
        return Split(rows=frame, violations=[violations[row] for row in sorted(violations)])

    def _typed(self, rows: pa.Table, types: Mapping[str, pl.DataType], violations: dict[int, Violation]) -> pl.DataFrame:
        extra = [name for name in rows.column_names if name not in types]
        bad = [name for name in extra if name in _RESERVED or not name.isprintable() or len(name) > 128 or not name.strip()]
        spare = MOST_EXTRA_COLUMNS - (len(types) - len(self.types))
        for name in bad + [name for name in extra if name not in bad][max(spare, 0) :]:
            given = pl.Series(name, _plain(rows.column(name)).is_valid().to_numpy(zero_copy_only=False))
            _note(violations, given, "contract.column", f"column {printable(name)!r} cannot be taken in")
            extra.remove(name)
        columns: list[pl.Series] = []
        for name, kind in types.items():
            if name in rows.column_names:
                columns.append(_coerced(name, _plain(rows.column(name)), kind, violations))
            else:
                columns.append(pl.Series(name, [None], dtype=kind).new_from_index(0, rows.num_rows))
        columns += [_kept(name, _plain(rows.column(name)), violations) for name in extra]
        return pl.DataFrame(columns)

    def _checked(self, frame: pl.DataFrame, violations: dict[int, Violation]) -> None:
        try:
            self._schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as error:
            for case in error.failure_cases.iter_rows(named=True):
                if case["index"] is None:
                    raise UsageError(f"{self.model.__name__}: the check {case['check']} does not say which rows break it") from None
                value = "null" if case["failure_case"] is None else repr(printable(str(case["failure_case"]), 40))
                code = "contract.null" if case["check"] == "not_nullable" else "contract.check"
                reason = f"{case['column']} is {value}: expected {_expected(case['check'])}"
                violations.setdefault(case["index"], Violation(case["index"], code, reason))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _expected(check: str) -> str:
    return {"not_nullable": "a value"}.get(check, printable(check, 120))


def _stored_type(kind: Any, where: str) -> pl.DataType:
    """The type a column has in the lake: what Delta and every engine can hold."""
    dtype: pl.DataType = kind() if isinstance(kind, type) else kind
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone not in (None, "UTC"):
            raise UsageError(f"{where}: times are kept in UTC; declare pl.Datetime('us', 'UTC'), not {dtype}")
        return pl.Datetime("us", "UTC")
    if dtype.is_unsigned_integer():
        raise UsageError(f"{where}: {dtype} is not kept by every engine; declare pl.Int64 with ge=0")
    if isinstance(dtype, (pl.Duration, pl.Time, pl.Object)):
        raise UsageError(f"{where}: {dtype} cannot be kept in the lake")
    return pl.String() if isinstance(dtype, (pl.Categorical, pl.Enum)) else dtype


def _coerced(name: str, array: pa.Array, kind: pl.DataType, violations: dict[int, Violation]) -> pl.Series:
    """`array` as `kind`; where a value was there and is no such thing, null and a violation."""
    raw = pl.Series(name, array)
    if raw.dtype == kind and not kind.is_float():
        return raw
    if isinstance(kind, pl.Datetime) and raw.dtype == pl.String:
        fast = _times_fast(name, array)
        if fast is not None:
            return fast
        text = raw.replace("", None)
        out = pl.DataFrame([text]).select(
            pl.coalesce(pl.col(name).str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in _TIMES)
        )[name]
    elif kind == pl.Date and raw.dtype == pl.String:
        text = raw.replace("", None)
        out = text.str.to_date("%Y-%m-%d", strict=False)
    elif raw.dtype == pl.String and kind != pl.String:
        text = raw.replace("", None)  # a CSV's empty field
        out = _bools(text) if kind == pl.Boolean else text.str.strip_chars().cast(kind, strict=False)
    elif not _may_become(raw.dtype, kind):
        text, out = raw, pl.Series(name, [None], dtype=kind).new_from_index(0, len(raw))
    else:
        text, out = raw, raw.cast(kind, strict=False)
        if kind.is_integer() and raw.dtype.is_float():
            out = pl.select(pl.when(raw == raw.round()).then(out)).to_series().alias(name)
    if kind.is_float():
        not_finite = out.is_not_null() & ~out.is_finite()
        _note(violations, not_finite, "contract.number", f"{name} is not a finite number")
        out = pl.select(pl.when(~not_finite).then(out)).to_series().alias(name) if not_finite.any() else out
        lost = text.is_not_null() & out.is_null() & ~not_finite.fill_null(False)
    else:
        lost = text.is_not_null() & out.is_null()
    _note(violations, lost, "contract.type", f"{name} is not {_called(kind)}")
    return out


def _may_become(given: pl.DataType, kind: pl.DataType) -> bool:
    """Whether a value keeps its meaning: numbers among each other, times among each other, nothing silently to text."""
    if given == pl.Null:
        return True
    return (given.is_numeric() and kind.is_numeric()) or (given.is_temporal() and kind.is_temporal()) or given == kind


def _times_fast(name: str, array: pa.Array) -> pl.Series | None:
    """ISO 8601 with a zone, the common case, at a tenth of the time; None where any value is something else."""
    try:
        return pl.Series(name, array.cast(pa.string()).cast(pa.timestamp("us", tz="UTC")))
    except pa.ArrowInvalid:
        return None


def _bools(text: pl.Series) -> pl.Series:
    words = {"true": True, "false": False, "1": True, "0": False}
    return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)


def _kept(name: str, array: pa.Array, violations: dict[int, Violation]) -> pl.Series:
    """A column the model does not know, in a type that the lake can hold."""
    raw = pl.Series(name, array)
    if raw.dtype == pl.Null:
        return raw.cast(pl.String)
    if raw.dtype.is_unsigned_integer():
        return _coerced(name, array, pl.Int64(), violations)
    if raw.dtype.is_float():
        return _coerced(name, array, raw.dtype, violations)
    if isinstance(raw.dtype, pl.Datetime):
        return (
            raw.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") if raw.dtype.time_zone is None else raw.cast(pl.Datetime("us", "UTC"))
        )
    if isinstance(raw.dtype, (pl.Categorical, pl.Enum, pl.Time, pl.Duration, pl.Decimal)):
        return raw.cast(pl.String)
    return raw


def _note(violations: dict[int, Violation], where: pl.Series, code: str, reason: str) -> None:
    if where.any():
        for row in where.arg_true():
            violations.setdefault(row, Violation(row, code, reason))


def _called(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Datetime):
        return "a time (expected 2024-01-31T12:00:00Z)"
    if kind.is_integer():
        return f"a whole number ({kind})"
    return {pl.Date: "a date (expected 2024-01-31)", pl.Boolean: "true or false", pl.String: "text"}.get(type(kind), f"of type {kind}")
