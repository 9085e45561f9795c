"""Prefetch: items are made while earlier ones are being used. A few ahead, never more: memory stays bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["mapped", "prefetched"]

Item = TypeVar("Item")
Made = TypeVar("Made")
_END = object()


def prefetched(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The same items in the same order, one ahead; an error comes where its item would have been."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = pool.submit(next, items, _END)
            yield item  # type: ignore[misc]  # only _END is no Item


def mapped(work: Callable[[Item], Made], items: Iterator[Item], *, at_once: int) -> Generator[Made, None, None]:
    """What `work` makes of each item, in the same order, `at_once` of them at a time; an error comes where its item would have been."""
    coming: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        while True:
            try:
                item = next(items)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised below, after what came before it
                failed: Future[Made] = Future()
                failed.set_exception(error)
                coming.append(failed)
                break
            coming.append(pool.submit(work, item))
            if len(coming) > at_once:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
