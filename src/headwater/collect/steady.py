"""Steady: a source that is away for a while is read on from where it was, with backoff and jitter, before anybody is told."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from headwater.collect.source import Chunk, Cursor, Source
from headwater.core.errors import Retryable

__all__ = ["Patience", "steadily"]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a source that is away is asked again, and the seconds waited: first, at most, and in all."""

    attempts: int = 6
    first_s: float = 0.2
    most_s: float = 10.0
    all_s: float = 60.0


def steadily(source: Source, after: Cursor | None, patience: Patience) -> Generator[Chunk, None, None]:
    """What `source.read(after)` yields. Where it raises `Retryable`, it is read again after the last chunk's cursor.

    By the law of sources nothing is lost or doubled. Each chunk that comes begins the patience anew; where it is at an
    end, the last `Retryable` is raised.
    """
    while True:
        before = after
        try:
            for chunk in _patiently(source, after, patience):
                after = chunk.cursor
                yield chunk
            return
        except Retryable:
            if after is before:
                raise


def _patiently(source: Source, after: Cursor | None, patience: Patience) -> Generator[Chunk, None, None]:
    """One reading, begun again where it fails before its first chunk."""
    import stamina

    for attempt in stamina.retry_context(
        on=Retryable, attempts=patience.attempts, timeout=patience.all_s, wait_initial=patience.first_s, wait_max=patience.most_s
    ):
        with attempt:
            reading = source.read(after=after)
            first = next(reading, None)
    if first is not None:
        yield first
        yield from reading
