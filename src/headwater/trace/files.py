"""Files: every data file of the lake held against the SHA-256 it was written with. Bytes, not rows: the quickest check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from headwater.core.errors import HeadwaterError
from headwater.core.gate import Finding, Severity
from headwater.ledger.entries import Entry, Ledger
from headwater.store.lake import Lake, LakeTable

__all__ = ["block", "check_files", "guarded", "open_intents"]


def check_files(ledger: Ledger, lake: Lake) -> Iterator[Finding]:
    """Every data file of the lake against the SHA-256 that it was written with; and in use are exactly those that should be.

    The quickest check there is: bytes, not rows. A file that `gc` deleted is not missed: it was not in use any more.
    """
    told = _told_files(ledger)
    for intent in open_intents(ledger):  # begun and not closed: the next run finishes it or takes it back
        for path in (f"tables/{intent.body['table']}", f"rejected/{intent.body['table']}"):
            if lake.table(path).exists():
                begun = lake.table(path).written(app=intent.body["source"], number=intent.seq)
                told.setdefault(path, _Files()).add(begun, _named(intent))
    there = {f"{folder}/{name}" for folder in ("tables", "rejected", "prepared") for name in lake.tables(folder)}
    for path in sorted({*told, *there}):
        yield from guarded(f"lake:{path}", partial(_check_files, lake.table(path), told.get(path, _Files()), _counts(ledger, path)))


@dataclass
class _Files:
    """What the ledger says of one table's files: digest and content of each that was ever written, and which are in use."""

    written: dict[str, tuple[str, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def add(self, files: Mapping[str, str], named: str) -> None:
        self.written |= {file: (digest, named) for file, digest in files.items()}
        self.used |= set(files)


def _told_files(ledger: Ledger) -> dict[str, _Files]:
    told: dict[str, _Files] = {}
    for entry in ledger.entries():
        if entry.kind not in ("done", "prepared", "compacted"):
            continue
        for path, files in entry.body["files"].items():
            table = told.setdefault(path, _Files())
            if entry.kind == "compacted":
                table.used = set(entry.body["uses"])
            elif entry.kind == "prepared" and _anew(entry):
                table.used = set()
            table.add(files, _named(entry))
    return told


def _anew(entry: Entry) -> bool:
    """Whether a prepared table was written anew, so that no file from before is in use."""
    return bool(entry.body["table"]["whole"] == entry.body["generation"] or entry.body["how"] == "settled")


def _counts(ledger: Ledger, path: str) -> int | None:
    """The version of a table that counts (None: the newest; -1: none yet): for a prepared one, what the ledger says; a
    killed attempt may lie on top."""
    folder, _, name = path.partition("/")
    if folder != "prepared":
        return None
    entry = ledger.last("prepared", name=name)
    return int(entry.body["version"]) if entry else -1


def open_intents(ledger: Ledger) -> list[Entry]:
    """Batches that were begun and neither done nor abandoned: a collector was killed, or is at work."""
    begun: dict[int, Entry] = {}
    for entry in ledger.entries():
        if entry.kind == "intent":
            begun[entry.seq] = entry
        elif entry.kind in ("done", "abandoned"):
            begun.pop(entry.body["intent"], None)
    return list(begun.values())


def _check_files(table: LakeTable, files: _Files, version: int | None) -> Iterator[Finding]:
    used = set(table.files(version)) if table.exists() and version != -1 else set()
    hashed = table.hashed(sorted({*files.written, *used}))
    for file in sorted(used - set(files.written)):
        yield block("lake.file", table.uri, f"{table.uri} uses {file}, which nobody wrote who signs the ledger")
    for file in sorted(files.used - used):
        yield block(
            "lake.file", table.uri, f"{table.uri} does not use {file} any more: its log was changed. It held {files.written[file][1]}"
        )
    for file in sorted((used & set(files.written)) - files.used):
        yield block("lake.file", table.uri, f"{table.uri} uses {file} again, which was replaced: its log was changed")
    for file, (digest, named) in files.written.items():
        if hashed[file] and hashed[file] != digest:
            yield block("lake.file", table.uri, f"{table.uri}: {file} was changed. It holds {named}")
        elif not hashed[file] and file in used:
            yield block("lake.file", table.uri, f"{table.uri}: {file} is gone. It held {named}")


def _named(entry: Entry) -> str:
    body = entry.body
    if entry.kind in ("done", "intent"):
        return f"source {body['source']} batch {body['batch']}: rows 0 to {body['rows'] - 1} (ledger entry {entry.seq})"
    return f"what entry {entry.seq} ({entry.kind}) wrote"


def guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What cannot be read is itself a finding: no answer is not a yes."""
    try:
        yield from check()
    except HeadwaterError as error:
        yield block("verify.unreadable", subject, str(error))
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - bytes that were tampered with may break any reader
        yield block("verify.unreadable", subject, f"{subject} cannot be read: {type(error).__name__}: {str(error)[:200]}")


def block(code: str, subject: str, message: str) -> Finding:
    return Finding(severity=Severity.BLOCK, code=code, subject=subject, message=message)
