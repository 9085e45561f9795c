"""Prefetch: what is made ahead comes in order, errors in their place, and never more than a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.store.prefetch import mapped, prefetched


@given(items=st.lists(st.integers(), max_size=30), at_once=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_items_come_in_their_order(items: list[int], at_once: int) -> None:
    assert list(prefetched(iter(items))) == items
    assert list(mapped(lambda item: item * 2, iter(items), at_once=at_once)) == [item * 2 for item in items]


@given(before=st.integers(0, 6), at_once=st.integers(1, 3), where=st.sampled_from(["items", "work"]))
@settings(max_examples=30, deadline=None)
def test_an_error_comes_where_its_item_would_have_been(before: int, at_once: int, where: str) -> None:
    def items() -> Iterator[int]:
        yield from range(before)
        if where == "items":
            raise OSError("read")
        yield -1
        yield from range(3)

    def work(item: int) -> int:
        if item < 0:
            raise OSError("work")
        return item

    made = mapped(work, items(), at_once=at_once)
    assert [next(made) for _ in range(before)] == list(range(before))
    with pytest.raises(OSError, match=where.removesuffix("s").replace("item", "read")):
        next(made)


def test_no_more_is_taken_than_can_be_worked_at_and_one() -> None:
    taken: list[int] = []
    go = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    def work(item: int) -> int:
        assert go.wait(10)
        return item

    made = mapped(work, items(), at_once=2)
    go.set()
    assert next(made) == 0
    assert len(taken) <= 3
    made.close()
    assert len(taken) <= 3
