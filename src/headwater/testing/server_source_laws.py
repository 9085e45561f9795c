"""What a source behind a server promises besides: cut off, killed or restarted, nothing is lost or doubled, no secret is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.collect.source import Source
from headwater.collect.steady import Patience, steadily
from headwater.core.errors import HeadwaterError, Retryable
from headwater.testing.collecting import KILL_POINTS, collect_in_a_process, kept
from headwater.testing.servers.proxy import Proxy
from headwater.testing.source_laws import SourceLaws

__all__ = ["Behind", "ServerSourceLaws"]

WRONG = "hunter2"  # the password that nobody has


class Behind(ABC):
    """A place of its own on a server (a topic, a table) for one test."""

    proxy: Proxy

    @abstractmethod
    def url(self, *, password: str | None = None) -> str:
        """What reads this place through the proxy; with another password, if one is given."""

    @abstractmethod
    def put(self, things: list[dict[str, object]]) -> None:
        """Things come to be there, past the proxy; each has `id` and `kind`."""

    @abstractmethod
    def put_rubbish(self) -> None:
        """One record that is no thing comes to be there."""

    def restart(self) -> None:  # noqa: B027
        """The server dies and comes back with what it had. Where it forgets everything, nothing happens here."""


class ServerSourceLaws(SourceLaws):
    """Inherit it, and give the fixtures `behind` (a `Behind`, new for each test) and `opened` (which opens a source by url).

    `opened` gives the source small chunks, so that there are several of sixty things.
    """

    has_password = True
    rubbish_is_possible = True

    @pytest.fixture
    def source(self, behind: Behind, opened: Callable[[str], Source]) -> Source:
        behind.put(things(1, 40))
        if self.rubbish_is_possible:
            behind.put_rubbish()
        behind.put(things(40, 60))
        return opened(behind.url())

    def test_the_source_under_test_has_something_to_tell(self, source: Source) -> None:
        chunks = list(source.read())
        assert len(chunks) > 1
        assert sum(chunk.rows.num_rows for chunk in chunks) == 59
        assert sum(len(chunk.rejects) for chunk in chunks) == int(self.rubbish_is_possible)

    def test_what_comes_later_is_read_later(self, behind: Behind, opened: Callable[[str], Source]) -> None:
        behind.put(things(1, 10))
        source = opened(behind.url())
        first = list(source.read())
        behind.put(things(10, 30))
        second = list(source.read(after=first[-1].cursor))
        assert [_ids(first), _ids(second)] == [list(range(1, 10)), list(range(10, 30))]
        assert list(source.read(after=second[-1].cursor)) == [] or _ids(source.read(after=second[-1].cursor)) == []

    def test_a_server_that_is_away_is_to_be_tried_again_and_told_without_a_secret(
        self, behind: Behind, opened: Callable[[str], Source]
    ) -> None:
        behind.put(things(1, 10))
        behind.proxy.cut()
        with pytest.raises(Retryable) as told:
            list(opened(behind.url()).read())
        assert WRONG not in str(told.value)
        behind.proxy.heal()
        assert _ids(opened(behind.url()).read()) == list(range(1, 10))

    def test_cut_off_in_the_middle_nothing_is_lost_or_doubled(self, behind: Behind, opened: Callable[[str], Source]) -> None:
        behind.put(things(1, 200, size=2_000))
        source = opened(behind.url())
        found, cuts, after = [], 0, None
        for size in (3_000, 9_000, 30_000, 90_000, 10_000_000):
            behind.proxy.heal()
            behind.proxy.cut_after(size)
            try:
                for chunk in source.read(after=after):
                    found += chunk.rows.column("id").to_pylist()
                    after = chunk.cursor
            except Retryable:
                cuts += 1
        behind.proxy.heal()
        found += [one for chunk in steadily(source, after, Patience()) for one in chunk.rows.column("id").to_pylist()]
        assert sorted(found) == list(range(1, 200))
        assert cuts

    def test_a_wrong_password_is_told_in_one_line_without_it(self, behind: Behind, opened: Callable[[str], Source]) -> None:
        if not self.has_password:
            return
        with pytest.raises(HeadwaterError) as told:
            list(opened(behind.url(password=WRONG)).read())
        assert not isinstance(told.value, Retryable)
        assert WRONG not in str(told.value)
        assert "\n" not in str(told.value)

    def test_a_server_that_dies_and_comes_back_has_lost_nothing(self, behind: Behind, opened: Callable[[str], Source]) -> None:
        behind.put(things(1, 30))
        source = opened(behind.url())
        reading = source.read()
        first = next(reading)
        behind.restart()
        rest = [one for chunk in steadily(source, first.cursor, Patience()) for one in chunk.rows.column("id").to_pylist()]
        assert sorted(first.rows.column("id").to_pylist() + rest) == list(range(1, 30))

    @pytest.mark.parametrize("point", KILL_POINTS)
    def test_a_collector_that_is_killed_leaves_each_record_in_the_lake_once(self, behind: Behind, point: str, tmp_path: Path) -> None:
        behind.put(things(1, 25))
        assert not collect_in_a_process(tmp_path, behind.url(), kill_at=point)
        behind.put(things(25, 40))
        assert collect_in_a_process(tmp_path, behind.url())
        assert [row["id"] for row in kept(tmp_path)] == list(range(1, 40))


def things(first: int, end: int, *, size: int = 5) -> list[dict[str, object]]:
    """Things with the ids from `first` to before `end`; `size` is how long their kind is."""
    return [{"id": n, "kind": f"{n:0{size}d}"} for n in range(first, end)]


def _ids(chunks: object) -> list[int]:
    return sorted(one for chunk in chunks for one in chunk.rows.column("id").to_pylist())  # type: ignore[attr-defined]
