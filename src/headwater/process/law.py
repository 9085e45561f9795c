"""Law: on its first run a step is tried on a sample, whole and in parts; one that gives something else is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from headwater.core.errors import Refused
from headwater.core.names import printable
from headwater.process.engine import call
from headwater.process.keyed import column_of, expressions, only, part_name
from headwater.process.step import By, Step

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["difference", "keeps_key", "pl_frame", "try_step"]

_KEYED_ROWS, _SINGLE_ROWS = 20_000, 4_000

Frames = Mapping[str, "pl.DataFrame"]


def try_step(step: Step, inputs: Mapping[str, pl.LazyFrame]) -> tuple[pa.Schema, bool]:
    """Try a step on a sample; returns the schema of what it gave, and whether there was anything to try it on.

    Raises `Refused`, naming the step and the column that differed, if it gives something else when called again, on parts
    of the sample, or (looking back) on the rows within its reach only.
    """
    frames = _sample(step, inputs)
    whole = call(step, frames)
    tried = any(frames[name].height for name in step.shared_out)
    if not tried:
        return whole.schema, False
    expected = pl_frame(whole)
    _same(step, expected, [frames], "called twice")
    for parts in _partitionings(step, frames):
        _same(step, expected, parts, "on two partitionings")
    if step.lookback is not None and step.time:
        _check_reach(step, expected, frames)
    return whole.schema, True


def _sample(step: Step, inputs: Mapping[str, pl.LazyFrame]) -> dict[str, pl.DataFrame]:
    frames = {name: inputs[name].collect() for name in step.broadcast}
    first, *others = step.shared_out
    frames[first] = inputs[first].head(_KEYED_ROWS if step.by else _SINGLE_ROWS).collect()
    if others:
        schema = frames[first].schema
        keys = frames[first].select(expressions(step.by, schema)).unique()
        for name in others:
            frames[name] = only(inputs[name], step.by, keys).head(_KEYED_ROWS).collect()
    return frames


def _partitionings(step: Step, frames: Frames) -> Iterator[list[Frames]]:
    """Ways to cut the sample in parts: by key in two and in three, or every other row, or two batches of one row and the rest."""
    import polars as pl

    def by_key(frame: pl.DataFrame, parts: int) -> pl.Series:
        return frame.select(pl.struct(expressions(step.by, frame.schema)).hash(seed=7) % parts).to_series()

    def by_row(frame: pl.DataFrame, parts: int) -> pl.Series:
        numbers = pl.int_range(frame.height, eager=True)
        return numbers % 2 if parts == 2 else numbers.clip(0, 2)

    for parts in (2, 3):
        numbered = {n: (by_key if step.by else by_row)(frames[n], parts) for n in step.shared_out}
        cut = [{n: f.filter(numbered[n] == part) if n in numbered else f for n, f in frames.items()} for part in range(parts)]
        yield [part for part in cut if any(part[name].height for name in step.shared_out)]


def _same(step: Step, expected: pl.DataFrame, parts: list[Frames], how: str) -> None:
    import polars as pl

    made = [pl_frame(call(step, part)) for part in parts]
    what = difference(expected, pl.concat(made, how="vertical_relaxed"))
    for part, output in zip(parts, made, strict=True):
        if not what and step.by and _strays(step.by, [part[name] for name in step.shared_out], output):
            what = f"rows of keys ({', '.join(map(str, step.by))}) that it was not given"
    if what:
        unit = f"the rows of its {', '.join(map(str, step.by))}" if step.by else "its own row"
        raise Refused(
            f"step {step.name} does not give the same {how}: {what}. What it makes of a row may depend on {unit} only: "
            "no clock, no random numbers, no global that changes, no other rows"
        )


def _check_reach(step: Step, expected: pl.DataFrame, frames: Frames) -> None:
    """Rows out of the reach of a look back, before it or after, must make no difference."""
    import polars as pl

    assert step.time is not None
    assert step.lookback is not None
    times = pl.concat([frames[name][step.time] for name in step.shared_out]).drop_nulls()
    if times.is_empty():
        return
    for share in (0.33, 0.67):
        at = pl.lit(times.sort()[int(times.len() * share)], dtype=times.dtype)
        later = {n: f if n in step.broadcast else f.filter(pl.col(step.time) >= at - step.lookback) for n, f in frames.items()}
        until = {n: f if n in step.broadcast else f.filter(pl.col(step.time) <= at) for n, f in frames.items()}
        for some, keep in ((later, pl.col(step.time) >= at), (until, pl.col(step.time) <= at)):
            found = pl_frame(call(step, some))
            what = difference(expected.filter(keep), found.filter(keep))
            if what:
                raise Refused(
                    f"step {step.name} looks further than lookback={step.lookback}: {what} where rows out of reach were left out. "
                    f"What it makes at a time t may depend on the key's rows in [t - lookback, t] only"
                )


def difference(expected: pl.DataFrame, found: pl.DataFrame) -> str | None:
    """What differs between two frames as multisets of rows (floats to 1 part in 10^9), named by column; None if nothing."""
    if set(expected.columns) != set(found.columns):
        return f"columns {expected.columns} became {found.columns}"
    if expected.height != found.height:
        return f"{expected.height} rows became {found.height}"
    floats = [name for name, kind in expected.schema.items() if kind.is_float()]
    names = [name for name in expected.columns if name not in floats] + floats
    a, b = (frame.select(names).sort(names) if names else frame for frame in (expected, found))
    for name in names:
        left, right = a[name], b[name]
        if name in floats:
            differs = ~(
                left.is_close(right, rel_tol=1e-9, abs_tol=1e-12, nans_equal=True).fill_null(False) | (left.is_null() & right.is_null())
            )
        else:
            differs = left.ne_missing(right.cast(left.dtype, strict=False))
        if differs.any():
            return f"column {printable(name)!r} differed in {differs.sum()} of {left.len()} rows"
    return None


def keeps_key(step: Step, key: Sequence[By], inputs: Mapping[str, pl.LazyFrame]) -> bool:
    """Whether a row-by-row step leaves the key of what it reads as it is, so that its rows can be replaced by that key."""
    frames = _sample(step, inputs)
    name = step.shared_out[0]
    for parts in _partitionings(step, frames):
        for part in parts:
            made: pl.DataFrame = pl_frame(call(step, part))
            kept = [column_of(p) in made.columns and made.schema[column_of(p)] == part[name].schema[column_of(p)] for p in key]
            if not all(kept) or _strays(key, [part[name]], made):
                return False
    return True


def _strays(key: Sequence[By], given: Sequence[pl.DataFrame], made: pl.DataFrame) -> int:
    """How many keys of an output none of the inputs has."""
    import polars as pl

    if any(column_of(part) not in made.columns for part in key):
        return 0  # a missing column has an error of its own
    names = [part_name(part) for part in key]
    known = pl.concat([frame.select(expressions(key, frame.schema)) for frame in given], how="vertical_relaxed").unique()
    return made.select(expressions(key, made.schema)).unique().join(known, on=names, how="anti", nulls_equal=True).height


def pl_frame(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as a Polars frame."""
    import polars as pl

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
