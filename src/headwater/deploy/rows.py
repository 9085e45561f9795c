"""Rows: what a classifier is asked about, read from JSON rows or from tensors, and its answer as tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from starlette.exceptions import HTTPException

from headwater.core.names import printable
from headwater.deploy.bounds import Limits, check_id

if TYPE_CHECKING:
    import polars as pl

    from headwater.deploy.service import Made
    from headwater.train.examples import Feature, Kind

__all__ = ["class_tensors", "parse_rows", "row_inputs", "row_outputs", "tensor_rows"]

DATATYPES: Mapping[Kind, str] = {"number": "FP64", "flag": "BOOL", "text": "BYTES"}
_WANTED: Mapping[Kind, str] = {"number": "a finite number", "flag": "true or false", "text": "a string"}
_MOST = 3e38


def parse_rows(body: dict[str, Any], features: Sequence[Feature], limits: Limits) -> tuple[pl.DataFrame, str | None]:
    """The rows of `/predict`, and the user they are about if one is named. Raises a 422 that names the column."""
    if body.keys() - {"rows", "user"}:
        raise HTTPException(422, f"{printable(min(body.keys() - {'rows', 'user'}), 40)!r} is not a field here: the fields are rows, user")
    user = body.get("user")
    if user is not None:
        check_id(user, "user", limits)
    rows = body.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise HTTPException(422, "rows must be a list of objects, each with a value for every feature")
    _bounded(len(rows), limits, 422)
    names = {feature.name for feature in features}
    for at, row in enumerate(rows):
        for name in row.keys() ^ names:
            wrong = "lacks the feature" if name in names else "has a column that is no feature of this model:"
            raise HTTPException(422, f"row {at} {wrong} {printable(name, 60)!r}")
    return _frame({feature.name: [row[feature.name] for row in rows] for feature in features}, features, 422), user


def tensor_rows(body: dict[str, Any], features: Sequence[Feature], limits: Limits) -> pl.DataFrame:
    """The rows that the protocol's tensors hold, one for each feature. Raises a 400 that names the input."""
    kinds = {feature.name: feature.kind for feature in features}
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or len(inputs) > len(features):
        raise HTTPException(400, "'inputs' must be a list with one tensor for each feature")
    columns: dict[str, list[Any]] = {}
    for tensor in inputs:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str) or name not in kinds:
            raise HTTPException(400, f"{printable(str(name), 60)!r} is not an input: it is no feature of this model")
        if tensor.get("datatype") != DATATYPES[kinds[name]]:
            raise HTTPException(400, f"the input {name!r} must have the datatype {DATATYPES[kinds[name]]}")
        data = tensor.get("data")
        if not isinstance(data, list) or tensor.get("shape") not in ([len(data)], [len(data), 1]):
            raise HTTPException(400, f"the data of {name!r} must be a flat list with as many elements as its shape says")
        columns[name] = data
    for feature in features:
        if feature.name not in columns:
            raise HTTPException(400, f"the input {feature.name!r} is missing")
        if len(columns[feature.name]) != len(columns[features[0].name]):
            raise HTTPException(400, f"the input {feature.name!r} must have as many elements as the others")
    _bounded(len(columns[features[0].name]), limits, 400)
    return _frame(columns, features, 400)


def row_inputs(features: Sequence[Feature]) -> list[dict[str, Any]]:
    """The protocol's description of what a classifier reads."""
    return [{"name": feature.name, "datatype": DATATYPES[feature.kind], "shape": [-1]} for feature in features]


def row_outputs(labels: Sequence[str]) -> list[dict[str, Any]]:
    """The protocol's description of what a classifier answers."""
    return [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probability", "datatype": "FP64", "shape": [-1, len(labels)]},
        {"name": "class", "datatype": "BYTES", "shape": [len(labels)]},
        {"name": "radius", "datatype": "INT64", "shape": [-1]},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
    ]


def class_tensors(made: Sequence[Made], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Answers as tensors: `probability` has a column for each element of `class`; `radius` is there where it is certified."""
    rows = len(made)
    shares = [dict(zip(one.items, one.scores, strict=True)) for one in made]
    found = [
        {"name": "label", "datatype": "BYTES", "shape": [rows], "data": [one.items[0] for one in made]},
        {
            "name": "probability",
            "datatype": "FP64",
            "shape": [rows, len(labels)],
            "data": [share[label] for share in shares for label in labels],
        },
        {"name": "class", "datatype": "BYTES", "shape": [len(labels)], "data": list(labels)},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [rows], "data": [one.prediction_id for one in made]},
    ]
    if all(one.radius is not None for one in made):
        found.append({"name": "radius", "datatype": "INT64", "shape": [rows], "data": [one.radius for one in made]})
    return found


def _frame(columns: Mapping[str, list[Any]], features: Sequence[Feature], wrong: Literal[400, 422]) -> pl.DataFrame:
    """Columns of the features' types; null is a value that is missing."""
    import polars as pl

    types = {"number": pl.Float64, "flag": pl.Boolean, "text": pl.String}
    found = {}
    for feature in features:
        values = columns[feature.name]
        for at, value in enumerate(values):
            if value is not None and not _fits(value, feature.kind):
                raise HTTPException(
                    wrong, f"{printable(feature.name, 60)!r} must be {_WANTED[feature.kind]} or null; that of row {at} is not"
                )
        kept = [None if value is None else float(value) for value in values] if feature.kind == "number" else values
        found[feature.name] = pl.Series(kept, dtype=types[feature.kind])
    return pl.DataFrame(found)


def _fits(value: Any, kind: Kind) -> bool:
    if kind == "number":
        return type(value) in (int, float) and math.isfinite(value) and abs(value) <= _MOST
    return isinstance(value, bool if kind == "flag" else str)


def _bounded(rows: int, limits: Limits, wrong: Literal[400, 422]) -> None:
    if not 1 <= rows <= limits.batch:
        raise HTTPException(wrong, f"a batch must have 1 to {limits.batch} rows, this has {rows}")
