"""Verify: everything read again and held against the signed ledger; what changed is named to the row range."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from headwater.core.digest import CHUNK_ROWS, chunk_digests, merkle_root, table_digest
from headwater.core.gate import Finding
from headwater.ledger.entries import Ledger
from headwater.ledger.seals import check_chain
from headwater.store.commit import stored_table
from headwater.store.lake import Lake, LakeTable
from headwater.trace.files import block, check_files, guarded, open_intents

__all__ = ["Verified", "check_rejects", "check_tables", "verify"]

READ_ROWS = 2_000_000
_ORIGIN = ("_source", "_batch", "_row")


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was read and what was found wrong. Clean means: nothing, and every part could be read."""

    findings: tuple[Finding, ...]
    entries: int
    batches: int
    rows: int
    models: int

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def counts(self) -> dict[str, int]:
        """How much was read."""
        return {"entries": self.entries, "batches": self.batches, "rows": self.rows, "models": self.models}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        findings = [{"code": f.code, "subject": f.subject, "message": f.message} for f in self.findings]
        return {"clean": self.clean, **self.counts(), "findings": findings}


Check = Callable[[], Iterator[Finding]]


def verify(
    ledger: Ledger, lake: Lake, *, more: Mapping[str, Check] | None = None, progress: Callable[[int], None] | None = None
) -> Verified:
    """Check the chain, then every batch of every table and its rejects, then `more` (models, prepared tables, deployments)."""
    findings = list(check_chain(ledger))
    counted = {"batches": 0, "rows": 0}

    def count(batches: int, rows: int) -> None:
        counted["batches"] += batches
        counted["rows"] += rows
        if progress:
            progress(rows)

    for check in (partial(check_files, ledger, lake), partial(check_tables, ledger, lake, count), partial(check_rejects, ledger, lake)):
        findings += guarded("ledger", check)  # an entry that was changed may hold anything
    for name, other in (more or {}).items():
        findings += guarded(name, other)
    models = sum(1 for _ in ledger.entries("model"))
    return Verified(findings=tuple(findings), entries=ledger.head()[0], models=models, **counted)


def check_tables(ledger: Ledger, lake: Lake, count: Callable[[int, int], None]) -> Iterator[Finding]:
    """Every row of every raw table against its batch's digests. Names the table, batch and rows that changed."""
    batches: dict[str, list[Mapping[str, Any]]] = {}
    unsure: dict[str, int] = {}
    for intent in open_intents(ledger):
        table = lake.table(f"tables/{intent.body['table']}")
        if table.transaction(intent.body["source"]) == intent.seq:
            unsure[intent.body["table"]] = unsure.get(intent.body["table"], 0) + intent.body["rows"]
    intents = {entry.seq: entry.body for entry in ledger.entries("intent")}
    for done in ledger.entries("done"):
        body = intents.get(done.body["intent"])
        if body is None or body["digest"] != done.body["digest"]:
            wrong = f"entry {done.seq} closes entry {done.body['intent']}, which does not match it"
            yield block("ledger.intent", f"ledger:{done.seq}", wrong)
            continue
        batches.setdefault(done.body["table"], []).append(body)
    for name in sorted({*batches, *lake.tables("tables")}):
        table = lake.table(f"tables/{name}")
        yield from guarded(table.uri, partial(_check_table, table, batches.get(name, []), count, unsure.get(name, 0)))


def check_rejects(ledger: Ledger, lake: Lake) -> Iterator[Finding]:
    """Every rejected record against its batch's digest."""
    for done in ledger.entries("done"):
        body = done.body
        if body["rejected"]:
            table = lake.table(f"rejected/{body['table']}")
            yield from guarded(table.uri, partial(_check_rejects, table, body))


def _check_table(table: LakeTable, batches: list[Mapping[str, Any]], count: Callable[[int, int], None], unsure: int) -> Iterator[Finding]:
    expected = unsure + sum(batch["rows"] for batch in batches)
    for group in _grouped(batches):
        yield from _check_group(table, group)
        count(len(group), sum(batch["rows"] for batch in group))
    stored = table.scan().select(pl.len()).collect().item() if table.exists() else 0
    if stored != expected:
        yield block("lake.count", table.uri, f"{table.uri} holds {stored} rows, the ledger knows {expected}")


def _check_group(table: LakeTable, group: list[Mapping[str, Any]]) -> Iterator[Finding]:
    try:
        frame = _rows_of(table, group)
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - changed bytes may break any reader
        if len(group) > 1:  # find out which of them it is
            for batch in group:
                yield from _check_group(table, [batch])
            return
        batch = group[0]
        where = f"{table.uri} source {batch['source']} batch {batch['batch']}"
        reason = f"{type(error).__name__}: {str(error)[:160]}"
        yield block("lake.unreadable", table.uri, f"{where}: rows 0 to {batch['rows'] - 1} cannot be read ({reason})")
        return
    for batch in group:
        part = frame.filter(pl.col("_source") == batch["source"], pl.col("_batch") == batch["batch"])
        yield from _check_batch(table.uri, batch, part)


def _rows_of(table: LakeTable, group: list[Mapping[str, Any]]) -> pl.DataFrame:
    numbers = [batch["batch"] for batch in group]
    sources = [batch["source"] for batch in group]
    wanted = pl.LazyFrame({"_source": sources, "_batch": numbers}, schema={"_source": pl.String, "_batch": pl.Int64})
    near = table.scan().filter(pl.col("_batch").is_between(min(numbers), max(numbers)), pl.col("_source").is_in(sorted(set(sources))))
    return near.join(wanted, on=["_source", "_batch"], how="semi").sort("_source", "_batch", "_row").collect()


def _check_batch(uri: str, batch: Mapping[str, Any], part: pl.DataFrame) -> Iterator[Finding]:
    where = f"{uri} source {batch['source']} batch {batch['batch']}"
    rows = stored_table(part.drop(_ORIGIN).select(batch["columns"]))
    leaves, expected = chunk_digests(rows), batch["leaves"]
    in_order = part["_row"].equals(pl.int_range(part.height, eager=True).alias("_row"))
    if leaves == expected and merkle_root(leaves) == batch["digest"] and in_order:
        return
    for number in range(max(len(leaves), len(expected))):
        if leaves[number : number + 1] != expected[number : number + 1] or not in_order:
            first, last = number * CHUNK_ROWS, min((number + 1) * CHUNK_ROWS, max(batch["rows"], part.height)) - 1
            yield block("lake.rows", uri, f"{where}: rows {first} to {last} are not the ones that were collected")


def _check_rejects(table: LakeTable, body: Mapping[str, Any]) -> Iterator[Finding]:
    frame = table.scan().filter(pl.col("_source") == body["source"], pl.col("_batch") == body["batch"]).sort("_row").collect()
    rejects = frame.select("code", "reason", "at", "raw").to_arrow(compat_level=pl.CompatLevel.oldest())
    if table_digest(rejects) != body["rejects_digest"]:
        what = f"{table.uri} source {body['source']} batch {body['batch']}"
        yield block("lake.rejects", table.uri, f"{what}: the rejected records are not the ones that were kept")


def _grouped(batches: list[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Batches together as long as they fit in memory, so that many small ones are read in one go."""
    group: list[Mapping[str, Any]] = []
    rows = 0
    for batch in sorted(batches, key=lambda b: (b["source"], b["batch"])):
        if group and rows + batch["rows"] > READ_ROWS:
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch["rows"]
    if group:
        yield group
