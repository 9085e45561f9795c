"""Whoever can write the lake and the ledger, and has no keys, is found out; and his model is not served."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from headwater.core.errors import Broken, Refused
from headwater.pipeline.build import load_served
from headwater.pipeline.project import Project

Copy = Callable[[Path], Path]


def flip(path: Path, at: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1
    path.write_bytes(bytes(content))


def flip_parquet(folder: Path) -> None:
    flip(next((folder / "lake/tables/events").glob("*.parquet")))


def flip_prepared(folder: Path) -> None:
    flip(next((folder / "lake/prepared/interactions").glob("*.parquet")))


def flip_reject(folder: Path) -> None:
    flip(next((folder / "lake/rejected/events").glob("*.parquet")))


def swap_parquet(folder: Path) -> None:
    victim = next((folder / "lake/tables/events").glob("*.parquet"))
    size = victim.stat().st_size
    evil = pl.read_parquet(victim).with_columns(item_id=pl.lit("i1"))
    evil.write_parquet(victim)
    victim.write_bytes(victim.read_bytes()[:size].ljust(size, b"\0"))


def edit_delta_log(folder: Path) -> None:
    log = sorted((folder / "lake/tables/events/_delta_log").glob("*.json"))[-1]
    lines = [line for line in log.read_text().splitlines() if '"add"' not in line]
    log.write_text("\n".join(lines) + "\n")


def flip_weights(folder: Path) -> None:
    flip(folder / "lake/models/shop/1/weights.safetensors")


def edit_manifest(folder: Path) -> None:
    path = folder / "lake/models/shop/1/model.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))


def edit_signature(folder: Path) -> None:
    flip(folder / "lake/models/shop/1/model.dsse.json", 0.9)


def edit_pointer(folder: Path) -> None:
    path = folder / "lake/deployments/shop.json"
    pointer = json.loads(path.read_text())
    pointer["deployment"]["version"] = "7"
    path.write_text(json.dumps(pointer))


def edit_entry(folder: Path) -> None:
    with sqlite3.connect(folder / "ledger.db") as db:
        db.execute("UPDATE entries SET body = replace(body, '\"batch\":1', '\"batch\":2') WHERE seq = 1")


def cut_tail(folder: Path) -> None:
    with sqlite3.connect(folder / "ledger.db") as db:
        db.execute("DELETE FROM entries WHERE seq > (SELECT max(seq) - 2 FROM entries)")


CRIMES: dict[str, tuple[Callable[[Path], None], str]] = {
    "one flipped byte in a table": (flip_parquet, "lake:tables/events"),
    "one flipped byte in a prepared table": (flip_prepared, "lake:prepared/interactions"),
    "one flipped byte in the rejects": (flip_reject, "lake:rejected/events"),
    "a Parquet file swapped for another of the same size": (swap_parquet, "lake:tables/events"),
    "an edited Delta log": (edit_delta_log, "lake:tables/events"),
    "a changed weight": (flip_weights, "weights.safetensors"),
    "a changed manifest": (edit_manifest, "model.json"),
    "a changed signature": (edit_signature, "model.dsse.json"),
    "a changed pointer": (edit_pointer, "shop.json"),
    "a changed ledger entry": (edit_entry, "entry 1"),
    "a cut ledger tail": (cut_tail, "cut short"),
}


@pytest.mark.parametrize("crime", CRIMES)
def test_verify_names_what_was_tampered_with(run_shop: Path, copied: Copy, crime: str) -> None:
    folder = copied(run_shop)
    commit, named = CRIMES[crime]
    commit(folder)
    verified = Project.open(folder).verify()
    assert not verified.clean
    assert any(named in finding.message for finding in verified.findings), verified.findings


def test_an_honest_project_is_clean(run_shop: Path) -> None:
    verified = Project.open(run_shop).verify()
    assert verified.findings == ()
    assert verified.rows > 5_000
    assert verified.models == 1


def test_lake_and_ledger_restored_together_to_an_older_state_are_seen_against_the_witness(run_shop: Path, copied: Copy) -> None:
    folder = copied(run_shop)
    backup = folder.parent / "last week"
    backup.mkdir()
    shutil.copytree(folder / "lake", backup / "lake")
    shutil.copy(folder / "ledger.db", backup / "ledger.db")
    Project.open(folder).run()
    shutil.rmtree(folder / "lake")
    shutil.copytree(backup / "lake", folder / "lake")
    shutil.copy(backup / "ledger.db", folder / "ledger.db")
    assert [finding.code for finding in Project.open(folder).verify().findings] == ["ledger.witness"]


@pytest.mark.parametrize("crime", ["a changed weight", "a changed manifest", "a changed signature"])
def test_a_model_that_was_changed_is_not_served(run_shop: Path, copied: Copy, crime: str) -> None:
    folder = copied(run_shop)
    project = Project.open(folder)
    deployment = project.deployments.current("shop")
    load_served(project.registry, deployment)
    CRIMES[crime][0](folder)
    with pytest.raises(Refused, match="model shop/1"):
        load_served(project.registry, deployment)


@pytest.mark.parametrize(
    "crime", ["one flipped byte in a table", "a Parquet file swapped for another of the same size", "an edited Delta log"]
)
def test_nothing_is_trained_on_data_that_was_tampered_with(run_shop: Path, copied: Copy, crime: str) -> None:
    folder = copied(run_shop)
    CRIMES[crime][0](folder)
    with open(next((folder / "data/events").glob("*.jsonl")), "ab") as file:
        file.write(b'{"event_id":"new","user_id":"u1","item_id":"i1","ts":"2015-06-01T00:00:00.000Z","kind":"view"}\n')
    with pytest.raises(Broken):
        Project.open(folder).run()
    assert len(list(Project.open(folder).ledger.entries("model"))) == 1
