"""The spool: whole lines in files that only grow; acknowledged is on disk; every closed file is told once."""

import json
import resource
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.deploy.popular import until

from headwater.core.digest import bytes_digest
from headwater.core.errors import Retryable
from headwater.deploy.segment import Sealed, Segments
from headwater.deploy.spool import Spool


def _kept(spool: Spool, row: dict[str, object]) -> OSError | None:
    """Add feedback and wait for the answer."""
    answers: list[OSError | None] = []
    answered = threading.Event()
    assert spool.add_feedback(row, lambda error: (answers.append(error), answered.set())[0])
    assert answered.wait(20)
    return answers[0]


def _lines(folder: Path, stream: str) -> list[dict[str, object]]:
    return [json.loads(line) for path in sorted((folder / stream).glob("*.jsonl")) for line in path.read_bytes().splitlines()]


@contextmanager
def _no_file_longer_than(size: int) -> Iterator[None]:
    """What a full disk does: writes are cut short, then fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_added_is_there_in_order_and_every_closed_file_is_told_with_rows_and_digest(tmp_path: Path) -> None:
    told: list[Sealed] = []
    spool = Spool(tmp_path, on_flush=told.append, max_bytes=200)
    for n in range(30):
        assert spool.add_predictions([{"n": n, "user": "ü\u2028"}])
    assert [_kept(spool, {"n": n}) for n in range(5)] == [None] * 5
    spool.close()
    assert [row["n"] for row in _lines(tmp_path, "predictions")] == list(range(30))
    assert [row["n"] for row in _lines(tmp_path, "feedback")] == list(range(5))
    files = sorted(path for path in tmp_path.glob("*/*.jsonl"))
    assert len(files) > 3
    assert sorted(sealed.file for sealed in told) == [f"{path.parent.name}/{path.name}" for path in files]
    for sealed in told:
        content = (tmp_path / sealed.file).read_bytes()
        assert (sealed.rows, sealed.digest) == (content.count(b"\n"), bytes_digest(content))


def test_a_restart_begins_a_new_file_and_tells_of_the_one_a_dead_process_left(tmp_path: Path) -> None:
    left = tmp_path / "predictions" / "serve-00000004.jsonl"
    left.parent.mkdir(parents=True)
    left.write_bytes(b'{"n":0}\n{"n":1')
    told: list[Sealed] = []
    for _ in range(2):
        spool = Spool(tmp_path, on_flush=told.append)
        spool.add_predictions([{"n": 2}])
        spool.close()
    assert left.read_bytes() == b'{"n":0}\n{"n":1'
    assert [(sealed.file[-10:], sealed.rows) for sealed in told] == [("0004.jsonl", 1), ("0005.jsonl", 1), ("0006.jsonl", 1)]


def test_a_ledger_that_is_away_stops_nothing_and_is_told_later(tmp_path: Path) -> None:
    told: list[Sealed] = []
    away = True

    def on_flush(sealed: Sealed) -> None:
        if away:
            raise Retryable("busy")
        told.append(sealed)

    spool = Spool(tmp_path, on_flush=on_flush)
    spool.add_predictions([{"n": 1}])
    spool.flush()
    assert (spool.unsealed, told) == (1, [])
    assert spool.add_predictions([{"n": 2}])
    away = False
    until(lambda: spool.unsealed == 0)
    spool.close()
    assert len(told) == 2


def test_two_processes_do_not_write_as_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(Retryable, match="in use"):
        Spool(tmp_path)
    Spool(tmp_path, writer="serve-2").close()
    spool.close()
    Spool(tmp_path).close()


def test_a_file_that_is_old_is_closed_without_another_row(tmp_path: Path) -> None:
    told: list[Sealed] = []
    spool = Spool(tmp_path, on_flush=told.append, max_age_s=0.1)
    assert _kept(spool, {"n": 1}) is None
    until(lambda: len(told) == 1)
    spool.close()


def test_a_full_disk_refuses_feedback_loses_predictions_by_count_and_leaves_only_whole_lines(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    long = {"n": 0, "text": "x" * 300}
    with _no_file_longer_than(1000):
        answers = [_kept(spool, {**long, "n": n}) for n in range(5)]
        logged = [spool.add_predictions([{**long, "n": n}]) for n in range(5)]
        assert spool.problem == "failed"
    assert [answer is None for answer in answers] == [True, True, True, False, False]
    assert logged == [True, True, True, False, False]
    assert spool.lost_predictions == 2
    assert _kept(spool, {"n": 9}) is None
    assert spool.add_predictions([{"n": 9}])
    assert spool.problem is None
    spool.close()
    for stream in ("feedback", "predictions"):
        numbers = [row["n"] for row in _lines(tmp_path, stream)]
        assert numbers[:3] == [0, 1, 2]
        assert numbers[-1] == 9


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 200)), max_size=20))
def test_however_the_disk_cuts_writes_short_each_line_is_whole_and_what_was_taken_is_there(moves: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        segments, taken = Segments(Path(folder) / "s", "w", max_bytes=1 << 30, max_age_s=1e9), []
        for n, (length, room) in enumerate(moves):
            size = segments.path.stat().st_size if segments.path else 0
            lines = b"".join(json.dumps([n, part, "x" * length]).encode() + b"\n" for part in range(2))
            with _no_file_longer_than(size + room):
                try:
                    segments.append(lines)
                except OSError:
                    continue
            taken += [[n, 0], [n, 1]]
        segments.append(b'["end", 0]\n')
        path = segments.path
        sealed = segments.seal()
        assert path is not None
        assert sealed is not None
        rows = [json.loads(line)[:2] for line in path.read_bytes().splitlines()]
        assert [row for row in rows if row in taken] == taken
        assert (sealed.rows, sealed.digest) == (len(rows), bytes_digest(path.read_bytes()))
        assert path.stat().st_size == sum(len(line) + 1 for line in path.read_bytes().splitlines())
