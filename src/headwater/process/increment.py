"""Increment: what changed in a step's inputs since it last ran, and the least it has to be given again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headwater.process.keyed import days_before, distinct, only
from headwater.process.order import with_place
from headwater.process.prepared import PreparedTable, newer, scan_live, without_bookkeeping
from headwater.process.step import By, Step
from headwater.store.exclusion import excluded_rows, load

if TYPE_CHECKING:
    import polars as pl

    from headwater.store.lake import Lake
    from headwater.store.snapshot import Snapshot

__all__ = ["Change", "Input", "Made", "Raw", "Work", "work"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Rows that came and rows that went. `marks` has all keys of either, where the table is `by` a key itself."""

    added: pl.LazyFrame
    removed: pl.LazyFrame | None = None
    marks: pl.LazyFrame | None = None
    by: tuple[By, ...] = ()


class Input(Protocol):
    """One table that a step reads, as it is now."""

    @property
    def digest(self) -> str: ...

    def scan(self) -> pl.LazyFrame: ...

    def consumed(self) -> dict[str, Any]:
        """What the ledger keeps, so that `since` can tell later what is new."""
        ...

    def since(self, consumed: Mapping[str, Any]) -> Change | None:
        """What changed; None if that cannot be told and the step has to start again."""
        ...


@dataclass(frozen=True)
class Raw:
    """A raw table of the snapshot: batches are only ever added. One that is gone means to start again; rows that were
    excluded, or released, went or came like any others."""

    lake: Lake
    snapshot: Snapshot
    name: str

    @property
    def digest(self) -> str:
        return self.snapshot.tables[self.name].digest

    def scan(self) -> pl.LazyFrame:
        return self._in_place(self._all)

    @cached_property
    def _all(self) -> pl.LazyFrame:
        return self.snapshot.scan(self.lake, self.name)

    def _in_place(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return with_place(rows, self.snapshot.tables[self.name].batches)

    def consumed(self) -> dict[str, Any]:
        pinned = self.snapshot.tables[self.name]
        return {"digest": self.digest, "batches": dict(pinned.batches), "excluded": pinned.excluded}

    def since(self, consumed: Mapping[str, Any]) -> Change | None:
        import polars as pl

        before: Mapping[str, int] = consumed.get("batches", {})
        pinned = self.snapshot.tables[self.name]
        now, was = pinned.batches, consumed.get("excluded")
        if any(now.get(source, -1) < last for source, last in before.items()) or not before:
            return None
        grown = [source for source in now if now[source] > before.get(source, -1)]
        if not grown and was == pinned.excluded:
            return None if self.digest != consumed["digest"] else Change(added=self.scan().clear())
        new = reduce(or_, [(pl.col("_source") == s) & (pl.col("_batch") > before.get(s, -1)) for s in grown], pl.lit(False))
        if was == pinned.excluded:
            floor = min(before.get(source, -1) for source in grown)
            return Change(added=self._in_place(self._all.filter(pl.col("_batch") > floor).filter(new)))
        stored = self.lake.table(f"tables/{self.name}").scan(pinned.version)
        out_then, out_now = (excluded_rows(load(self.lake, rules)) for rules in (was, pinned.excluded))
        came = stored.filter((new | out_then) & ~out_now)
        went = stored.filter(~new & ~out_then & out_now)
        return Change(added=self._in_place(came), removed=self._in_place(went))


@dataclass(frozen=True)
class Made:
    """A table that another step made."""

    lake: Lake
    name: str
    table: PreparedTable

    @property
    def digest(self) -> str:
        return self.table.digest

    def scan(self) -> pl.LazyFrame:
        return without_bookkeeping(scan_live(self.lake, self.name, self.table))

    def consumed(self) -> dict[str, Any]:
        return {"digest": self.digest, "table": self.table.to_body()}

    def since(self, consumed: Mapping[str, Any]) -> Change | None:
        import polars as pl

        if "table" not in consumed:
            return None
        old, now = PreparedTable.from_body(consumed["table"]), self.table
        if not now.follows(old) or now.key is None:
            return None
        if now.last == old.last:
            return Change(added=self.scan().clear(), by=now.key)
        marks = newer(self.lake, self.name, now, old)
        if not now.key:
            return Change(added=without_bookkeeping(marks))
        live = scan_live(self.lake, self.name, now).filter(pl.col("_gen") > old.last)
        as_it_was = replace(old, version=now.version, void=now.void) if now.whole == old.whole else old
        gone = only(scan_live(self.lake, self.name, as_it_was), now.key, distinct(marks, now.key))
        return Change(added=without_bookkeeping(live), removed=without_bookkeeping(gone), marks=marks, by=now.key)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a step has to be given. `touched` holds the keys whose output is replaced; None where rows are only added."""

    how: Literal["whole", "increment"]
    inputs: Mapping[str, pl.LazyFrame]
    touched: pl.DataFrame | None = None


def work(step: Step, inputs: Mapping[str, Input], old: PreparedTable | None, consumed: Mapping[str, Mapping[str, Any]]) -> Work:
    """The least work that brings a prepared table up to its inputs. The law: what it gives equals what a whole run gives."""
    whole = Work(how="whole", inputs={name: inputs[name].scan() for name in step.inputs})
    if old is None or old.key is None or not old.stored or set(consumed) != set(step.inputs):
        return whole
    if any(inputs[name].digest != consumed[name]["digest"] for name in step.broadcast):
        return whole
    changes = {}
    for name in step.shared_out:
        change = inputs[name].since(consumed[name])
        if change is None:
            return whole
        changes[name] = change
    if not step.by:
        return _row_by_row(step, whole, changes[step.shared_out[0]], old.key)
    touched = _touched(step, changes)
    reach = touched if step.lookback is None else days_before(touched, step.key, step.lookback)
    parts = {name: only(whole.inputs[name], step.key, reach) if name in step.shared_out else whole.inputs[name] for name in step.inputs}
    return Work(how="increment", inputs=parts, touched=touched)


def _row_by_row(step: Step, whole: Work, change: Change, key: tuple[By, ...]) -> Work:
    name = step.shared_out[0]
    if key != change.by or (change.removed is not None and not key):
        return whole
    inputs = {**whole.inputs, name: change.added}
    if not key:
        return Work(how="increment", inputs=inputs)
    marks = change.marks if change.marks is not None else change.added
    return Work(how="increment", inputs=inputs, touched=distinct(marks, key))


def _touched(step: Step, changes: Mapping[str, Change]) -> pl.DataFrame:
    """Keys of rows that came or went."""
    import polars as pl

    found = []
    for change in changes.values():
        if change.marks is not None and step.lookback is None and set(step.by) <= set(change.by):
            found.append(distinct(change.marks, step.key))
            continue
        for rows in (change.added, change.removed):
            if rows is not None:
                found.append(distinct(rows, step.key, lookback=step.lookback or timedelta()))
    return pl.concat(found, how="vertical_relaxed").unique()
