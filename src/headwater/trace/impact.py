"""Impact: from a contributor, a source or a batch forward to the models, deployments and predictions it has reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.collect.table import Table
from headwater.core.errors import UsageError
from headwater.core.names import printable
from headwater.ledger.entries import Ledger
from headwater.store.exclusion import load, named_rows
from headwater.store.lake import Lake
from headwater.trace.why import models_of, snapshot_of_dataset

__all__ = ["Subject", "affected", "impact", "parse_subject", "touched_rows"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is asked about: a contributor (maybe only his rows from one source), a source, a batch of a source, or single
    rows of a table, named by the digest of the blob that lists them."""

    kind: str
    name: str
    batch: int | None = None
    source: str | None = None
    table: str | None = None


def parse_subject(text: str, *, sources: Sequence[str]) -> Subject:
    """`contributor:ann`, `source:events`, `batch:events/3`; a bare word is a source if one is called so, else a contributor."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in ("contributor", "source", "batch"):
        return Subject(kind="source" if text in sources else "contributor", name=text)
    if kind == "batch":
        name, _, number = rest.rpartition("/")
        if not number.isdigit() or not name:
            raise UsageError(f"{printable(text)!r} is no batch: expected batch:SOURCE/NUMBER")
        return Subject(kind="batch", name=name, batch=int(number))
    return Subject(kind=kind, name=rest)


def impact(ledger: Ledger, lake: Lake, subject: Subject, *, tables: Sequence[Table]) -> dict[str, Any]:
    """Everything that a subject's rows have reached. Raises `UsageError` if it wrote no row that is in the lake."""
    touched = touched_rows(lake, subject, tables=tables)
    if touched.is_empty():
        raise UsageError(f"{subject.kind} {printable(subject.name, 80)!r} wrote no row that is in the lake")
    models = affected(ledger, lake, subject, touched)
    digests = [body["model"] for body in models]
    deployed = [entry for digest in digests for entry in ledger.entries("deployed", equal={"digest": digest})]
    serving = {entry.body["name"]: entry.body["digest"] for entry in ledger.entries("deployed")}
    return {
        "subject": {"kind": subject.kind, "name": subject.name, "rows": int(touched["rows"].sum()), "batches": touched.height},
        "batches": touched.sort("table", "_source", "_batch").to_dicts(),
        "models": [
            {
                "model": f"{body['name']}@{body['version']}",
                "digest": body["model"],
                "serving": serving.get(body["name"]) == body["model"],
                "predictions": _predictions(lake, body["name"], str(body["version"])),
            }
            for body in models
        ],
        "deployments": [{"name": e.body["name"], "epoch": e.body["epoch"], "model": e.body["digest"], "time": e.time} for e in deployed],
    }


def _touched(lake: Lake, table: Table, subject: Subject) -> pl.DataFrame:
    """How many rows of each batch of a table are the subject's."""
    schema = {"table": pl.String, "_source": pl.String, "_batch": pl.Int64, "rows": pl.Int64}
    stored = lake.table(f"tables/{table.name}")
    if not stored.exists() or (subject.kind == "contributor" and table.contributor is None) or subject.table not in (None, table.name):
        return pl.DataFrame(schema=schema)
    rows = stored.scan()
    if subject.kind == "rows":
        named = named_rows(subject.name, lake=lake)
        told = [(table.name, s, int(b), len(numbers)) for s, batches in named.items() for b, numbers in batches.items()]
        return pl.DataFrame(told, schema=schema, orient="row")
    if subject.kind == "contributor":
        rows = rows.filter(pl.col(str(table.contributor)) == subject.name)
        if subject.source is not None:
            rows = rows.filter(pl.col("_source") == subject.source)
    else:
        rows = rows.filter(pl.col("_source") == subject.name)
        if subject.batch is not None:
            rows = rows.filter(pl.col("_batch") == subject.batch)
    counted = rows.group_by("_source", "_batch").agg(pl.len().cast(pl.Int64).alias("rows")).collect()
    return counted.select(pl.lit(table.name).alias("table"), "_source", "_batch", "rows").cast(schema)  # type: ignore[arg-type]


def touched_rows(lake: Lake, subject: Subject, *, tables: Sequence[Table]) -> pl.DataFrame:
    """How many rows of each table, source and batch are the subject's."""
    return pl.concat([_touched(lake, table, subject) for table in tables], how="vertical")


def affected(ledger: Ledger, lake: Lake, subject: Subject, touched: pl.DataFrame) -> list[dict[str, Any]]:
    """The ledger's bodies of the models that learned from a snapshot which holds any of the touched rows."""
    bodies = [dict(entry.body) for entry in models_of(ledger)]
    return [body for body in bodies if _reached(ledger, lake, body["dataset"], subject, touched)]


def _reached(ledger: Ledger, lake: Lake, dataset: str, subject: Subject, touched: pl.DataFrame) -> bool:
    """Whether a dataset holds a touched row: its batch is in, and the subject was not taken out whole."""
    tables = snapshot_of_dataset(ledger, dataset).tables
    for row in touched.iter_rows(named=True):
        pinned = tables.get(row["table"])
        if pinned is None or row["_batch"] > pinned.batches.get(row["_source"], 0):
            continue
        rules = {
            (rule["kind"], rule["name"], rule["batch"], rule["source"])
            for rule in load(lake, pinned.excluded)["rules"]
            if rule["since"] is None
        }
        own = {(subject.kind, subject.name, subject.batch, source) for source in (None, subject.source)}
        if not rules & (own | {("source", row["_source"], None, None), ("batch", row["_source"], row["_batch"], None)}):
            return True
    return False


def _predictions(lake: Lake, model: str, version: str) -> int:
    stored = lake.table("tables/predictions")
    if not stored.exists():
        return 0
    made = stored.scan().filter(pl.col("model") == model, pl.col("version").cast(pl.String) == version)
    return int(made.select(pl.len()).collect().item())
