"""Profiles: copies are found, and people who only have the popular things in common are not."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.gates.adoptions import Columns, adoptions
from headwater.gates.norms import crowd_of
from headwater.gates.profiles import ALIKE, Copies, copies
from headwater.gates.replay import rounds
from headwater.testing.likes import judged, likes

HONEST = likes(users=300, seed=4)


def asked(*more: pl.DataFrame) -> tuple[Copies, list[str]]:
    fresh = judged(HONEST, *more)
    data = adoptions(fresh, Columns(user="user_id", item="item_id", time="ts"), fresh.axes)
    found = copies(data, crowd_of(rounds(data, fresh.axes)[0], len(data.users)))
    return found, data.users.gather(found.users).to_list()


def copy(victim: str, name: str, *, without: int = 0, day: int = 70) -> pl.DataFrame:
    mine = HONEST.filter(pl.col("user_id") == victim).sort("item_id")
    return mine.head(mine.height - without).with_columns(user_id=pl.lit(name), day=pl.lit(day, pl.Int64))


def victims() -> list[str]:
    old = HONEST.filter(pl.col("day") <= 59)
    return old.group_by("user_id").len().filter(pl.col("len") >= 15)["user_id"].sort().to_list()


def test_honest_people_are_no_copies_of_each_other() -> None:
    assert asked()[1] == []


@settings(max_examples=15, deadline=None)
@given(which=st.integers(0, 50), without=st.integers(0, 2))
def test_who_repeats_a_profile_is_found_with_whom_he_repeats(which: int, without: int) -> None:
    victim = victims()[which]
    found, names = asked(copy(victim, "x1", without=without))
    assert names == ["x1"]
    assert found.alike[0] >= ALIKE


def having(items: pl.Series, name: str) -> pl.DataFrame:
    return pl.DataFrame({"item_id": items}).select(user_id=pl.lit(name), item_id="item_id", day=pl.lit(70, pl.Int64), channel=pl.lit("c01"))


def test_accounts_that_repeat_each_other_are_all_found() -> None:
    new = [f"x{n}" for n in range(6)]
    items = HONEST["item_id"].unique().sort().sample(25, seed=1)
    assert asked(*(having(items, name) for name in new))[1] == new


def test_the_same_popular_things_make_nobody_a_copy() -> None:
    counts = HONEST.group_by("item_id").len().sort("len", "item_id", descending=True)
    assert asked(*(having(counts["item_id"].head(4), f"x{n}") for n in range(30)))[1] == []


def test_where_history_has_copies_too_they_are_usual() -> None:
    twins = [copy(victim, f"w{n}", day=40) for n, victim in enumerate(victims()[:30])]
    few, _ = asked(copy(victims()[40], "x1"))
    many, _ = asked(copy(victims()[40], "x1"), *twins)
    assert many.usual > 10 * few.usual
    assert np.isclose(few.usual, 1.0 / (HONEST.filter(pl.col("day") <= 60)["user_id"].n_unique() + 2.0))
