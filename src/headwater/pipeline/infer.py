"""Infer: a contract and a first pipeline, guessed from a file and written as code for its owner to correct."""

from __future__ import annotations

import gzip
import io
import json
import keyword
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from headwater.core.errors import DataError, UsageError
from headwater.core.names import printable

__all__ = ["infer_pipeline"]

SAMPLE_ROWS, SAMPLE_BYTES = 10_000, 16 << 20
MOST_KINDS = 12
_TIMES = ("ts", "time", "timestamp", "datetime", "date", "created_at", "created", "at")
_PEOPLE = ("contributor", "user_id", "user", "author", "customer_id", "customer", "site", "device_id", "device", "email")


def infer_pipeline(file: Path, table: str) -> str:
    """Python code of a pipeline that collects `file` into `table`: a contract with types, what may be missing, and few kinds.

    What it says is what the first 10,000 rows show. Raises `DataError` if they cannot be read.
    """
    frame = _typed(_sample(file))
    if not frame.width or not frame.height:
        raise DataError(f"{file} shows no rows to learn a contract from")
    key, person, time = _key(frame), _named(frame, _PEOPLE), _time(frame)
    lines = [_column(frame[name], number) for number, name in enumerate(frame.columns, 1)]
    extra = "".join(f", {role}={column!r}" for role, column in (("contributor", person), ("time", time)) if column)
    kept = '.select(pl.exclude("^_.*$"))' if any(name.startswith("_") for name in frame.columns) else ""  # names of ours begin so
    guess = f"# Guessed from {frame.height:,} rows of {printable(file.name)}: correct it. Rows that break it are kept, with the reason."
    return f'''"""{table}: collected with its origin."""

import pandera.polars as pandera
import polars as pl

from headwater import Pipeline, Table, step


{guess}
class {table.title().replace("_", "")}(pandera.DataFrameModel):
{chr(10).join(lines)}


{table} = Table("{table}", contract={table.title().replace("_", "")}, key={key!r}{extra})


@step
def clean({table}: pl.DataFrame) -> pl.DataFrame:
    """Row by row. Yours to change: a change of this code makes the table again, new rows cost only themselves."""
    return {table}.drop_nulls({key!r}){kept}


pipeline = Pipeline("{table.replace("_", "-")}", collect=[{table}], process=[clean])
'''


def _sample(file: Path) -> pl.DataFrame:
    name = file.name.lower().removesuffix(".gz")
    try:
        if name.endswith(".parquet"):
            return pl.scan_parquet(file).head(SAMPLE_ROWS).collect()
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = stream.read(SAMPLE_BYTES)
        whole = content if len(content) < SAMPLE_BYTES else content[: content.rfind(b"\n") + 1]
        if name.endswith((".jsonl", ".ndjson", ".json")):
            rows = [row for line in whole.splitlines()[:SAMPLE_ROWS] if line.strip() and isinstance(row := _parsed(line), dict)]
            return pl.from_dicts(rows, infer_schema_length=None) if rows else pl.DataFrame()
        if name.endswith((".csv", ".tsv")):
            separator = "\t" if name.endswith(".tsv") else ","
            return pl.read_csv(
                io.BytesIO(whole), n_rows=SAMPLE_ROWS, infer_schema_length=None, separator=separator, truncate_ragged_lines=True
            )
    except (pl.exceptions.PolarsError, OSError, EOFError, UnicodeDecodeError, TypeError) as error:
        raise DataError(f"{file} cannot be read as {name.rpartition('.')[2]}: {printable(str(error))}") from error
    raise UsageError(f"{file.name}: expected a name ending in .csv, .tsv, .jsonl, .ndjson, .json or .parquet, also with .gz")


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Text that is a time everywhere becomes one; types that a lake does not keep become those that it does."""
    for name in frame.columns:
        column = frame[name]
        if column.dtype == pl.String and column.drop_nulls().len():
            for form in ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"):
                times = column.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
                if times.null_count() == column.null_count():
                    frame = frame.with_columns(times)
                    break
        elif isinstance(column.dtype, pl.Datetime):
            frame = frame.with_columns(
                column.dt.replace_time_zone("UTC") if column.dtype.time_zone is None else column.dt.convert_time_zone("UTC")
            )
        elif column.dtype.is_unsigned_integer():
            frame = frame.with_columns(column.cast(pl.Int64))
        elif isinstance(_inmost(column.dtype), pl.Struct) or (
            isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.List)
        ):
            frame = frame.drop(name)  # what is nested deeper is kept as it comes, without a contract
        elif _inmost(column.dtype) == pl.Null or isinstance(column.dtype, (pl.Categorical, pl.Enum)):
            frame = frame.with_columns(column.cast(pl.List(pl.String) if isinstance(column.dtype, pl.List) else pl.String))
    return frame


def _inmost(kind: pl.DataType) -> pl.DataType:
    return _inmost(kind.inner) if isinstance(kind, pl.List) else kind  # type: ignore[arg-type]


def _column(column: pl.Series, number: int) -> str:
    rules = []
    if column.null_count():
        rules.append("nullable=True")
    kinds = column.drop_nulls().unique()
    if column.dtype == pl.String and 1 < len(kinds) <= MOST_KINDS and column.len() >= 10 * len(kinds) and kinds.str.len_chars().max() <= 40:  # type: ignore[operator]
        rules.append(f"isin={sorted(kinds.to_list())!r}")
    if not column.name.isidentifier() or keyword.iskeyword(column.name) or column.name.startswith("_"):
        rules.append(f"alias={column.name!r}")
    field = f" = pandera.Field({', '.join(rules)})" if rules else ""
    name = column.name if "alias" not in field else f"column_{number}"
    return f"    {name}: {_type(column.dtype)}{field}"


def _type(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Datetime):
        return 'pl.Datetime("us", "UTC")'
    if isinstance(kind, pl.List):
        return f"pl.List({_type(kind.inner)})"  # type: ignore[arg-type]
    return f"pl.{type(kind).__name__}"


def _key(frame: pl.DataFrame) -> str:
    """The first column without gaps or repeats, names that end in id before others."""
    order: Sequence[str] = sorted(frame.columns, key=lambda name: (not name.lower().endswith("id"), frame.columns.index(name)))
    whole = [name for name in order if not frame[name].null_count() and frame[name].dtype in (pl.String, pl.Int64)]
    unique = [name for name in whole if frame[name].n_unique() == frame.height]
    if not unique:
        raise DataError("no column names a record: expected one without gaps and repeats, of text or whole numbers. Add one, as event_id")
    return unique[0]


def _named(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for wanted in names for name in frame.columns if name.lower() == wanted and frame[name].dtype == pl.String), None)


def _time(frame: pl.DataFrame) -> str | None:
    times = [name for name in frame.columns if isinstance(frame[name].dtype, pl.Datetime)]
    return next((name for wanted in _TIMES for name in times if name.lower() == wanted), times[0] if times else None)
