"""Plan: the order of the steps, once it is sure that every one can be given what it reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean
from headwater.process.step import Day, Kept, Step

__all__ = ["contributors_of", "plan"]


def plan(
    steps: Sequence[Step],
    tables: Mapping[str, Collection[str]] | Iterable[str],
    contributors: Mapping[str, str | None] | None = None,
) -> tuple[Step, ...]:
    """The steps in an order in which each comes after those that it reads.

    `tables` are the raw tables, with their columns where they are known; `contributors` says which column of each names who
    wrote a row. Raises `UsageError` for an unknown input, a circle, two steps of one name, a `by` column that a raw table
    lacks, or a contributor that would be lost without the step saying so.
    """
    columns: dict[str, Collection[str]] = dict(tables) if isinstance(tables, Mapping) else dict.fromkeys(tables, ())
    named: dict[str, Step] = {}
    for one in steps:
        if not isinstance(one, Step):
            raise UsageError(f"{getattr(one, '__name__', one)!r} is no step: write @step above the function")
        if one.name in named or one.name in columns:
            raise UsageError(f"two {'steps' if one.name in named else 'tables'} are called {one.name!r}: names must differ")
        named[one.name] = one
    for one in steps:
        _check_inputs(one, columns, named)
    try:
        order = TopologicalSorter({one.name: [i for i in one.inputs if i in named] for one in steps}).static_order()
        ordered = tuple(named[name] for name in order)
    except CycleError as error:
        raise UsageError(f"the steps go in a circle: {' -> '.join(error.args[1])}") from None
    contributors_of(ordered, contributors or {})
    return ordered


def _check_inputs(one: Step, columns: Mapping[str, Collection[str]], named: Mapping[str, Step]) -> None:
    for table in one.inputs:
        if table not in columns and table not in named:
            raise UsageError(f"step {one.name} reads {table!r}, which is no table and no step. {did_you_mean(table, [*columns, *named])}")
    for table in one.shared_out:
        known = columns.get(table)
        for part in one.key:
            column = part.column if isinstance(part, Day) else part
            if known and column not in known:
                raise UsageError(f"step {one.name} is by {part}, but {table} has no column {column!r}. {did_you_mean(column, known)}")


def contributors_of(ordered: Sequence[Step], contributors: Mapping[str, str | None]) -> dict[str, str | None]:
    """Which column of each step's output names who wrote a row; None where that was declared away."""
    known = dict(contributors)
    for one in ordered:
        known[one.name] = _contributor(one, known)
    return {one.name: known[one.name] for one in ordered}


def _contributor(one: Step, known: Mapping[str, str | None]) -> str | None:
    if not isinstance(one.contributor, Kept):
        return one.contributor
    arriving = {column for table in one.shared_out if (column := known.get(table)) is not None}
    if not arriving:
        return None
    if len(arriving) > 1:
        names = ", ".join(sorted(arriving))
        raise UsageError(f"step {one.name} reads contributors under several names ({names}): say contributor='column' of its output")
    column = arriving.pop()
    if one.by and column not in one.by:
        raise UsageError(
            f"step {one.name} is by {', '.join(map(str, one.by))}, so rows of several {column} meet: say contributor='column' "
            "(of its output), or contributor=None if who wrote what is aggregated away"
        )
    return column
