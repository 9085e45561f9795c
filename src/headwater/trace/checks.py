"""Checks of what stands on the tables: datasets, prepared rows, models, and what is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headwater.core.errors import HeadwaterError
from headwater.core.gate import Finding, Severity
from headwater.deploy.deployment import read_pointer
from headwater.ledger.entries import Ledger
from headwater.train.registry import Registry

__all__ = ["check_deployments", "check_models"]


def check_models(ledger: Ledger, registry: Registry) -> Iterator[Finding]:
    """Every model that was trained: there, signed, unchanged, and the one that the ledger remembers; and no other."""
    known: set[tuple[str, int]] = set()
    for entry in ledger.entries("model"):
        name, version = str(entry.body["name"]), int(entry.body["version"])
        known.add((name, version))
        try:
            registry.load(name, version, expect_digest=str(entry.body["model"]))
        except HeadwaterError as error:
            yield _block("model.changed", f"model:{name}@{version}", str(error))
    for name in registry.names():
        for version in registry.versions(name):
            if (name, version) not in known:
                yield _block(
                    "model.unknown", f"model:{name}@{version}", f"model {name}@{version} is in the registry, the ledger does not know it"
                )


def check_deployments(ledger: Ledger, folder: Path) -> Iterator[Finding]:
    """Every pointer: signed, for its name, and the newest decision of the ledger."""
    newest = {str(entry.body["name"]): int(entry.body["epoch"]) for entry in ledger.entries("deployed")}
    for name in sorted({*newest, *(path.stem for path in folder.glob("[!.]*.json"))}):
        subject = f"deployment:{name}"
        try:
            epoch = read_pointer(folder / f"{name}.json", ledger.keys).epoch
        except HeadwaterError as error:
            yield _block("deployment.pointer", subject, str(error))
            continue
        if epoch != newest.get(name):
            yield _block("deployment.epoch", subject, f"{name} points at epoch {epoch}, the ledger's newest is {newest.get(name)}")


def _block(code: str, subject: str, message: str) -> Finding:
    return Finding(severity=Severity.BLOCK, code=code, subject=subject, message=message)
