"""Rubbish in: a clear error or a reject with its reason, and once it is mended, what was good is in the lake once."""

from __future__ import annotations

import ctypes
import gzip
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.killing import command
from tests.typed import Typed, typed

from headwater.pipeline.init import init
from headwater.pipeline.project import Project

GOOD = '{{"event_id":"{0}","user_id":"u1","item_id":"i1","ts":"2024-01-01T00:00:00Z","kind":"view"}}\n'
REVIEWS = "review_id,user_id,item_id,ts,text,stars\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop whose events are read from data/events/*, whatever their kind, with one good record in each table."""
    folder = tmp_path / "shop"
    init(folder, "shop")
    toml = folder / "headwater.toml"
    toml.write_text(toml.read_text().replace("data/events/*.jsonl", "data/events/*"))
    (folder / "data/events").mkdir(parents=True)
    put(folder, "a.jsonl", good("e1"))
    (folder / "data/reviews.csv").write_text(REVIEWS + "r1,u1,i1,2024-01-01T00:00:00Z,Nice,5\n")
    return folder


def good(*names: str) -> bytes:
    return "".join(GOOD.format(name) for name in names).encode()


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / "data/events" / name
    path.write_bytes(content)
    return path


def collect(folder: Path) -> Typed:
    return typed("run", "collect", "-C", folder, "-o", "json")


def rows(folder: Path, table: str = "tables/events") -> pl.DataFrame:
    stored = Project.open(folder).lake.table(table)
    return stored.scan().collect().sort("_source", "_batch", "_row") if stored.exists() else pl.DataFrame()


def keys(folder: Path) -> list[str]:
    return rows(folder)["event_id"].to_list()


def fine(folder: Path, *expected: str) -> None:
    """A run ends well, these records are there once, another run changes nothing, and all verifies."""
    for _ in range(2):
        done = collect(folder)
        assert done.code == 0, done.err
        assert sorted(keys(folder)) == sorted(expected)
    assert typed("verify", "-C", folder).code == 0


def reason(folder: Path, table: str = "rejected/events") -> tuple[str, str, str, str]:
    """Code, reason, place and raw value of the one reject."""
    (row,) = rows(folder, table).select("code", "reason", "at", "raw").rows()
    return row


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        (b'{"event_id":"x","user_id":"u1","item_id":"i1","ts":"2024', "json.invalid", ""),
        (GOOD.format("x").encode()[:-1].replace(b"i1", b"i\xff\xfe"), "encoding.invalid", "UTF-8"),
        (GOOD.format("x").encode()[:-1].replace(b'"i1"', b"NaN"), "json.number", "NaN"),
        (GOOD.format("x").encode()[:-1].replace(b'"i1"', b"-Infinity"), "json.number", "Infinity"),
        (GOOD.format("x").encode()[:-1].replace(b'"i1"', b"1e999"), "json.number", ""),
        (GOOD.format("x").encode()[:-1].replace(b'"i1"', b"7"), "json.type", "item_id"),
        (GOOD.format("x").encode()[:-1].replace(b'"i1"', b'{"a":[1]}'), "json.type", "item_id"),
        (GOOD.format("x").encode()[:-1].replace(b'"user_id":"u1",', b""), "contract.null", "user_id"),
        (GOOD.format("x").encode()[:-1].replace(b"view", b"hover"), "contract.check", "hover"),
        (GOOD.format("x").encode()[:-1].replace(b"2024-01-01T00:00:00Z", b"yesterday"), "contract.type", "ts"),
        (GOOD.format("x").encode()[:-1].replace(b'"x"', b'"' + b"x" * 65 + b'"'), "contract.check", "event_id"),
        (GOOD.format("e1").encode()[:-1], "key.repeated", "event_id"),
        (b"\0" * 40, "json.invalid", ""),
    ],
    ids=[
        "half a line",
        "not UTF-8",
        "NaN",
        "Infinity",
        "1e999",
        "a number",
        "an object",
        "missing",
        "kind",
        "time",
        "long",
        "twice",
        "NUL",
    ],
)
def test_a_bad_line_is_kept_with_reason_place_and_value_and_its_neighbours_are_rows(shop: Path, line: bytes, code: str, why: str) -> None:
    put(shop, "a.jsonl", good("e1") + line + b"\n" + good("e2"))
    fine(shop, "e1", "e2")
    found, said, at, raw = reason(shop)
    assert (found, at) == (code, f"data/events/a.jsonl:2@{len(good('e1'))}")
    assert why in said
    assert raw[:4] == line[:4].decode()


@pytest.mark.parametrize(
    ("stars", "code"),
    [
        ("11", "contract.check"),
        *((stars, "contract.type") for stars in ("five", "NaN", "1e999", "4.5", "9223372036854775808")),
        ("5,and,more", "csv.fields"),
    ],
)
def test_a_bad_csv_record_too(shop: Path, stars: str, code: str) -> None:
    with open(shop / "data/reviews.csv", "a") as file:
        file.write(f"r2,u1,i1,2024-01-01T00:00:00Z,Nice,{stars}\nr3,u1,i1,2024-01-01T00:00:00Z,,\n")
    fine(shop, "e1")
    assert rows(shop, "tables/reviews")["review_id"].to_list() == ["r1", "r3"]
    assert reason(shop, "rejected/reviews")[0] == code
    assert reason(shop, "rejected/reviews")[2].startswith("data/reviews.csv:3@")


def test_a_key_that_came_before_is_rejected_in_whatever_file_it_comes_again(shop: Path) -> None:
    fine(shop, "e1")
    put(shop, "b.jsonl", good("e2", "e1", "e2"))
    fine(shop, "e1", "e2")
    assert rows(shop, "rejected/events")["code"].to_list() == ["key.repeated"] * 2


def test_a_line_that_is_still_being_written_is_waited_for_and_said(shop: Path) -> None:
    line = good("e2")
    put(shop, "a.jsonl", good("e1") + line[:30])
    done = collect(shop)
    assert done.json["notes"] == ["data/events/a.jsonl ends in half a record (30 bytes): left until it is whole"]
    assert keys(shop) == ["e1"]
    put(shop, "a.jsonl", good("e1") + line)
    fine(shop, "e1", "e2")


def test_a_new_column_is_taken_in_and_one_that_changes_its_type_is_rejected(shop: Path) -> None:
    fine(shop, "e1")
    put(shop, "b.jsonl", good("e2").replace(b'"kind"', b'"colour":"red","kind"'))
    fine(shop, "e1", "e2")
    assert rows(shop)["colour"].to_list() == [None, "red"]
    put(shop, "c.jsonl", good("e3").replace(b'"kind"', b'"colour":7,"kind"') + good("e4"))
    fine(shop, "e1", "e2", "e4")
    assert "colour" in reason(shop)[1]


def test_a_truncated_gzip_gives_what_is_whole_and_mended_it_gives_the_rest_once(shop: Path) -> None:
    names = [f"z{n}" for n in range(2_000)]
    packed = gzip.compress(b"".join(good(name).replace(b"i1", os.urandom(8).hex().encode()) for name in names), mtime=0)
    path = put(shop, "z.jsonl.gz", packed[: len(packed) // 2])
    done = collect(shop)
    assert done.code == 0
    some = keys(shop)
    assert 500 < len(some) < 1_500
    assert some == ["e1", *names[: len(some) - 1]]
    assert reason(shop)[0] == "gzip.truncated"
    path.write_bytes(packed)
    done = collect(shop)
    assert done.code == 1  # it is not the file that was read: nobody decides for the user which of the two counts
    assert "z.jsonl.gz" in Typed(done.code, "", done.err).said
    path.rename(path.with_name("again.jsonl.gz"))
    path.write_bytes(packed[: len(packed) // 2])
    fine(shop, "e1", *names)


def test_a_line_of_100_megabytes_is_one_reject(shop: Path) -> None:
    put(shop, "a.jsonl", good("e1") + b'{"event_id":"' + b"x" * (100 << 20) + b'"}\n' + good("e2"))
    fine(shop, "e1", "e2")
    code, _, at, raw = reason(shop)
    assert (code, at) == ("line.too-long", f"data/events/a.jsonl:2@{len(good('e1'))}")
    assert len(raw) < 100_000


def test_an_empty_file_is_nothing_until_it_is_more(shop: Path) -> None:
    path = put(shop, "b.jsonl", b"")
    fine(shop, "e1")
    path.write_bytes(good("e2"))
    fine(shop, "e1", "e2")


def folder_in_place(path: Path) -> Callable[[], object]:
    path.mkdir()
    return path.rmdir


def link_out(path: Path) -> Callable[[], object]:
    outside = path.parents[3] / "secret.jsonl"
    outside.write_bytes(good("secret"))
    path.symlink_to(outside)
    return path.unlink


def unknown_kind(path: Path) -> Callable[[], object]:
    path.with_suffix(".docx").write_bytes(b"PK")
    return path.with_suffix(".docx").unlink


def pipe(path: Path) -> Callable[[], object]:
    os.mkfifo(path)
    return path.unlink


def other_header(path: Path) -> Callable[[], object]:
    reviews = path.parents[1] / "reviews.csv"
    kept = reviews.read_bytes()
    reviews.write_bytes(b"a,b\n1,2\n")
    return lambda: reviews.write_bytes(kept)


@pytest.mark.parametrize(
    ("spoil", "said", "code"),
    [
        (folder_in_place, "b.jsonl is a folder", 2),
        (link_out, "leads out of", 2),
        (unknown_kind, "b.docx does not tell its format", 2),
        (pipe, "not a regular file", 2),
        (other_header, "reviews.csv", 1),
    ],
)
def test_what_is_no_data_file_is_an_error_in_one_line_and_mended_all_goes_on(
    shop: Path, spoil: Callable[[Path], Callable[[], object]], said: str, code: int
) -> None:
    mend = spoil(shop / "data/events/b.jsonl")
    done = collect(shop)
    assert done.code == code
    assert said in Typed(done.code, done.out, done.err.splitlines()[-1]).said
    mend()
    fine(shop, "e1")


def test_a_file_that_shrinks_or_is_replaced_is_reported_and_not_read_again(shop: Path) -> None:
    put(shop, "a.jsonl", good("e1", "e2"))
    fine(shop, "e1", "e2")
    for content in (good("e1"), good("e7", "e8"), good("e7", "e8", "e9")):
        put(shop, "a.jsonl", content)
        done = collect(shop)
        assert done.code == 1
        assert "a.jsonl" in done.said
    put(shop, "a.jsonl", good("e1", "e2", "e3"))
    fine(shop, "e1", "e2", "e3")


@pytest.fixture
def when_opened() -> Iterator[dict[str, Callable[[], object]]]:
    """What happens the moment a file of this name is opened for reading, once."""
    todo: dict[str, Callable[[], object]] = {}

    def heard(event: str, arguments: tuple[object, ...]) -> None:
        if todo and event == "open" and arguments[0] in todo:
            todo.pop(str(arguments[0]))()

    sys.addaudithook(heard)
    yield todo
    todo.clear()  # a hook cannot be taken away: it has nothing to do now


def test_a_file_that_vanishes_while_others_are_read_is_an_error_and_back_it_is_read_once(
    shop: Path, when_opened: dict[str, Callable[[], object]]
) -> None:
    put(shop, "a.jsonl", good("e1"))
    vanishing = put(shop, "b.jsonl", good("e2"))
    when_opened["a.jsonl"] = vanishing.unlink
    done = collect(shop)
    assert (done.code, "b.jsonl was there and is gone" in done.said) == (1, True)
    put(shop, "b.jsonl", good("e2"))
    fine(shop, "e1", "e2")


def test_a_file_that_is_cut_while_it_is_read_loses_nothing_that_was_read(shop: Path, when_opened: dict[str, Callable[[], object]]) -> None:
    names = [f"b{n}" for n in range(50_000)]
    whole = good(*names)
    cut = put(shop, "b.jsonl", whole)
    when_opened["b.jsonl"] = lambda: os.truncate(cut, len(whole) // 2 + 7)
    done = collect(shop)
    assert done.code in (0, 1)
    put(shop, "b.jsonl", whole)
    fine(shop, "e1", *names)


def without_power_over_files() -> None:
    """For the child alone: the superuser gives up reading and writing what modes forbid."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; prctl(PR_CAPBSET_DROP), which counts from exec on
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def in_a_process(folder: Path, before: Callable[[], None]) -> Typed:
    words = command("run", "collect", "-C", folder)
    done = subprocess.run(words, preexec_fn=before, capture_output=True, text=True, check=False)
    return Typed(done.returncode, done.stdout, done.stderr)


def test_a_file_that_may_not_be_read_is_named(shop: Path) -> None:
    path = put(shop, "b.jsonl", good("e2"))
    path.chmod(0)
    done = in_a_process(shop, without_power_over_files)
    assert (done.code, "b.jsonl may not be read by this user" in done.said) == (2, True)
    path.chmod(0o600)
    fine(shop, "e1", "e2")


@pytest.mark.parametrize("place", ["lake", "lake/tables/events", "ledger.db", "keys"])
def test_what_may_not_be_written_is_named(shop: Path, place: str) -> None:
    fine(shop, "e1")
    put(shop, "b.jsonl", good("e2"))
    path = shop / place
    inside = [path, *path.rglob("*")]
    modes = {part: part.stat().st_mode & 0o777 for part in inside}
    for part in inside:
        part.chmod(0o555 if part.is_dir() else 0o444)
    done = in_a_process(shop, without_power_over_files)
    for part, mode in modes.items():
        part.chmod(mode)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert place.split("/")[0].split(".")[0] in done.err.splitlines()[-1]
    fine(shop, "e1", "e2")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs can only be mounted by the superuser")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def plenty(folder: Path, count: int) -> list[str]:
    names = [f"p{n}" for n in range(count)]
    put(folder, "p.jsonl", b"".join(good(name).replace(b"i1", os.urandom(20).hex().encode()) for name in names))
    return names


@pytest.mark.parametrize("place", ["lake", "ledger"])
def test_a_full_disk_is_said_and_with_room_again_all_goes_on(shop: Path, small_disk: Path, place: str) -> None:
    toml = shop / "headwater.toml"
    toml.write_text(toml.read_text().replace('lake = "lake"', f'{place} = "{small_disk}/{"lake" if place == "lake" else "ledger.db"}"'))
    fine(shop, "e1")
    names = plenty(shop, 2_000)
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(b"\0" * max(free - (20_000 if place == "lake" else 0), 0))
    done = collect(shop)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert done.err.splitlines()[-1].startswith("headwater: ")
    ballast.unlink()
    fine(shop, "e1", *names)


def test_files_that_cannot_grow_further_are_said_too(shop: Path) -> None:
    fine(shop, "e1")
    names = plenty(shop, 20_000)
    done = in_a_process(shop, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)))
    assert done.code == 1
    assert "Traceback" not in done.err
    assert done.err.splitlines()[-1].startswith("headwater: ")
    fine(shop, "e1", *names)
