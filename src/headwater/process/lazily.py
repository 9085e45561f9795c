"""Lazily: which columns a step that takes lazy frames reads, so that nobody has to read the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headwater.process.keyed import column_of
from headwater.process.order import PLACE
from headwater.process.step import Step

if TYPE_CHECKING:
    import polars as pl

__all__ = ["pruned"]


def pruned(step: Step, inputs: Mapping[str, pl.LazyFrame]) -> dict[str, pl.LazyFrame]:
    """`inputs` with only what the step's plan asks for, its key and the order of rows; those it takes as whole frames stay whole."""
    lazy = [name for name in step.inputs if step.frames.get(name) == "lazy"]
    if not lazy:
        return dict(inputs)
    asked = _asked(step, {name: rows.collect_schema() for name, rows in inputs.items()})
    if asked is None:
        return dict(inputs)
    kept = {PLACE, *map(column_of, step.key), *([step.time] if step.time else [])}
    found = dict(inputs)
    for name in lazy:
        columns = [column for column in inputs[name].collect_schema() if column in asked[name] or column in kept]
        found[name] = inputs[name].select(columns) if asked[name] else inputs[name]
    return found


def _asked(step: Step, schemas: Mapping[str, pl.Schema]) -> dict[str, set[str]] | None:
    """The columns that the optimiser asks each lazy input for, seen by running the plan on no rows; None if that fails."""
    import polars as pl

    asked: dict[str, set[str]] = {name: set() for name in schemas}
    given: dict[str, Any] = {}
    for name, schema in schemas.items():
        users = pl.Schema({column: kind for column, kind in schema.items() if column != PLACE})
        if step.frames.get(name) == "lazy":
            given[name] = _watched(users, asked[name])
        elif step.frames.get(name, "polars") == "polars":
            given[name] = pl.DataFrame(schema=users)
        else:
            return None
    try:
        made = step.function(**given)
        if isinstance(made, pl.LazyFrame):
            made.collect()
    except Exception:  # noqa: BLE001 - the user's function, on no rows: the real call says what is wrong
        return None
    return asked


def _watched(schema: pl.Schema, asked: set[str]) -> pl.LazyFrame:
    import polars as pl
    from polars.io.plugins import register_io_source

    def read(columns: list[str] | None, predicate: Any, n_rows: int | None, batch_size: int | None) -> Iterator[pl.DataFrame]:
        names = list(schema) if columns is None else columns
        asked.update(names)
        frame = pl.DataFrame(schema={name: schema[name] for name in names})
        yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(read, schema=schema)
