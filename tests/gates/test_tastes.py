"""Tastes finds a pushed item, names its accounts, and leaves an honest crowd alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from headwater.core.artifact import Artifact
from headwater.core.gate import Action, Evidence, Finding, Verdict
from headwater.gates.tastes import Tastes
from headwater.retrain.fresh import Fresh
from headwater.testing.gate_laws import GateLaws
from headwater.testing.likes import fakes, judged, likes

PREPARED = Artifact(uri="lake:prepared/likes@1", digest="sha256:" + "7" * 64)
ITEM = "i0120"
HONEST = likes(seed=1)
ITEMS = HONEST["item_id"].unique().sort().to_list()
CHANNELS = [f"c{n:02d}" for n in range(20)]
SPREAD = {"days": range(61, 80), "channels": CHANNELS}


def asked(fresh: Fresh, gate: Tastes | None = None, **state: object) -> Verdict:
    return (gate or Tastes("likes")).judge(PREPARED, Evidence(inputs={"fresh": {"likes": fresh}, "seed": 3}, state=state))


def attacked(**how: object) -> Fresh:
    return judged(HONEST, fakes(ITEM, items=ITEMS, **{**SPREAD, **how}))  # type: ignore[arg-type]


def people(verdict: Verdict, action: Action = Action.QUARANTINE) -> set[str]:
    return {f.subject.removeprefix("contributor:") for f in verdict.findings if f.subject.startswith("contributor:") and f.action is action}


def about(verdict: Verdict, item: str = ITEM) -> Finding:
    (found,) = [f for f in verdict.findings if f.subject == f"item:{item}"]
    return found


def pushed_rows_left(fresh: Fresh, verdict: Verdict) -> int:
    out = {row for finding in verdict.findings for row in finding.rows}
    mine = fresh.new.filter(
        pl.col("user_id").str.starts_with("x") & (pl.col("item_id") == ITEM) & ~pl.col("user_id").is_in(people(verdict))
    )
    return sum(row not in out for row in mine.select("_source", "_batch", "_row").iter_rows())


class TestGateLaws(GateLaws):
    @pytest.fixture
    def gate(self) -> Tastes:
        return Tastes("likes")

    @pytest.fixture
    def evidence(self) -> Evidence:
        return Evidence(inputs={"fresh": {"likes": attacked(channels=["c03"])}, "seed": 5})


@pytest.mark.parametrize("how", [{"channels": ["c03"]}, {"days": [70, 71]}], ids=["one channel", "two days"])
def test_accounts_that_push_together_are_quarantined_and_nobody_else(how: dict[str, object]) -> None:
    fresh = attacked(**how)
    verdict = asked(fresh)
    found = people(verdict)
    assert len([name for name in found if name.startswith("x")]) >= 20
    assert len([name for name in found if name.startswith("u")]) <= 1
    assert about(verdict).code == "poison.push"
    assert pushed_rows_left(fresh, verdict) <= 3
    assert verdict.passed


def test_a_push_that_is_spread_over_days_and_channels_is_thinned_to_the_historic_rate_and_bans_nobody() -> None:
    fresh = attacked()
    verdict = asked(fresh)
    finding = about(verdict)
    assert (finding.code, finding.action) == ("poison.surge", Action.DOWN_WEIGHT)
    assert not people(verdict)
    assert pushed_rows_left(fresh, verdict) <= 8
    assert set(finding.rows) <= set(fresh.new.filter(pl.col("item_id") == ITEM).select("_source", "_batch", "_row").iter_rows())


def test_an_honest_hit_is_left_alone() -> None:
    """New people whose other tastes go with an item turn to it all at once: growth alone is no offence."""
    suits = HONEST.join(HONEST.filter(pl.col("item_id") == ITEM), on="user_id", how="semi")["user_id"].unique()
    fans = HONEST.filter(
        pl.col("day") > 60, ~pl.col("user_id").is_in(suits.implode()), pl.col("user_id").str.slice(1).cast(pl.Int64) % 5 == 0
    )
    assert fans["user_id"].n_unique() >= 15
    hit = fans.unique("user_id", keep="first", maintain_order=True).with_columns(item_id=pl.lit(ITEM))
    assert asked(judged(HONEST, hit)).findings == ()


def test_an_item_that_is_launched_is_left_alone() -> None:
    everybody = HONEST.filter(pl.col("day") > 60).unique("user_id", keep="first", maintain_order=True)
    launched = everybody.filter(pl.col("user_id").str.slice(1).cast(pl.Int64) % 3 == 0).with_columns(item_id=pl.lit("i9999"))
    assert asked(judged(HONEST, launched)).findings == ()


def test_accounts_that_repeat_others_are_left_out() -> None:
    old = HONEST.filter(pl.col("day") <= 60)
    victims = old.group_by("user_id").len().filter(pl.col("len") >= 15)["user_id"].sort().head(20)
    copies = old.filter(pl.col("user_id").is_in(victims.implode())).with_columns(
        user_id=pl.format("x{}", "user_id"), day=65 + pl.col("user_id").str.slice(1).cast(pl.Int64) % 12
    )
    verdict = asked(judged(HONEST, copies))
    assert people(verdict, Action.DOWN_WEIGHT) >= {f"x{name}" for name in victims}
    assert {f.code for f in verdict.findings} == {"poison.near-duplicate"}


@pytest.mark.parametrize("seed", range(6))
def test_an_honest_crowd_raises_no_alarm(seed: int) -> None:
    assert asked(judged(likes(seed=seed))).findings == ()


def test_a_sparse_shop_raises_no_alarm() -> None:
    assert asked(judged(likes(users=2_000, each=3, seed=2))).findings == ()


def test_what_is_normal_is_learned_once_and_remembered() -> None:
    fresh = attacked(channels=["c03"])
    first = asked(fresh)
    again = asked(fresh, **first.state)
    assert again == first
    grown = replace(fresh, history=fresh.history.filter(pl.col("_batch") <= 30))
    assert asked(grown, **first.state).state != first.state


def test_without_enough_history_a_note_says_that_nothing_was_judged() -> None:
    fresh = judged(HONEST.filter(pl.col("day") > 59))
    (note,) = asked(fresh).findings
    assert (note.code, note.action) == ("gate.no-history", Action.ACCEPT)


def test_nothing_new_is_nothing_to_judge() -> None:
    fresh = judged(HONEST)
    assert asked(replace(fresh, new=fresh.new.clear()), kept=1) == Verdict(gate="tastes/likes", digest=PREPARED.digest, state={"kept": 1})


def test_only_the_named_events_count() -> None:
    fresh = attacked(channels=["c03"])
    kind = pl.when(pl.col("user_id").str.starts_with("x")).then(pl.lit("view")).otherwise(pl.lit("purchase"))
    seen = replace(fresh, new=fresh.new.with_columns(kind=kind), history=fresh.history.with_columns(kind=kind))
    gate = Tastes("likes", event="kind", events=("purchase",))
    assert not people(asked(seen, gate))


def test_without_a_time_or_contributors_it_judges_by_the_rows_order() -> None:
    fresh = attacked(channels=["c03"])
    bare = replace(fresh, axes=("batch", "channel"), time=None, contributor=None)
    verdict = asked(replace(bare, new=bare.new.drop("_by_contributor"), history=bare.history.drop("_by_contributor")))
    assert about(verdict).action is Action.QUARANTINE
    assert not people(verdict)


def test_what_the_champion_would_have_shown_is_told_and_decides_nothing() -> None:
    class Stubborn:
        def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]:
            assert user is None
            assert ITEM not in history
            return [(ITEM, 1.0)]

    fresh = attacked()
    told, plain = asked(replace(fresh, champion=Stubborn())), asked(fresh)
    assert about(told).evidence["champion.shows"] == 1.0
    assert [finding.rows for finding in told.findings] == [finding.rows for finding in plain.findings]
