"""Sink: somewhere rows are written to, outside of the lake. A write is named, and lands whole and once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Sink"]


class Sink(Protocol):
    """Somewhere rows are written to.

    The law of sinks: a write is all or nothing; the same `key` twice is once, whoever repeats it and wherever he was killed.
    Where a system cannot promise that, its page says what it can: no reader sees more than is told there.
    """

    @property
    def name(self) -> str: ...

    def write(self, batches: Iterable[pa.RecordBatch], *, key: str) -> int:
        """Write all of `batches`, which have one schema; returns how many rows are there because of this key.

        `key` names what is written (the digest of a dataset); with a key that has landed nothing is written again. Raises
        `Retryable` where the system is away, `UsageError` for what the caller must mend, `DataError` for rows that it
        does not take; in each case nothing of this write is to be seen.
        """
        ...
