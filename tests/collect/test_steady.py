"""A source that is away for a while is read on from where it was; one that stays away is told."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from headwater.collect.source import Chunk, Cursor
from headwater.collect.steady import Patience, steadily
from headwater.core.errors import DataError, Retryable

QUICK = Patience(attempts=3, first_s=0.001, most_s=0.001, all_s=5)


class Away:
    """Ten rows, one a chunk; it breaks off before each of `breaks`, once for each time it stands there."""

    name = "numbers"

    def __init__(self, *breaks: int, error: type[Exception] = Retryable) -> None:
        self.breaks = list(breaks)
        self.error = error

    def read(self, after: Cursor | None = None) -> Iterator[Chunk]:
        for n in range(after["n"] if after else 0, 10):
            if n in self.breaks:
                self.breaks.remove(n)
                raise self.error(f"away at {n}")
            yield Chunk(rows=pa.table({"n": [n]}), cursor={"n": n + 1})


@pytest.mark.parametrize("breaks", [(), (0,), (5,), (9,), (0, 0, 3, 3, 4, 5, 6, 7, 7)])
def test_each_chunk_comes_once_whenever_the_source_breaks_off(breaks: tuple[int, ...]) -> None:
    assert [chunk.cursor["n"] for chunk in steadily(Away(*breaks), None, QUICK)] == list(range(1, 11))


def test_one_that_stays_away_is_told_after_what_it_gave() -> None:
    reading = steadily(Away(4, 4, 4, 4), {"n": 2}, QUICK)
    assert [next(reading).cursor["n"], next(reading).cursor["n"]] == [3, 4]
    with pytest.raises(Retryable, match="away at 4"):
        next(reading)


def test_what_waiting_cannot_mend_is_told_at_once() -> None:
    source = Away(1, 1, error=DataError)
    with pytest.raises(DataError):
        list(steadily(source, None, QUICK))
    assert source.breaks == [1]
