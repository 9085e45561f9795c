"""The law of sinks as tests: a write is whole or absent, and the same key twice is once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from headwater.core.errors import HeadwaterError, Retryable
from headwater.store.sink import Sink

__all__ = ["ROWS", "ServerSinkLaws", "SinkLaws"]

ROWS = pa.table({"id": list(range(100)), "kind": [f"k{n % 7}" for n in range(100)], "score": [n / 3 for n in range(100)]})

Found = list[dict[str, Any]]


class SinkLaws:
    """Inherit it, and give the fixtures `sink`, and `found`: what is there now, as a list of rows in any order.

    `upserts` is whether rows with an `id` that is there replace it; else a second key adds.
    """

    upserts = False

    def test_what_is_written_is_there(self, sink: Sink, found: Callable[[], Found]) -> None:
        assert sink.write(ROWS.to_batches(max_chunksize=7), key="one") == 100
        assert _sorted(found()) == ROWS.to_pylist()

    def test_the_same_key_twice_is_once(self, sink: Sink, found: Callable[[], Found]) -> None:
        sink.write(ROWS.to_batches(), key="one")
        assert sink.write(ROWS.to_batches(), key="one") == 100
        assert _sorted(found()) == ROWS.to_pylist()

    def test_another_key_is_another_write(self, sink: Sink, found: Callable[[], Found]) -> None:
        more = pa.table({"id": [99, 200], "kind": ["new", "new"], "score": [1.0, 2.0]})
        sink.write(ROWS.to_batches(), key="one")
        assert sink.write(more.to_batches(), key="two") == 2
        expected = [*ROWS.to_pylist()[: 99 if self.upserts else 100], *more.to_pylist()]
        assert _sorted(found()) == sorted(expected, key=_order)

    def test_a_write_that_fails_in_the_middle_leaves_nothing_and_may_be_repeated(self, sink: Sink, found: Callable[[], Found]) -> None:
        def breaking() -> Iterator[pa.RecordBatch]:
            yield from ROWS.slice(0, 60).to_batches(max_chunksize=7)
            raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError, match="in the middle"):
            sink.write(breaking(), key="one")
        assert found() == []
        sink.write(ROWS.to_batches(), key="one")
        assert _sorted(found()) == ROWS.to_pylist()

    def test_no_rows_are_a_write_too(self, sink: Sink, found: Callable[[], Found]) -> None:
        assert sink.write(ROWS.slice(0, 0).to_batches(), key="none") == 0
        assert found() == []


class ServerSinkLaws(SinkLaws):
    """Inherit it for a sink behind a server; give besides the fixtures `behind`, which has a `proxy`, and `wrong`, a sink with
    a wrong password."""

    def test_a_server_that_is_away_is_to_be_tried_again(self, sink: Sink, found: Callable[[], Found], behind: Any) -> None:
        behind.proxy.cut()
        with pytest.raises(Retryable):
            sink.write(ROWS.to_batches(), key="one")
        behind.proxy.heal()
        sink.write(ROWS.to_batches(), key="one")
        assert _sorted(found()) == ROWS.to_pylist()

    def test_a_wrong_password_is_told_without_it(self, wrong: Sink) -> None:
        with pytest.raises(HeadwaterError) as told:
            wrong.write(ROWS.to_batches(), key="one")
        assert not isinstance(told.value, Retryable)
        assert "hunter2" not in str(told.value)


def _order(row: dict[str, Any]) -> tuple[int, str]:
    return row["id"], row["kind"]


def _sorted(rows: Found) -> Found:
    return sorted(rows, key=_order)
