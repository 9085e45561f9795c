"""Each record is in the lake exactly once, wherever the collector is killed, and each reject is kept with its reason."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from tests.store.counting import NUMBERS, Counting, collector, expected

from headwater.core.errors import Broken, Retryable
from headwater.core.files import locked
from headwater.ledger.seals import check_chain
from headwater.store.commit import Collector
from headwater.store.lake import Lake
from headwater.store.retention import sweep
from headwater.store.snapshot import take_snapshot
from headwater.trace.files import check_files
from headwater.trace.verify import verify

POINTS = [
    *(f"ledger.{kind}.{when}" for kind in ("intent", "done") for when in ("before", "after")),
    "collect.rows.before",
    "collect.rows.after",
    "collect.rejects.after",
]


def contents(work: Collector) -> tuple[list[int], list[int]]:
    rows = work.rows.scan().sort("_batch", "_row").collect()
    rejected = work.rejected.scan().collect()
    return rows["n"].to_list(), sorted(int(at) for at in rejected["at"])


def assert_exactly_once(work: Collector, end: int) -> None:
    rows, rejected = contents(work)
    good, bad = expected(end)
    assert rows == sorted(good)
    assert rejected == sorted(bad)
    assert list(check_chain(work.ledger)) == []
    assert verify(work.ledger, lake_of(work)).findings == ()


def lake_of(work: Collector) -> Lake:
    return Lake(work.rows.path.parents[1])


def digest(work: Collector) -> str:
    return take_snapshot([NUMBERS], lake=lake_of(work), ledger=work.ledger).tables["numbers"].digest


def test_everything_is_a_row_or_a_reject_and_nothing_is_read_twice(tmp_path: Path) -> None:
    work = collector(tmp_path)
    first = work.collect(Counting(50))
    assert first.rows + first.rejected == 50
    assert work.collect(Counting(50)).batches == 0
    work.collect(Counting(100))
    assert_exactly_once(work, 100)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_every_commit_point_and_run_again_it_is_as_if_never_killed(tmp_path: Path, point: str, nth: int) -> None:
    calm = collector(tmp_path / "calm")
    calm.collect(Counting(70))
    killed = tmp_path / "killed"
    killed.mkdir()
    environment = {**os.environ, "HEADWATER_FAILPOINT": f"{point}:{nth}"}
    command = [sys.executable, "-m", "tests.store.counting", str(killed), "70"]
    died = subprocess.run(command, env=environment, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    again = collector(killed)
    again.collect(Counting(70))
    assert_exactly_once(again, 70)
    assert digest(again) == digest(calm)


def test_two_collectors_of_one_table_take_turns_or_say_why_not(tmp_path: Path) -> None:
    work = collector(tmp_path)
    with locked(work.staged / "numbers.lock", "held by the test"):
        patient = collector(tmp_path)
        patient.wait_s = 0
        with pytest.raises(Retryable, match="table numbers is in use"):
            patient.collect(Counting(10))
    assert patient.collect(Counting(10)).rows > 0


def test_a_key_that_is_in_the_lake_is_rejected_in_any_later_chunk_batch_or_run(tmp_path: Path) -> None:
    work = collector(tmp_path)
    work.collect(Counting(40, name="one"))
    repeated = work.collect(Counting(40, name="two"))
    assert repeated.rows == 0
    codes = work.rejected.scan().filter(pl.col("_source") == "two").collect()["code"].value_counts(sort=True)
    assert codes.filter(pl.col("code") == "key.repeated")["count"].to_list() == [len(expected(40)[0])]


def test_compaction_leaves_every_digest_as_it_was(tmp_path: Path) -> None:
    work = collector(tmp_path)
    for end in (30, 60, 90):
        work.collect(Counting(end))
    before = digest(work)
    assert len(work.rows.files()) > 1
    sweep(lake_of(work), work.ledger, {"tables/numbers": []}, dry_run=False)
    assert len(work.rows.files()) == 1
    assert digest(work) == before
    assert_exactly_once(work, 90)


def test_a_version_that_is_kept_stays_readable_and_others_go(tmp_path: Path) -> None:
    work = collector(tmp_path)
    work.collect(Counting(30))
    kept = work.rows.version()
    rows = work.rows.scan(kept).collect().height
    work.collect(Counting(60))
    sweep(lake_of(work), work.ledger, {"tables/numbers": [kept]}, dry_run=False)
    work.collect(Counting(90))
    sweep(lake_of(work), work.ledger, {"tables/numbers": [kept], "rejected/numbers": []}, dry_run=False)
    assert work.rows.scan(kept).collect().height == rows
    assert_exactly_once(work, 90)


def test_a_changed_byte_is_named_by_table_batch_and_rows(tmp_path: Path) -> None:
    work = collector(tmp_path)
    work.collect(Counting(60))
    victim = work.rows.path / work.rows.files()[0]
    honest = victim.read_bytes()
    for at in range(0, len(honest), 97):
        content = bytearray(honest)
        content[at] ^= 1
        victim.write_bytes(bytes(content))
        (finding,) = check_files(work.ledger, lake_of(work))
        assert finding.code == "lake.file"
        assert re.search(r"lake:tables/numbers: \S+ was changed. It holds source counter batch \d: rows 0 to \d+", finding.message)


def test_a_file_swapped_for_another_valid_one_is_named(tmp_path: Path) -> None:
    work = collector(tmp_path)
    work.collect(Counting(20))
    victim = work.rows.path / work.rows.files()[0]
    evil = pl.read_parquet(victim).with_columns(n=pl.col("n") + 1)
    evil.write_parquet(victim)
    codes = {finding.code for finding in verify(work.ledger, lake_of(work)).findings}
    assert "lake.file" in codes
    assert codes & {"lake.rows", "lake.unreadable"}


def test_rows_slipped_in_beside_the_ledger_are_seen(tmp_path: Path) -> None:
    work = collector(tmp_path)
    work.collect(Counting(20))
    slipped = pa.table({"key": ["evil"], "n": [1], "_source": ["counter"], "_batch": [99], "_row": [0]})
    work.rows.append(slipped, app="stranger", number=1)
    assert [finding.code for finding in verify(work.ledger, lake_of(work)).findings] == ["lake.file", "lake.count"]


def test_a_table_is_there_before_its_first_record(tmp_path: Path) -> None:
    work = collector(tmp_path)
    work.prepare()
    assert work.rows.scan().collect().columns[-3:] == ["_source", "_batch", "_row"]
    snapshot = take_snapshot([NUMBERS], lake=lake_of(work), ledger=work.ledger)
    assert snapshot.tables["numbers"].rows == 0


def test_what_was_tampered_with_is_not_compacted_into_something_that_looks_like_ours(tmp_path: Path) -> None:
    work = collector(tmp_path)
    work.collect(Counting(60))
    victim = work.rows.path / work.rows.files()[0]
    pl.read_parquet(victim).with_columns(n=pl.col("n") + 1).write_parquet(victim)
    with pytest.raises(Broken, match="nothing is compacted"):
        sweep(lake_of(work), work.ledger, {"tables/numbers": []}, dry_run=False)
