"""Step: a plain function on frames, with what it needs to be given said in its declaration."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, Literal, overload

from headwater.core.errors import UsageError
from headwater.core.names import check_name, did_you_mean

__all__ = ["KEPT", "By", "Day", "FrameKind", "Kept", "Step", "day", "step"]

FrameKind = Literal["polars", "lazy", "arrow", "pandas"]


@dataclass(frozen=True)
class Day:
    """The UTC day of a time column, as part of a key."""

    column: str

    def __str__(self) -> str:
        return f"day({self.column!r})"


By = str | Day


class Kept(Enum):
    """The contributor column passes through under its own name: what is assumed unless a step says otherwise."""

    KEPT = "kept"


KEPT = Kept.KEPT


@dataclass(frozen=True)
class Step:
    """One step of a pipeline. Calling it calls the function, so it is tested like any function.

    `inputs` are the tables that it reads, in the order of the function's parameters. `by` says which rows arrive together;
    `key` names the smallest piece of its output that is replaced as a whole.
    """

    function: Callable[..., Any]
    name: str
    inputs: tuple[str, ...]
    by: tuple[By, ...] = ()
    time: str | None = None
    lookback: timedelta | None = None
    broadcast: tuple[str, ...] = ()
    contributor: str | Kept | None = KEPT
    frames: Mapping[str, FrameKind] = field(default_factory=dict, hash=False)

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.function(*args, **named)

    @property
    def key(self) -> tuple[By, ...]:
        """`by`, and the day where the step looks back in time; empty for a row-by-row step."""
        return (*self.by, Day(self.time)) if self.lookback is not None and self.time else self.by

    @property
    def shared_out(self) -> tuple[str, ...]:
        """The inputs whose rows are dealt out: all that are not broadcast."""
        return tuple(name for name in self.inputs if name not in self.broadcast)


def day(column: str) -> Day:
    """The UTC day of a date or datetime column: `by=("user_id", day("ts"))` is local in time, so new rows cost their days only."""
    return Day(column)


@overload
def step(function: Callable[..., Any], /) -> Step: ...
@overload
def step(
    *,
    by: By | Iterable[By] = (),
    time: str | None = None,
    lookback: str | timedelta | None = None,
    broadcast: str | Iterable[str] = (),
    contributor: str | Kept | None = KEPT,
) -> Callable[[Callable[..., Any]], Step]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    by: By | Iterable[By] = (),
    time: str | None = None,
    lookback: str | timedelta | None = None,
    broadcast: str | Iterable[str] = (),
    contributor: str | Kept | None = KEPT,
) -> Step | Callable[[Callable[..., Any]], Step]:
    """Make a step of a function whose parameters are named after the tables it reads; those with a default are options.

    Without `by` it is row by row: given batches of any size, it may depend on nothing but the row at hand. With `by`, all
    rows of a key arrive together, in a frame that holds many keys. A step that takes `pl.LazyFrame` is given only the columns
    that its plan reads. With `time` and `lookback` as well, a row of its output
    carries the time column and depends only on its key's rows in `[t - lookback, t]`. Tables named in `broadcast` arrive
    whole; a change of one recomputes everything. `contributor` names the output's column of who wrote it, or None where
    that is aggregated away. Raises `UsageError` for a declaration that makes no sense.
    """

    def make(function: Callable[..., Any]) -> Step:
        keys = (by,) if isinstance(by, str | Day) else tuple(by)
        whole = (broadcast,) if isinstance(broadcast, str) else tuple(broadcast)
        inputs, frames = _parameters(function)
        made = Step(function, function.__name__, inputs, keys, time, _duration(lookback), whole, contributor, frames)
        _check(made)
        return made

    return make if function is None else make(function)


def _check(made: Step) -> None:
    name = check_name(made.name, "step")
    for table in made.broadcast:
        if table not in made.inputs:
            raise UsageError(f"step {name}: broadcast={table!r} is none of its parameters. {did_you_mean(table, made.inputs)}")
    if not made.shared_out:
        raise UsageError(f"step {name} reads no table that is not broadcast: give it a parameter named after a table")
    if not made.by and len(made.shared_out) > 1:
        raise UsageError(f"step {name} reads {' and '.join(made.shared_out)} row by row: say by=… to bring rows together, or broadcast=…")
    if len(set(made.by)) != len(made.by):
        raise UsageError(f"step {name}: by={', '.join(map(str, made.by))} names a column twice")
    if not all(isinstance(part, str | Day) for part in made.by):
        raise UsageError(f"step {name}: by= takes column names and day(column), not {made.by!r}")
    if (made.lookback is None) != (made.time is None):
        raise UsageError(f"step {name}: time= and lookback= go together: time='ts', lookback='30m'")
    if made.lookback is not None and (not made.by or any(isinstance(part, Day) for part in made.by)):
        raise UsageError(f"step {name}: lookback= needs by= with the key's columns, and no day() in it")


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, FrameKind]]:
    try:
        hints: Mapping[str, Any] = typing.get_type_hints(function)
    except Exception:  # noqa: BLE001 - names imported for type checkers only are not there: the text must do
        hints = function.__annotations__
    inputs, frames = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UsageError(f"step {function.__name__}: *{parameter.name} names no table; write one parameter for each")
        if parameter.default is parameter.empty:
            inputs.append(check_name(parameter.name, f"parameter of step {function.__name__}:"))
            frames[parameter.name] = _frame_kind(hints.get(parameter.name))
    return tuple(inputs), frames


def _frame_kind(hint: Any) -> FrameKind:
    text = hint if isinstance(hint, str) else f"{getattr(hint, '__module__', '')}.{getattr(hint, '__name__', '')}"
    if text.endswith("LazyFrame"):
        return "lazy"
    if re.match(r"(pa|pyarrow)\b", text):
        return "arrow"
    return "pandas" if re.match(r"(pd|pandas)\b", text) else "polars"


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: str | timedelta | None) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)([smhd])", value)
    if not match:
        raise UsageError(f"lookback={value!r} is no time span: expected a number and s, m, h or d, as in '30m'")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
