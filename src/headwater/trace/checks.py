"""Checks of what stands on the tables: datasets, prepared rows, models, and what is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from headwater.core.digest import chunk_digests, merkle_root
from headwater.core.errors import HeadwaterError
from headwater.core.gate import Finding
from headwater.deploy.deployment import read_pointer
from headwater.ledger.entries import Entry, Ledger
from headwater.store.commit import stored_table
from headwater.store.lake import Lake
from headwater.trace.files import block
from headwater.train.registry import Registry

__all__ = ["check_deployments", "check_models", "check_prepared"]


def check_prepared(ledger: Ledger, lake: Lake) -> Iterator[Finding]:
    """Every generation of every prepared table against the digest of what was written then."""
    entries: dict[str, list[Entry]] = {}
    for entry in ledger.entries("prepared"):
        entries.setdefault(str(entry.body["name"]), []).append(entry)
    for name, told in entries.items():
        newest = told[-1].body["table"]
        written = [entry for entry in told if entry.body["table"]["whole"] == newest["whole"]]
        rows = lake.table(f"prepared/{name}").scan(newest["version"])
        last = 0
        for entry in written:
            body = entry.body
            if entry is not written[0] and body["generation"] == last:
                continue  # brought up to its inputs without a row more
            part = rows.filter(pl.col("_gen").is_between(last + 1, body["generation"]), ~pl.col("_gen").is_in(newest["void"]))
            leaves = chunk_digests(stored_table(part.sort("_row").drop("_gen").collect()))
            if merkle_root(leaves) != body["content"]["digest"]:
                what = f"what entry {entry.seq} wrote into lake:prepared/{name} (generations {last + 1} to {body['generation']})"
                yield block("prepared.rows", f"lake:prepared/{name}", f"{what} is not what is there")
            last = body["generation"]


def check_models(ledger: Ledger, registry: Registry) -> Iterator[Finding]:
    """Every model that was trained: there, signed, unchanged, and the one that the ledger remembers; and no other that we did not sign."""
    known: set[tuple[str, int]] = set()
    for entry in ledger.entries("model"):
        name, version = str(entry.body["name"]), int(entry.body["version"])
        known.add((name, version))
        try:
            registry.load(name, version, expect_digest=str(entry.body["model"]))
        except HeadwaterError as error:
            yield block("model.changed", f"model:{name}@{version}", str(error))
    for name in registry.names():
        for version in registry.versions(name):
            if (name, version) in known:
                continue
            try:  # one that we signed was saved by a run that was killed before it could say so: the next one takes it up
                registry.load(name, version)
            except HeadwaterError as error:
                yield block("model.unknown", f"model:{name}@{version}", f"the ledger does not know model {name}@{version}: {error}")


def check_deployments(ledger: Ledger, folder: Path) -> Iterator[Finding]:
    """Every pointer: signed, for its name, and the newest decision of the ledger."""
    newest = {str(entry.body["name"]): int(entry.body["epoch"]) for entry in ledger.entries("deployed")}
    for name in sorted({*newest, *(path.stem for path in folder.glob("[!.]*.json"))}):
        subject = f"deployment:{name}"
        try:
            epoch = read_pointer(folder / f"{name}.json", ledger.keys).epoch
        except HeadwaterError as error:
            yield block("deployment.pointer", subject, str(error))
            continue
        if epoch != newest.get(name):
            yield block("deployment.epoch", subject, f"{name} points at epoch {epoch}, the ledger's newest is {newest.get(name)}")
