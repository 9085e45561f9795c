"""Output: what a step returns, in types that every engine, Delta and reader share, fixed from its first run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headwater.core.errors import DataError, UsageError
from headwater.core.names import did_you_mean, printable

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from headwater.process.step import Step

__all__ = ["conform", "fixed_schema", "kept_schema", "plain_type"]

_UNSIGNED = {"uint8": "int16", "uint16": "int32", "uint32": "int64", "uint64": "int64"}


def fixed_schema(step: Step, found: pa.Schema, tried: bool, *, contributor: str | None) -> pa.Schema:
    """The schema that a step's output has from now on: unsigned becomes signed, times are microseconds, text is text.

    Raises `UsageError` for a column without a type or of a type that Delta does not know, a name that begins with an
    underscore or comes twice, and where the key's columns or the contributor are missing.
    """
    import pyarrow as pa

    for name in found.names:
        if name.startswith("_") or found.names.count(name) > 1:
            raise UsageError(f"step {step.name} returns a column {printable(name)!r}: names are unique and do not begin with '_'")
    if not tried:  # what no row has shown is text until the first rows come
        found = pa.schema([pa.field(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in found])
    schema = pa.schema([pa.field(field.name, plain_type(step.name, field)) for field in found])
    for part in step.key:
        column = part if isinstance(part, str) else part.column
        if column not in schema.names:
            raise UsageError(
                f"step {step.name} is by {part}, so its output needs the column {column!r}, by which its rows are found again. "
                f"{did_you_mean(column, schema.names)}"
            )
    if contributor is not None and contributor not in schema.names:
        raise UsageError(
            f"step {step.name} loses the contributor {contributor!r}: return that column, or say contributor='column' "
            f"or contributor=None. {did_you_mean(contributor, schema.names)}"
        )
    return schema


def kept_schema(rows: pl.LazyFrame) -> pa.Schema:
    """The schema in which rows of a prepared table were stored."""
    import polars as pl
    import pyarrow as pa

    found = pl.DataFrame(schema=rows.collect_schema()).to_arrow().schema
    return pa.schema([pa.field(field.name, plain_type("", field)) for field in found])


def plain_type(step: str, field: pa.Field) -> pa.DataType:
    """The type that a column is kept in. Raises `UsageError` if there is none."""
    import pyarrow as pa
    import pyarrow.types as is_

    kind = field.type
    if is_.is_dictionary(kind):
        return plain_type(step, pa.field(field.name, kind.value_type))
    if is_.is_large_string(kind) or is_.is_string_view(kind):
        return pa.string()
    if is_.is_large_binary(kind) or is_.is_binary_view(kind) or is_.is_fixed_size_binary(kind):
        return pa.binary()
    if is_.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        return pa.list_(plain_type(step, pa.field(field.name, kind.value_type)))
    if is_.is_struct(kind):
        return pa.struct([pa.field(inner.name, plain_type(step, inner)) for inner in kind])
    if is_.is_date64(kind):
        return pa.date32()
    if is_.is_null(kind) or is_.is_duration(kind) or is_.is_time(kind) or is_.is_float16(kind) or is_.is_map(kind):
        raise UsageError(
            f"step {step} returns {printable(field.name)!r} as {kind}, which cannot be kept: cast it to a number, text or time"
        )
    return pa.type_for_alias(_UNSIGNED.get(str(kind), str(kind))) if str(kind) in _UNSIGNED else kind


def conform(step: Step, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` in the fixed schema. Raises `DataError`, saying to rebuild, if its columns or types are others."""
    import pyarrow as pa
    import pyarrow.types as is_

    if set(table.column_names) != set(schema.names):
        _changed(step, f"columns {sorted(table.column_names)}, not {sorted(schema.names)}")
    columns = []
    for field in schema:
        column = table.column(field.name)
        if not is_.is_null(column.type) and plain_type(step.name, table.schema.field(field.name)) != field.type:
            _changed(step, f"{printable(field.name)!r} as {column.type}, not {field.type}")
        columns.append(_cast(step, field, column))
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(step: Step, field: pa.Field, column: Any) -> Any:
    import pyarrow as pa

    if column.type == field.type:
        return column
    try:
        return column.cast(field.type, safe=not pa.types.is_timestamp(field.type))  # nanoseconds are cut to microseconds
    except pa.ArrowInvalid as error:
        raise DataError(f"step {step.name}: {printable(field.name)!r} does not fit {field.type}: {printable(str(error), 120)}") from error


def _changed(step: Step, what: str) -> None:
    raise DataError(
        f"step {step.name} now returns {what}: the columns and types of its first run are fixed. "
        f"Give the step's columns fixed types, or rebuild the table from scratch: process(..., rebuild=[{step.name!r}])"
    )
