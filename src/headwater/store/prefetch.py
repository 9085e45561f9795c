"""Prefetch: the next item is made while the last one is being used. One ahead, never more: memory stays bounded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetched"]

Item = TypeVar("Item")
_END = object()


def prefetched(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The same items in the same order; an error comes where its item would have been."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = pool.submit(next, items, _END)
            yield item  # type: ignore[misc]  # only _END is no Item
