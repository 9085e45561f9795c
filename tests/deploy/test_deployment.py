"""What serves is what the ledger decided: signed, in increasing epochs, repaired after a kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.deploy.popular import Shop

from headwater.core.errors import Broken, Refused, UsageError
from headwater.core.keys import Keys
from headwater.deploy.deployment import Deployments, read_pointer
from headwater.ledger.entries import Ledger


def test_a_promotion_is_a_signed_pointer_that_names_its_ledger_entry(shop: Shop) -> None:
    made = shop.promote("v1")
    assert read_pointer(shop.pointer, shop.keys) == made
    entry = shop.ledger.last("deployed", name="shop")
    assert entry is not None
    assert (made.epoch, made.version, made.entry, made.previous) == (1, "v1", entry.seq, None)
    assert made.parents == (made.model_digest,)


def test_promoting_what_serves_changes_nothing(shop: Shop) -> None:
    assert shop.promote("v1") == shop.promote("v1")
    assert len(shop.deployments.history("shop")) == 1


def test_rolling_back_twice_goes_back_twice_and_never_to_what_was_rolled_back_from(shop: Shop) -> None:
    for version in ("v1", "v2", "v3"):
        shop.promote(version)
    assert [shop.deployments.rollback("shop").version for _ in range(2)] == ["v2", "v1"]
    with pytest.raises(UsageError, match="no good deployment before epoch 5"):
        shop.deployments.rollback("shop")
    assert shop.deployments.rollback("shop", to="v3").epoch == 6


def test_a_rollback_passes_over_a_model_that_cannot_be_vouched_for(shop: Shop) -> None:
    for version in ("v1", "v2", "v3"):
        shop.promote(version)
    shop.model("v2", ["other"])
    assert shop.deployments.rollback("shop").version == "v1"
    with pytest.raises(Refused, match="changed"):
        shop.deployments.rollback("shop", to="v2")


def test_a_version_that_never_served_is_named_with_what_was_meant(shop: Shop) -> None:
    shop.promote("v1")
    with pytest.raises(UsageError, match="Did you mean 'v1'"):
        shop.deployments.rollback("shop", to="v11")


def test_a_model_that_cannot_be_vouched_for_is_not_promoted_and_leaves_no_trace(shop: Shop) -> None:
    shop.model("v1")
    with pytest.raises(Refused):
        shop.deployments.promote("shop", model="model:shop@v1", digest="sha256:" + "0" * 64, version="v1")
    assert shop.deployments.history("shop") == []
    assert not shop.pointer.exists()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(["v1", "v2", "v3"]), st.none()), max_size=8))
def test_any_sequence_of_promotions_and_rollbacks_is_a_stack_with_increasing_epochs(moves: list[str | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop, stack, decisions = Shop(Path(folder)), [], 0
        for move in moves:
            if move is not None:
                decisions += not stack or stack[-1] != move
                stack += [move] if not stack or stack[-1] != move else []
                made = shop.promote(move)
            elif len(stack) > 1:
                stack.pop()
                decisions += 1
                made = shop.deployments.rollback("shop")
            else:
                with pytest.raises(UsageError):
                    shop.deployments.rollback("shop")
                continue
            assert (made.version, made.epoch) == (stack[-1], decisions)
            assert read_pointer(shop.pointer, shop.keys) == made == shop.deployments.current("shop")


def _killed(shop: Shop, point: str, call: str) -> None:
    program = (
        f"import sys; from pathlib import Path; from tests.deploy.popular import Shop; shop = Shop(Path({str(shop.folder)!r})); {call}"
    )
    environment = {**os.environ, "HEADWATER_FAILPOINT": point, "PYTHONPATH": os.pathsep.join(["src", "."])}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", ["ledger.deployed.before", "ledger.deployed.after", "deploy.recorded", "deploy.pointed"])
def test_a_promotion_killed_anywhere_and_run_again_is_one_promotion(shop: Shop, point: str) -> None:
    shop.promote("v1")
    _killed(shop, point, "shop.promote('v2')")
    made = shop.promote("v2")
    assert [(d.epoch, d.version) for d in shop.deployments.history("shop")] == [(1, "v1"), (2, "v2")]
    assert read_pointer(shop.pointer, shop.keys) == made


def test_a_rollback_killed_half_way_is_finished_and_goes_no_further(shop: Shop) -> None:
    for version in ("v1", "v2", "v3"):
        shop.promote(version)
    _killed(shop, "deploy.recorded", "shop.deployments.rollback('shop')")
    assert read_pointer(shop.pointer, shop.keys).version == "v3"
    assert shop.deployments.rollback("shop").version == "v2"
    assert len(shop.deployments.history("shop")) == 4


@pytest.mark.parametrize("change", ["epoch", "version", "signature", "rubbish", "deep"])
def test_a_pointer_that_was_changed_is_refused_and_the_ledger_repairs_it(shop: Shop, change: str) -> None:
    made = shop.promote("v1")
    whole = json.loads(shop.pointer.read_text())
    if change == "epoch":
        whole["deployment"]["epoch"] = 7
    elif change == "version":
        whole["deployment"]["version"] = "v9"
    elif change == "signature":
        whole["signature"]["value"] = "00" * 64
    text = {"rubbish": "\x00[", "deep": "[" * 60_000}.get(change, json.dumps(whole))
    shop.pointer.write_text(text)
    with pytest.raises(Refused):
        read_pointer(shop.pointer, shop.keys)
    assert shop.deployments.current("shop") == made == read_pointer(shop.pointer, shop.keys)


def test_a_pointer_of_another_name_or_project_is_refused(shop: Shop, tmp_path: Path) -> None:
    shop.promote("v1")
    other = shop.pointer.with_name("clinic.json")
    other.write_bytes(shop.pointer.read_bytes())
    with pytest.raises(Refused, match="not of 'clinic'"):
        read_pointer(other, shop.keys)
    with pytest.raises(Refused, match="not signed"):
        read_pointer(shop.pointer, Keys.make(tmp_path / "other-keys"))


def test_a_ledger_entry_that_another_key_wrote_is_never_signed_as_a_pointer(shop: Shop, tmp_path: Path) -> None:
    shop.promote("v1")
    evil = Ledger(tmp_path / "evil.db", Keys.make(tmp_path / "evil-keys"))
    Deployments(tmp_path / "evil", evil).promote("shop", model="model:evil", digest="sha256:" + "6" * 64, version="v6")
    Deployments(tmp_path / "evil", evil).promote("shop", model="model:evil", digest="sha256:" + "7" * 64, version="v7")
    with sqlite3.connect(tmp_path / "evil.db") as source, sqlite3.connect(shop.ledger.path) as target:
        row = source.execute("SELECT * FROM entries WHERE seq = 2").fetchone()
        target.execute("INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?)", row)
    before = shop.pointer.read_bytes()
    with pytest.raises(Broken, match="forged"):
        shop.deployments.current("shop")
    assert shop.pointer.read_bytes() == before


def test_a_ledger_that_lost_a_deployment_is_broken_whether_its_end_or_its_middle(shop: Shop) -> None:
    for version in ("v1", "v2", "v3"):
        shop.promote(version)
    with sqlite3.connect(shop.ledger.path) as db:
        kept = db.execute("SELECT * FROM entries WHERE seq = 3").fetchone()
        db.execute("DELETE FROM entries WHERE seq = 3")
    with pytest.raises(Broken, match="cut short"):
        shop.deployments.rollback("shop")
    with sqlite3.connect(shop.ledger.path) as db:
        db.execute("INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?)", kept)
        db.execute("DELETE FROM entries WHERE seq = 2")
    with pytest.raises(Broken, match="gap"):
        shop.deployments.rollback("shop")
