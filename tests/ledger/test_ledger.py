"""The ledger: appended in one order by any number of processes, and every change to it is seen and named."""

import multiprocessing
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.core.errors import Broken, UsageError
from headwater.core.keys import Keys
from headwater.ledger.entries import Ledger
from headwater.ledger.seals import check_chain


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.db", Keys.make(tmp_path / "keys"))
    for number in range(6):
        ledger.append("intent" if number % 2 else "report", {"n": number, "source": "events"})
    return ledger


def codes(ledger: Ledger) -> list[tuple[str, str]]:
    return [(finding.code, finding.subject) for finding in check_chain(ledger)]


def edit(ledger: Ledger, sql: str) -> None:
    with sqlite3.connect(ledger.path) as db:
        db.execute(sql)


def test_an_honest_ledger_is_clean_and_read_back_in_order(ledger: Ledger) -> None:
    assert codes(ledger) == []
    assert [entry.body["n"] for entry in ledger.entries()] == list(range(6))
    last = ledger.last("intent", source="events")
    assert last is not None
    assert last.body["n"] == 5
    assert ledger.last("intent", source="other") is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE entries SET body = '{\"n\":9}' WHERE seq = 3", ("ledger.seal", "ledger:3")),
        ("UPDATE entries SET body = 'x' WHERE seq = 3", ("ledger.seal", "ledger:3")),
        ("UPDATE entries SET time = '2020' WHERE seq = 3", ("ledger.seal", "ledger:3")),
        ("UPDATE entries SET signature = '00' WHERE seq = 3", ("ledger.signature", "ledger:3")),
        ("DELETE FROM entries WHERE seq = 3", ("ledger.gap", "ledger:4")),
        ("DELETE FROM entries WHERE seq > 4", ("ledger.witness", "ledger")),
        ("DELETE FROM entries", ("ledger.witness", "ledger")),
    ],
)
def test_every_change_is_seen_and_named(ledger: Ledger, sql: str, expected: tuple[str, str]) -> None:
    edit(ledger, sql)
    assert expected in codes(ledger)


def test_an_old_state_restored_whole_is_seen_against_the_witness(ledger: Ledger, tmp_path: Path) -> None:
    shutil.copy(ledger.path, tmp_path / "old.db")
    ledger.append("report", {"n": 6})
    shutil.copy(tmp_path / "old.db", ledger.path)
    assert codes(ledger) == [("ledger.witness", "ledger")]


def test_an_entry_forged_with_another_projects_keys_is_seen(ledger: Ledger, tmp_path: Path) -> None:
    witness = ledger.witness.path.read_bytes()
    strangers = Ledger(tmp_path / "other.db", Keys.make(tmp_path / "stranger"))
    strangers.path.unlink()
    shutil.copy(ledger.path, strangers.path)
    strangers.append("deployed", {"model": "evil"})
    shutil.copy(strangers.path, ledger.path)
    assert ledger.witness.path.read_bytes() == witness
    assert codes(ledger) == [("ledger.signature", "ledger:7")]


def test_a_ledger_that_is_gone_is_not_begun_again(ledger: Ledger) -> None:
    ledger.path.unlink()
    with pytest.raises(Broken, match="is gone"):
        Ledger(ledger.path, ledger.keys)


def test_a_file_that_is_no_ledger_is_said_to_be_none(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"not a database, whatever its name" * 100)
    with pytest.raises(Broken, match="is not a ledger"):
        Ledger(ledger.path, ledger.keys)


def test_a_kind_that_nobody_may_sign_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="no kind of entry"):
        ledger.append("rumour", {})


def _append_many(path: Path, keys: Path, worker: int) -> None:
    ledger = Ledger(path, Keys(keys))
    for number in range(20):
        ledger.append("report", {"worker": worker, "n": number})


def test_several_processes_append_to_one_chain(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", Keys.make(tmp_path / "keys"))
    context = multiprocessing.get_context("spawn")
    run: Callable[..., None] = _append_many
    workers = [context.Process(target=run, args=(ledger.path, tmp_path / "keys", w)) for w in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert codes(ledger) == []
    for worker_number in range(3):
        seen = [e.body["n"] for e in ledger.entries(equal={"worker": worker_number})]
        assert seen == list(range(20))
