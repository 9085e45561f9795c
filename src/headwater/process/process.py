"""The process stage: every step brought up to the snapshot, doing the least work, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.core.digest import json_digest
from headwater.core.failpoint import failpoint
from headwater.core.files import locked
from headwater.process.commit import Generation, next_number, settle, superseded, write_generation
from headwater.process.engine import Engine
from headwater.process.identity import step_digest
from headwater.process.increment import Input, Made, Raw, Work, work
from headwater.process.keyed import check_key
from headwater.process.law import keeps_key, try_step
from headwater.process.lazily import pruned
from headwater.process.output import fixed_schema, kept_schema
from headwater.process.plan import contributors_of, plan
from headwater.process.prepared import BOOKKEEPING, Prepared, PreparedTable
from headwater.process.step import By, Step
from headwater.store.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from headwater.ledger.entries import Ledger
    from headwater.store.lake import Lake

__all__ = ["Progress", "process"]

Progress = Callable[[str, int], None]
"""Called with a step's name and the rows that it has made so far."""

SETTLE_ROWS = 50_000
"""Fewer superseded rows than this are not worth a rewrite."""


@dataclass(frozen=True)
class _Stage:
    """What every step of one run shares."""

    lake: Lake
    ledger: Ledger
    engine: Engine
    progress: Progress | None
    contributors: Mapping[str, str | None]


@dataclass(frozen=True)
class _Turn:
    """One step's turn: what it reads now, and the digests of its code and of what is to be made."""

    step: Step
    inputs: Mapping[str, Input]
    code: str
    derivation: str


def process(
    snapshot: Snapshot,
    steps: Sequence[Step],
    *,
    lake: Lake,
    ledger: Ledger,
    engine: Engine,
    contributors: Mapping[str, str | None] | None = None,
    rebuild: Collection[str] = (),
    progress: Progress | None = None,
) -> Prepared:
    """Bring the prepared tables of `steps` up to `snapshot`.

    A step whose code and inputs did not change does not run. One whose inputs grew is given the least it needs; the result
    is what a run from scratch gives. One whose code changed, or that is named in `rebuild`, starts again. Killed anywhere
    and run again, the result is the same. `contributors` names, for each raw table, the column of who wrote a row.

    Raises `UsageError` for steps that cannot be put together or that fail, `Refused` for one that depends on anything but
    its rows, `DataError` if a step's output changes its columns or types, `Retryable` if another process is at it.
    """
    ordered = plan(steps, _columns(snapshot, steps, lake), contributors)
    stage = _Stage(lake, ledger, engine, progress, contributors_of(ordered, contributors or {}))
    tables: dict[str, PreparedTable] = {}
    facts: dict[str, Fact] = {}
    with locked(lake.root / ".process.lock", "the process stage of this lake"):
        for step in ordered:
            inputs: dict[str, Input] = {
                name: Made(lake, name, tables[name]) if name in tables else Raw(lake, snapshot, name) for name in step.inputs
            }
            table, how = _bring_up(stage, step, inputs, rebuild=step.name in rebuild)
            tables[step.name] = table
            facts |= {f"{step.name}.run": how, f"{step.name}.rows": table.rows}
    digest = json_digest({name: table.digest for name, table in tables.items()})
    return Prepared(uri=f"lake:prepared@{digest[7:19]}", digest=digest, parents=(snapshot.digest,), facts=facts, tables=tables)


def _columns(snapshot: Snapshot, steps: Sequence[Step], lake: Lake) -> dict[str, list[str]]:
    """The raw tables, with their columns where a step reads them."""
    used = {name for step in steps if isinstance(step, Step) for name in step.inputs}
    return {name: snapshot.scan(lake, name).collect_schema().names() if name in used else [] for name in snapshot.tables}


def _bring_up(stage: _Stage, step: Step, inputs: Mapping[str, Input], *, rebuild: bool) -> tuple[PreparedTable, str]:
    """One step's table as of its inputs, and how it was brought there."""
    code = step_digest(step)
    turn = _Turn(step, inputs, code, json_digest([code, sorted([name, one.digest] for name, one in inputs.items())]))
    there = stage.lake.table(f"prepared/{step.name}")
    entry = stage.ledger.last("prepared", name=step.name)
    last = PreparedTable.from_body(entry.body["table"]) if entry else None
    same = last if last and last.step == code and there.exists() and not rebuild else None
    if same and same.digest == turn.derivation:
        return same, "unchanged"
    # Rows can go on top only of what the ledger knows: after a rewrite that was killed before it was recorded, start again.
    base = same if same and there.transaction(f"prepared/{step.name}/whole") == same.whole else None
    todo = work(step, inputs, base, entry.body["inputs"] if entry else {})
    for name in step.shared_out:
        check_key(step.name, name, step.key, todo.inputs[name].collect_schema())
    todo = replace(todo, inputs=pruned(step, todo.inputs))
    number = next_number(stage.lake, step.name, last)
    if todo.how == "increment" and base:
        table, content = _increment(stage, turn, todo, base, number)
    else:
        table, content = _whole(stage, turn, todo, same, number)
    _record(stage, turn, table, todo.how, content)
    if table.stored - table.rows > max(table.rows, SETTLE_ROWS):
        table, content = settle(stage.lake, step.name, table)
        _record(stage, turn, table, "settled", content)
    return table, todo.how


def _whole(stage: _Stage, turn: _Turn, todo: Work, same: PreparedTable | None, number: int) -> tuple[PreparedTable, Mapping[str, Any]]:
    """The table from scratch. Its columns are those of its first run, as long as the step's code is the same."""
    step, contributor = turn.step, stage.contributors[turn.step.name]
    if same and same.stored:
        schema = _schema_of(stage, step, same)
    else:
        schema = fixed_schema(step, *try_step(step, todo.inputs), contributor=contributor)
    key = step.key or _inherited(step, turn.inputs, todo)
    generation = Generation(step, schema, number, key or (), None)
    version = write_generation(stage.lake, generation, _told(stage, step, todo), whole=True)
    assert version is not None
    table = PreparedTable(
        version=version,
        rows=generation.rows,
        digest=turn.derivation,
        step=turn.code,
        key=key,
        first=number,
        last=number,
        settled=number,
        whole=number,
        stored=generation.rows,
        contributor=contributor,
    )
    return table, generation.content.finish()


def _increment(stage: _Stage, turn: _Turn, todo: Work, base: PreparedTable, number: int) -> tuple[PreparedTable, Mapping[str, Any]]:
    """The table with one generation more, or none if there is nothing to add or replace."""
    step, key = turn.step, base.key or ()
    table = replace(base, digest=turn.derivation)
    generation = Generation(step, _schema_of(stage, step, base), number, key, todo.touched)
    nothing = todo.touched is not None and todo.touched.is_empty()
    version = None if nothing else write_generation(stage.lake, generation, _told(stage, step, todo), whole=False)
    if version is None:
        return table, generation.content.finish()
    gone = superseded(stage.lake, step.name, base, key, todo.touched) if todo.touched is not None else 0
    table = replace(
        table,
        version=version,
        rows=base.rows - gone + generation.rows,
        stored=base.stored + generation.rows,
        last=number,
        settled=base.settled if key else number,
        void=(*base.void, *range(base.last + 1, number)),
    )
    return table, generation.content.finish()


def _inherited(step: Step, inputs: Mapping[str, Input], todo: Work) -> tuple[By, ...] | None:
    """The key of a row-by-row step: that of the table it reads, if it leaves it as it is; else it can only start again."""
    source = inputs[step.shared_out[0]]
    if not isinstance(source, Made):
        return ()
    key = source.table.key
    return key if not key or keeps_key(step, key, todo.inputs) else None


def _schema_of(stage: _Stage, step: Step, table: PreparedTable) -> pa.Schema:
    return kept_schema(stage.lake.table(f"prepared/{step.name}").scan(table.version).drop(BOOKKEEPING, strict=False))


def _told(stage: _Stage, step: Step, todo: Work) -> Iterator[pa.RecordBatch]:
    """What the engine makes, with progress told."""
    rows = 0
    for batch in stage.engine.apply(step, todo.inputs):
        yield batch
        rows += batch.num_rows
        if stage.progress:
            stage.progress(step.name, rows)


def _new_files(stage: _Stage, name: str, version: int) -> dict[str, str]:
    """The files that this version uses and no entry before named, with their SHA-256: those of void generations too."""
    known = {file for entry in stage.ledger.entries("prepared", equal={"name": name}) for file in entry.body["files"][f"prepared/{name}"]}
    there = stage.lake.table(f"prepared/{name}")
    return there.hashed(file for file in there.files(version) if file not in known)


def _record(stage: _Stage, turn: _Turn, table: PreparedTable, how: str, content: Mapping[str, Any]) -> None:
    """The ledger's entry: what counts from now on. Until it is there, the commit before it is as if it had never been."""
    stage.ledger.append(
        "prepared",
        {
            "name": turn.step.name,
            "step": table.step,
            "generation": table.last,
            "version": table.version,
            "rows": table.rows,
            "digest": table.digest,
            "how": how,
            "inputs": {name: one.consumed() for name, one in turn.inputs.items()},
            "content": dict(content),
            "files": {f"prepared/{turn.step.name}": _new_files(stage, turn.step.name, table.version)},
            "table": table.to_body(),
        },
    )
    failpoint("process.recorded")
