"""Engine: what runs a step on whole tables; and the one way in which a step's function is called, on any engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from headwater.core.errors import HeadwaterError, UsageError
from headwater.core.names import printable
from headwater.process.order import in_order
from headwater.process.step import Step

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["Engine", "call"]


class Engine(Protocol):
    """Something that runs steps.

    The law of engines: for any inputs, the batches hold the rows (as a multiset) that the local engine gives. Inputs of raw
    tables carry `_place`, which says the order in which a key's rows are given and is then taken away (`call` does both).
    Rows that agree in `step.by` reach one call together; a row-by-row step is called with any rows; a broadcast input is
    given whole to every call. A batch's columns are what the function returned, in Arrow's types.
    """

    def apply(self, step: Step, inputs: Mapping[str, pl.LazyFrame]) -> Iterator[pa.RecordBatch]: ...


def call(step: Step, frames: Mapping[str, pl.DataFrame]) -> pa.Table:
    """Call a step's function with frames in the kinds that it asks for: in order if it has a key, the user's columns only.

    Raises `UsageError`, naming the step, if the function raises or returns no frame.
    """
    import polars as pl
    from polars.exceptions import PanicException

    given = {name: _as(step.frames.get(name, "polars"), in_order(step, name, frames[name])) for name in step.inputs}
    try:
        result = step.function(**given)
        result = result.collect() if isinstance(result, pl.LazyFrame) else result
    except HeadwaterError:
        raise
    except (Exception, PanicException) as error:
        raise UsageError(f"step {step.name} failed: {type(error).__name__}: {printable(str(error), 300)}") from error
    return _table(step, result)


def _as(kind: str, frame: pl.DataFrame) -> Any:
    if kind == "polars":
        return frame
    if kind == "lazy":
        return frame.lazy()
    return frame.to_arrow() if kind == "arrow" else frame.to_pandas()


def _table(step: Step, result: Any) -> pa.Table:
    import polars as pl
    import pyarrow as pa

    if isinstance(result, pa.Table):
        return result
    if isinstance(result, pl.DataFrame):
        return result.to_arrow()
    if type(result).__module__.partition(".")[0] == "pandas":
        return pa.Table.from_pandas(result, preserve_index=False).replace_schema_metadata(None)
    raise UsageError(f"step {step.name} returned {type(result).__name__}: expected a DataFrame, a LazyFrame or an Arrow table")
