"""Verify finds any one bit that changed, wherever it lies, and any change of the ledger; and finds nothing where nothing changed."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.killing import arrive, small_shop

from headwater.core.errors import HeadwaterError
from headwater.pipeline.project import Project


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = small_shop(tmp_path_factory.mktemp("verified") / "shop")
    Project.open(folder).run()
    arrive(folder, 1)
    Project.open(folder).run()
    assert Project.open(folder).verify().clean
    return folder


def kept(folder: Path) -> list[Path]:
    """Every file that holds what was collected, made, learned or decided."""
    lake = folder / "lake"
    models = (path for path in (lake / "models").rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted([*lake.rglob("*.parquet"), *models, lake / "deployments/shop.json"])


@settings(max_examples=40)
@given(data=st.data())
def test_any_bit_of_any_file_that_is_flipped_is_found(shop: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(kept(shop)))
    before = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(before)
    changed[at] ^= 1 << bit
    path.write_bytes(bytes(changed))
    try:
        found = Project.open(shop).verify()
        assert not found.clean
        assert all(finding.message for finding in found.findings)
    finally:
        path.write_bytes(before)


@settings(max_examples=20)
@given(data=st.data())
def test_any_file_that_is_gone_cut_or_another_is_found(shop: Path, data: st.DataObject) -> None:
    files = kept(shop)
    path, other = data.draw(st.sampled_from(files)), data.draw(st.sampled_from(files))
    before = path.read_bytes()
    how = data.draw(st.sampled_from(["gone", "cut", "another", "longer"]))
    changed = {"gone": None, "cut": before[: len(before) // 2], "another": other.read_bytes(), "longer": before + b"\0"}[how]
    if changed == before:
        return
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    try:
        assert not Project.open(shop).verify().clean
    finally:
        path.write_bytes(before)


@settings(max_examples=30)
@given(data=st.data())
def test_any_change_of_any_entry_of_the_ledger_is_found(shop: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    kept_ledger = shop / "ledger.db"
    safe = Path(shutil.copy(kept_ledger, tmp_path_factory.mktemp("ledger") / "ledger.db"))
    last = Project.open(shop).ledger.head()[0]
    seq = data.draw(st.integers(1, last))
    column = data.draw(st.sampled_from(["time", "kind", "body", "previous", "seal", "role", "key", "signature", "gone", "seq", "copied"]))
    try:
        with sqlite3.connect(kept_ledger) as db:
            if column == "gone":
                db.execute("DELETE FROM entries WHERE seq = ?", (seq,))
            elif column == "seq":
                db.execute("UPDATE entries SET seq = seq + 1000 WHERE seq = ?", (seq,))
            elif column == "copied":
                rows = "time, kind, body, previous, seal, role, key, signature"
                db.execute(f"INSERT INTO entries (seq, {rows}) SELECT ?, {rows} FROM entries WHERE seq = ?", (last + 1, seq))
            else:
                (text,) = db.execute(f"SELECT {column} FROM entries WHERE seq = ?", (seq,)).fetchone()
                at = data.draw(st.integers(0, len(text) - 1))
                put = data.draw(st.sampled_from("0aZ}").filter(lambda letter: letter != text[at]))
                db.execute(f"UPDATE entries SET {column} = ? WHERE seq = ?", (text[:at] + put + text[at + 1 :], seq))
        db.close()
        try:
            assert not Project.open(shop).verify().clean
        except HeadwaterError as error:
            assert "verify" in str(error) or "ledger" in str(error)  # noqa: PT017 - either way is an answer
    finally:
        shutil.copy(safe, kept_ledger)
    assert Project.open(shop).verify().clean
