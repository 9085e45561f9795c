"""Ledger: an append-only chain of signed entries in SQLite, safe for several processes; also the write-ahead log."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.core.digest import canonical_json, json_digest
from headwater.core.errors import Broken, Retryable, UsageError
from headwater.core.failpoint import failpoint
from headwater.core.keys import Keys, Role, Signature
from headwater.ledger.witness import Witness

__all__ = ["SIGNERS", "Entry", "Ledger"]

GENESIS = "sha256:" + "0" * 64

SIGNERS: Mapping[str, Role] = {
    "intent": "collect",  # a batch is about to be committed: source, number, cursor after, digest
    "done": "collect",  # it was
    "compacting": "collect",  # a table's files are about to be rewritten
    "compacted": "collect",  # the same rows in other files
    "abandoned": "collect",  # it was not, and never will be under this number and attempt
    "snapshot": "collect",
    "prepared": "collect",
    "dataset": "collect",  # which prepared tables, made from which snapshot, training may read under one digest
    "model": "train",
    "judged": "review",
    "decided": "review",
    "excluded": "review",  # a contributor (by pseudonym), source or batch was taken out
    "released": "review",  # … and was put back
    "confirmed": "review",  # … and a person agreed
    "deployed": "deploy",
    "flushed": "serve",  # a spool segment was sealed: predictions or feedback, with their digest
    "report": "review",
    "request": "review",
}
"""Each kind of entry, and the only role whose signature makes one valid."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    previous TEXT NOT NULL,
    seal TEXT NOT NULL,
    role TEXT NOT NULL,
    key TEXT NOT NULL,
    signature TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entries_kind ON entries (kind, seq);
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One call, remembered. `seal` is the digest over everything else and the seal before."""

    seq: int
    time: str
    kind: str
    body: Mapping[str, Any]
    previous: str
    seal: str
    signature: Signature

    def expected_seal(self) -> str:
        """What `seal` has to be."""
        return json_digest([self.seq, self.time, self.kind, self.body, self.previous, self.signature.role, self.signature.key])


class Ledger:
    """The ledger of one project.

    Guarantees: an entry is appended whole or not at all, in one order whichever processes append; `append` returns only
    once it is on disk; nothing is ever changed or removed here. The witness (kept with the keys) is brought up to the
    head after every append.
    """

    def __init__(self, path: Path, keys: Keys) -> None:
        self.path = path
        self.keys = keys
        self.witness = Witness(keys.folder / "witness.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and self.witness.read() is not None:
            raise Broken(f"the ledger {path} is gone, but its witness remembers entry {self.witness.read()}. Restore it from a backup")
        with self._open() as db:
            db.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=FULL")
                yield db
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise Retryable(f"the ledger {self.path} is busy: {error}") from error
            raise Broken(f"the ledger {self.path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise Broken(f"{self.path} is not a ledger: {error}. Restore it from a backup") from error

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Append one entry, signed by the role that its kind calls for. Returns it once it is durable."""
        if kind not in SIGNERS:
            raise UsageError(f"{kind!r} is no kind of entry")
        role = SIGNERS[kind]
        text = canonical_json(body).decode()
        failpoint(f"ledger.{kind}.before")
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute("SELECT seq, seal FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous = (row[0] + 1, row[1]) if row else (1, GENESIS)
            now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1000 % 1_000_000:06d}Z"
            key = self.keys.key_id(role)
            seal = json_digest([seq, now, kind, json.loads(text), previous, role, key])
            signature = self.keys.sign(role, seal.encode())
            db.execute(
                "INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?)",
                (seq, now, kind, text, previous, seal, role, key, signature.value),
            )
            db.execute("COMMIT")
        failpoint(f"ledger.{kind}.after")
        self.witness.advance(seq, seal)
        return Entry(seq=seq, time=now, kind=kind, body=json.loads(text), previous=previous, seal=seal, signature=signature)

    def entries(
        self, kind: str | None = None, *, after: int = 0, newest_first: bool = False, equal: Mapping[str, str | int] | None = None
    ) -> Iterator[Entry]:
        """Entries in order (or newest first), of one kind if named, with `seq > after`, whose body has these values."""
        where, values = ["seq > ?"], [after]
        arguments: list[Any] = list(values)
        if kind is not None:
            where.append("kind = ?")
            arguments.append(kind)
        for name, value in (equal or {}).items():
            where.append("json_extract(body, ?) = ?")
            arguments += [f"$.{name}", value]
        order = "DESC" if newest_first else "ASC"
        with self._open() as db:
            for row in db.execute(f"SELECT * FROM entries WHERE {' AND '.join(where)} ORDER BY seq {order}", arguments):  # noqa: S608 - only our own words
                yield _entry(row)

    def last(self, kind: str, **equal: str | int) -> Entry | None:
        """The newest entry of a kind whose body has these values, or none."""
        return next(self.entries(kind, newest_first=True, equal=equal), None)

    def head(self) -> tuple[int, str]:
        """The newest entry's number and seal; (0, …) for an empty ledger."""
        with self._open() as db:
            row = db.execute("SELECT seq, seal FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return (row[0], row[1]) if row else (0, GENESIS)


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, when, kind, body, previous, seal, role, key, signature = row
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = {"unreadable": True}
    return Entry(
        seq=seq, time=when, kind=kind, body=parsed, previous=previous, seal=seal, signature=Signature(role=role, key=key, value=signature)
    )
