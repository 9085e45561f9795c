"""Source: somewhere records come from. Rows, what could not be read, and the position travel together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Acknowledging", "Chunk", "Cursor", "Place", "Reject", "Source"]

Cursor = dict[str, Any]
"""A position in a source: plain JSON, complete in itself. Only the source that made it understands it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a record was: `at` for people and machines (`events.jsonl:17@2031`: file, line, byte), and its bytes as text.

    `raw` is what was there, invalid UTF-8 shown as backslash escapes, cut at 64 KiB.
    """

    at: str
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """A record that could not be read: a stable `code` (`json.invalid`), a reason for people, its place."""

    code: str
    reason: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What was read in one go: rows, what could not be read, and the cursor after all of it.

    `place(i)` tells where row `i` of `rows` was; it is asked only for rows that break their contract. `blobs` are the
    images, sounds and pages that rows name by digest, each under it.
    """

    rows: pa.Table
    cursor: Cursor
    rejects: Sequence[Reject] = ()
    place: Callable[[int], Place] = field(default=lambda row: Place(at=f"row {row}", raw=""))
    blobs: Mapping[str, bytes] = field(default_factory=dict)


class Source(Protocol):
    """Somewhere records come from.

    The law of sources: for every chunk that `read()` yields, `read(after=chunk.cursor)` yields exactly the rows and
    rejects that came after it. Reading never changes the source. Chunks are bounded in bytes. Cutting is deterministic:
    the same content after the same cursor gives the same chunks. Reading ends when it has caught up with what was there
    when it began. It raises `Retryable` where the system behind it is away: reading again after the last cursor goes on.
    """

    @property
    def name(self) -> str: ...

    def read(self, after: Cursor | None = None) -> Iterator[Chunk]: ...


@runtime_checkable
class Acknowledging(Protocol):
    """A source that is told once what it gave is kept: where a server holds its messages, or its log, until then."""

    def acknowledge(self, cursor: Cursor) -> None:
        """Everything up to `cursor` is in the lake, and the ledger says so. Called again for the same cursor, it does nothing more.

        It may be called while a reading goes on in another thread, and before any, by a process that was killed before it
        could. Raises `Retryable` if the server is away; nothing is lost then, it will be told again.
        """
        ...
