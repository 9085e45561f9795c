"""Why: from a model or a prediction back to the batches, files, lines and contributors it was made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from headwater.collect.source import Cursor
from headwater.collect.table import Table
from headwater.core.errors import Broken, DataError, UsageError
from headwater.core.names import did_you_mean, printable
from headwater.ledger.entries import Entry, Ledger
from headwater.store.lake import Lake
from headwater.store.snapshot import Snapshot, snapshot_of

__all__ = ["Span", "find_model", "models_of", "snapshot_of_dataset", "why_model", "why_prediction"]

Span = Callable[[Cursor | None, Cursor | None], list[dict[str, Any]]]
"""What a source read between two cursors, in its own words: files and lines, or offsets."""

_MODEL = re.compile(r"([a-z][a-z0-9_-]*)(?:@(\d+))?")
MOST_SHOWN = 20


def models_of(ledger: Ledger) -> list[Entry]:
    """Every model that was trained, oldest first."""
    return list(ledger.entries("model"))


def find_model(ledger: Ledger, subject: str) -> Entry:
    """The model that `shop` (the newest), `shop@3`, or a digest names. Raises `UsageError` if there is none."""
    entries = models_of(ledger)
    match = _MODEL.fullmatch(subject)
    for entry in reversed(entries):
        body = entry.body
        if subject.startswith("sha256:") and body["model"].startswith(subject):
            return entry
        if match and body["name"] == match[1] and match[2] in (None, str(body["version"])):
            return entry
    known = [f"{e.body['name']}@{e.body['version']}" for e in entries]
    raise UsageError(f"no model {printable(subject)!r}. {did_you_mean(subject, known)}")


def snapshot_of_dataset(ledger: Ledger, dataset: str) -> Snapshot:
    """The snapshot that a dataset was prepared from."""
    entry = ledger.last("dataset", digest=dataset)
    taken = ledger.last("snapshot", digest=entry.body["snapshot"]) if entry else None
    if taken is None:
        raise Broken(f"the ledger does not know where the dataset {dataset} came from. Type: headwater verify")
    return snapshot_of(taken)


def why_model(ledger: Ledger, lake: Lake, subject: str, *, tables: Sequence[Table], span: Span) -> dict[str, Any]:
    """What a model was made from: dataset, snapshot, each table's batches with files and lines, contributors."""
    entry = find_model(ledger, subject)
    body = entry.body
    snapshot = snapshot_of_dataset(ledger, body["dataset"])
    return {
        "model": {"name": body["name"], "version": body["version"], "digest": body["model"], "trained": entry.time, "entry": entry.seq},
        "metrics": body["metrics"],
        "dataset": {"digest": body["dataset"], "snapshot": snapshot.digest},
        "tables": [_table_row(snapshot, lake, table) for table in tables if table.name in snapshot.tables],
        "batches": _batches(ledger, snapshot, span),
        "deployments": [
            {"epoch": e.body["epoch"], "reason": e.body["reason"], "time": e.time, "entry": e.seq}
            for e in ledger.entries("deployed", equal={"digest": body["model"]})
        ],
    }


def why_prediction(
    ledger: Ledger,
    lake: Lake,
    subject: str,
    *,
    tables: Sequence[Table],
    span: Span,
    explain: Callable[[str, int, str, Sequence[str]], list[dict[str, Any]]],
) -> dict[str, Any]:
    """What a prediction was made from: its record, the user's own rows, the model and everything behind it.

    `explain(model, version, user, items)` gives reasons for each item in the model's own words.
    """
    stored = lake.table("tables/predictions")
    found = stored.scan().filter(pl.col("prediction_id") == subject).collect() if stored.exists() else pl.DataFrame()
    if found.is_empty():
        raise UsageError(
            f"no model and no collected prediction {printable(subject, 60)!r}. A fresh one is known after: headwater run collect"
        )
    record = found.row(0, named=True)
    model = why_model(ledger, lake, f"{record['model']}@{record['version']}", tables=tables, span=span)
    snapshot = snapshot_of_dataset(ledger, model["dataset"]["digest"])
    user = record["user"]
    return {
        "prediction": {
            key: record[key] for key in ("prediction_id", "ts", "user", "model", "version", "epoch", "_source", "_batch", "_row")
        },
        "items": explain(record["model"], int(record["version"]), user, record["items"]) if user is not None else [],
        "rows": own_rows(ledger, lake, snapshot, tables, user, span) if user is not None else [],
        **model,
    }


def own_rows(ledger: Ledger, lake: Lake, snapshot: Snapshot, tables: Sequence[Table], user: str, span: Span) -> list[dict[str, Any]]:
    """The user's own rows in a snapshot: table, source, batch, row, and where the batch was read."""
    rows: list[dict[str, Any]] = []
    places: dict[tuple[str, int], str] = {}
    for table in tables:
        if table.contributor is None or table.name not in snapshot.tables:
            continue
        mine = snapshot.scan(lake, table.name).filter(pl.col(table.contributor) == user)
        found = mine.select("_source", "_batch", "_row", pl.col(table.key).alias("key")).sort("_source", "_batch", "_row").collect()
        for row in found.head(MOST_SHOWN).iter_rows(named=True):
            at = (row["_source"], row["_batch"])
            if at not in places:
                places[at] = _place(ledger, *at, span)
            rows.append({"table": table.name, **row, "read": places[at]})
        if found.height > MOST_SHOWN:
            rows.append(
                {"table": table.name, "_source": "…", "_batch": 0, "_row": found.height - MOST_SHOWN, "key": "more rows", "read": ""}
            )
    return rows


def _table_row(snapshot: Snapshot, lake: Lake, table: Table) -> dict[str, Any]:
    pinned = snapshot.tables[table.name]
    people = None
    if table.contributor is not None and pinned.version >= 0:
        people = snapshot.scan(lake, table.name).select(pl.col(table.contributor).n_unique()).collect().item()
    batches = sum(pinned.batches.values())
    return {
        "table": table.name,
        "rows": pinned.rows,
        "batches": batches,
        "contributors": people,
        "version": pinned.version,
        "digest": pinned.digest,
    }


def _batches(ledger: Ledger, snapshot: Snapshot, span: Span) -> list[dict[str, Any]]:
    """Every batch in the snapshot, with what was read for it: the cursor before against the cursor after."""
    rows = []
    done = {entry.body["intent"] for entry in ledger.entries("done")}
    before: dict[tuple[str, str], Cursor | None] = {}
    for entry in ledger.entries("intent"):
        body = entry.body
        pinned = snapshot.tables.get(body["table"])
        if entry.seq not in done or pinned is None:
            continue
        at = (body["table"], body["source"])
        if body["batch"] <= pinned.batches.get(body["source"], 0):
            read = "; ".join(_said(part) for part in span(before.get(at), body["cursor"]))
            rows.append(
                {
                    "table": body["table"],
                    "source": body["source"],
                    "batch": body["batch"],
                    "rows": body["rows"],
                    "rejected": body["rejected"],
                    "read": read,
                    "digest": body["digest"],
                    "entry": entry.seq,
                }
            )
        before[at] = body["cursor"]
    return rows


def _place(ledger: Ledger, source: str, batch: int, span: Span) -> str:
    done = ledger.last("done", source=source, batch=batch)
    if done is None:
        raise DataError(f"the ledger does not know batch {batch} of {source}. Type: headwater verify")
    after = next(ledger.entries("intent", after=done.body["intent"] - 1)).body["cursor"]
    earlier = ledger.last("done", source=source, batch=batch - 1)
    before = next(ledger.entries("intent", after=earlier.body["intent"] - 1)).body["cursor"] if earlier else None
    return "; ".join(_said(part) for part in span(before, after))


def _said(part: Mapping[str, Any]) -> str:
    if "file" in part:
        return f"{part['file']}:{part['first_line']}-{part['last_line']}"
    return ", ".join(f"{key}={value}" for key, value in part.items())
