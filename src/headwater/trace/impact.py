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
from headwater.store.lake import Lake
from headwater.trace.why import models_of, snapshot_of_dataset

__all__ = ["Subject", "impact", "parse_subject"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is asked about: a contributor, a source, or a batch of a source."""

    kind: str
    name: str
    batch: int | None = None


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
    touched = pl.concat([_touched(lake, table, subject) for table in tables], how="vertical")
    if touched.is_empty():
        raise UsageError(f"{subject.kind} {printable(subject.name, 80)!r} wrote no row that is in the lake")
    models = [body for body in (entry.body for entry in models_of(ledger)) if _reached(ledger, body["dataset"], touched)]
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
    if not stored.exists() or (subject.kind == "contributor" and table.contributor is None):
        return pl.DataFrame(schema=schema)
    rows = stored.scan()
    if subject.kind == "contributor":
        rows = rows.filter(pl.col(str(table.contributor)) == subject.name)
    else:
        rows = rows.filter(pl.col("_source") == subject.name)
        if subject.batch is not None:
            rows = rows.filter(pl.col("_batch") == subject.batch)
    counted = rows.group_by("_source", "_batch").agg(pl.len().cast(pl.Int64).alias("rows")).collect()
    return counted.select(pl.lit(table.name).alias("table"), "_source", "_batch", "rows").cast(schema)  # type: ignore[arg-type]


def _reached(ledger: Ledger, dataset: str, touched: pl.DataFrame) -> bool:
    tables = snapshot_of_dataset(ledger, dataset).tables
    rows = touched.iter_rows(named=True)
    return any(row["table"] in tables and row["_batch"] <= tables[row["table"]].batches.get(row["_source"], 0) for row in rows)


def _predictions(lake: Lake, model: str, version: str) -> int:
    stored = lake.table("tables/predictions")
    if not stored.exists():
        return 0
    made = stored.scan().filter(pl.col("model") == model, pl.col("version").cast(pl.String) == version)
    return int(made.select(pl.len()).collect().item())
