"""Source: somewhere records come from. Rows, what could not be read, and the position travel together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Chunk", "Cursor", "Place", "Reject", "Source"]

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

    `place(i)` tells where row `i` of `rows` was; it is asked only for rows that break their contract.
    """

    rows: pa.Table
    cursor: Cursor
    rejects: Sequence[Reject] = ()
    place: Callable[[int], Place] = field(default=lambda row: Place(at=f"row {row}", raw=""))


class Source(Protocol):
    """Somewhere records come from.

    The law of sources: for every chunk that `read()` yields, `read(after=chunk.cursor)` yields exactly the rows and
    rejects that came after it. Reading never changes the source. Chunks are bounded in bytes. Cutting is deterministic:
    the same content after the same cursor gives the same chunks.
    """

    @property
    def name(self) -> str: ...

    def read(self, after: Cursor | None = None) -> Iterator[Chunk]: ...
