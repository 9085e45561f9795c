"""Examples: rows with a label, as a classifier learns from them; in one canonical order, whatever order the rows came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from headwater.core.errors import DataError
from headwater.core.names import did_you_mean, printable

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from headwater.train.trainer import Data

__all__ = ["KINDS", "ExampleColumns", "Feature", "Kind", "matched", "numbers_of", "subjects_of", "texts_of"]

Kind = Literal["number", "flag", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST = 3e38  # what a 32-bit float holds, since a served model may compute with these


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column that a classifier reads: a number, a truth value (`flag`) or a text. Any of them may be missing in a row."""

    name: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class ExampleColumns:
    """Which columns of which table are read.

    Without `features` they are all columns of numbers, truth values and texts but those named here. `group` keeps rows
    together that belong together, `time` is a Datetime, a Date, or a number of seconds since 1970.
    """

    table: str
    label: str
    features: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None
    key: str | None = None
    contributor: str | None = None

    def declared_features(self, schema: Mapping[str, pl.DataType]) -> tuple[Feature, ...]:
        """The features, by name. Raises `DataError` for one that is not there, or is of a type that is none."""
        others = {self.label, self.time, self.group, self.key, self.contributor}
        names = self.features or [name for name in schema if name not in others and _kind(schema[name]) is not None]
        found = []
        for name in sorted(set(names)):
            kind = _kind(_known(self.table, name, schema))
            if kind is None:
                raise DataError(f"feature {name!r} of table {self.table} is {schema[name]}; a number, a truth value or a text expected")
            found.append(Feature(name=name, kind=kind))
        if not found:
            raise DataError(f"table {self.table} has no column that could be a feature of {self.label!r}")
        return tuple(found)

    def read(self, data: Data) -> pl.DataFrame:
        """Every column that is used, sorted by all of them: numbers as float64 (null where missing), label and groups as text.

        Equal rows are equal, so whatever order they came in, this is the same. Raises `DataError` for a column that is
        missing, a row without label, time or group, or a number that is not finite.
        """
        import polars as pl

        scan = data.table(self.table)
        schema = dict(scan.collect_schema())
        features = self.declared_features(schema)
        columns = {feature.name: _canonical(feature) for feature in features}
        for name in (self.label, self.group, self.key, self.contributor):
            if name is not None:
                _known(self.table, name, schema)
                columns[name] = pl.col(name).cast(pl.String)
        if self.time is not None:
            columns[self.time] = _instant(self.time, _known(self.table, self.time, schema), self.table)
        frame = scan.select(list(columns.values())).collect()  # a list, since a column may be called anything
        for name in (self.label, self.time, self.group, self.key):
            if name is not None and (missing := frame[name].null_count()):
                raise DataError(f"table {self.table}: {missing} of {frame.height} rows have no {name}; every row needs one")
        _require_finite(frame, features, self.table)
        return frame.sort(sorted(frame.columns))

    def features_in(self, frame: pl.DataFrame) -> tuple[Feature, ...]:
        """The features of a frame that `read` gave."""
        return self.declared_features(dict(frame.schema))

    def times(self, frame: pl.DataFrame) -> NDArray[Any]:
        """The instants of a frame that `read` gave, as int64 microseconds since 1970."""
        assert self.time is not None
        return frame[self.time].dt.epoch("us").to_numpy()


def subjects_of(frame: pl.DataFrame, columns: ExampleColumns) -> list[str]:
    """Whom or what each row is about: its group, else its key, else a digest of its features (never of its label)."""
    import hashlib

    import polars as pl

    name = columns.group or columns.key
    if name is not None:
        return frame[name].to_list()
    features = [feature.name for feature in columns.features_in(frame)]
    texts = frame.select(pl.struct(features).struct.json_encode()).to_series().to_list()
    return [hashlib.blake2b(text.encode(), digest_size=12).hexdigest() for text in texts]


def matched(rows: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """The features of `rows` as a classifier takes them. Raises `DataError` that names the column which is missing or of another type."""
    import numpy as np
    import polars as pl

    schema = dict(rows.schema)
    named: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
    for feature in features:
        if feature.name not in schema:
            raise DataError(f"the rows have no column {feature.name!r}: it is a feature of this model")
        kind = schema[feature.name]
        if kind != pl.Null and _kind(kind) != feature.kind:
            raise DataError(f"column {feature.name!r} is {kind}; this model learned from a {feature.kind} there")
        named[feature.kind].append(feature.name)
    types = {"number": pl.Float64, "flag": pl.Boolean, "text": pl.String}
    frame = rows.select([pl.col(names).cast(types[kind]) for kind, names in named.items() if names])  # few expressions: one row is quick
    large = np.abs(frame.select(named["number"]).to_numpy()) > MOST
    if large.any():
        name = named["number"][int(large.any(axis=0).argmax())]
        raise DataError(f"column {name!r} of these rows holds a number that is not finite or beyond {MOST:g}")
    return frame


def numbers_of(frame: pl.DataFrame, features: Sequence[Feature]) -> NDArray[Any]:
    """Numbers and truth values as float64, a column each in the order of `features`; NaN where missing."""
    import numpy as np
    import polars as pl

    names = [feature.name for feature in features if feature.kind != "text"]
    if not names:
        return np.zeros((frame.height, 0))
    numbers = frame.select(pl.col(names).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    return np.ascontiguousarray(numbers)


def texts_of(frame: pl.DataFrame, features: Sequence[Feature]) -> NDArray[Any]:
    """Texts as objects, a column each in the order of `features`; "" where missing."""
    import numpy as np

    found = np.empty((frame.height, sum(feature.kind == "text" for feature in features)), dtype=object)
    for at, name in enumerate(feature.name for feature in features if feature.kind == "text"):
        found[:, at] = frame[name].fill_null("").to_list()
    return found


def _kind(kind: pl.DataType) -> Kind | None:
    import polars as pl

    if kind == pl.Boolean:
        return "flag"
    if kind.is_numeric():
        return "number"
    return "text" if kind == pl.String or kind.base_type() in (pl.Categorical, pl.Enum) else None


def _canonical(feature: Feature) -> pl.Expr:
    import polars as pl

    column = pl.col(feature.name)
    if feature.kind == "text":
        return column.cast(pl.String)
    if feature.kind == "flag":
        return column.cast(pl.Boolean)
    return column.cast(pl.Float64).fill_nan(None) + 0.0  # -0.0 becomes 0.0


def _instant(name: str, kind: pl.DataType, table: str) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    if kind.base_type() in (pl.Datetime, pl.Date):
        return column.cast(pl.Datetime("us"))
    if kind.is_numeric():
        return (column.cast(pl.Float64) * 1_000_000).round().cast(pl.Int64).cast(pl.Datetime("us"))
    raise DataError(f"column {name!r} of table {table} is {kind}; a Datetime, a Date or seconds since 1970 expected")


def _known(table: str, name: str, schema: Mapping[str, pl.DataType]) -> pl.DataType:
    if name not in schema:
        raise DataError(f"table {table} has no column {printable(name)!r}. {did_you_mean(name, schema)}")
    return schema[name]


def _require_finite(frame: pl.DataFrame, features: Sequence[Feature], where: str) -> None:
    import polars as pl

    names = [feature.name for feature in features if feature.kind == "number"]
    for name, bad in (frame.select((pl.col(names).abs() > MOST).sum()).row(0, named=True) if names else {}).items():
        if bad:
            raise DataError(f"column {name!r} {where}: {bad} of {frame.height} numbers are not finite or beyond {MOST:g}")
