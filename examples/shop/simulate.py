"""A simulated shop: activity and reviews with the shape of published shops, for when no data can be fetched and for load."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Population", "days", "simulate"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FIRST_DAY = date(2015, 5, 3)  # Retailrocket's 4.5 months
DAYS = 135
DAYS_PER_FILE = 7
DAY_MS = 86_400_000
CART, PURCHASE = 0.0252, 0.0081  # of all events; the rest are views (Retailrocket)
POPULARITY = 1.94  # sigma of a log-normal: the top 1 % of items get 32 %, Gini 0.81 (Complete Journey)
ZIPF = 0.7  # with USERS and MORE: two events a visitor, and a heavy tail (Retailrocket)
USERS = 3.0  # visitors who could come, for each event
MORE = 0.22  # chance that a session goes on after a view
ACTIVE, BUYERS = 0.006, 0.22  # of the most active visitors, this part buys: three times each (CDNOW)
STARS = (0.061, 0.114, 0.271, 0.342, 0.212)  # MovieLens-100k
OWN, TASTE = 0.2, 0.6  # an item of his own, or one from his favourite shelf; else from the whole shop

_OPENINGS = ("Bought it last week.", "Second time I ordered here.", "It was a present.", "Came in two days.")
_OPINIONS = (
    ("Terrible, it broke at once.", "Awful quality, I hate it."),
    ("Disappointing and a bit cheap.", "Not good, it feels weak."),
    ("It does what it says.", "It is a box with a lid."),
    ("Good value, I like it.", "Nice and well made."),
    ("Great, I love it!", "Excellent, the best I have owned."),
)


@dataclass(frozen=True)
class Population:
    """Who could come and what is for sale. Items stand shelf by shelf; `reach` is the cumulated popularity of items."""

    users: int
    zipf: float
    seed: int
    reach: Floats
    shelf_ends: Floats  # cumulated popularity at the end of each shelf

    @classmethod
    def of(cls, events: int, seed: int, zipf: float = ZIPF) -> Population:
        """A shop that fits `events`: items grow with the square root, visitors in proportion."""
        items = max(200, int(20 * events**0.5))
        normal = NormalDist()
        quantiles = [normal.inv_cdf((rank + 0.5) / items) for rank in range(items)]
        weights = np.exp(POPULARITY * np.array(quantiles))
        np.random.default_rng(seed).shuffle(weights)
        reach = np.cumsum(weights) / weights.sum()
        ends = np.linspace(0, items, num=min(max(items // 100, 4), 400) + 1).astype(int)[1:] - 1
        return cls(max(2, int(USERS * events)), zipf, seed, reach, reach[ends])

    def visitors(self, uniform: Floats) -> Ints:
        """Visitors by rank, 1 the most active: rank r comes in proportion to r ** -zipf."""
        if self.zipf == 1.0:
            rank = np.exp(uniform * np.log(self.users))
        else:
            power = 1.0 - self.zipf
            rank = ((self.users**power - 1.0) * uniform + 1.0) ** (1.0 / power)
        return np.asarray(rank, dtype=np.int64)

    def trait(self, user: Ints, which: int | Ints) -> Floats:
        """A number in [0, 1) that belongs to a user for ever, without a table of users (the mixer of SplitMix64)."""
        mixed = user.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.asarray(which, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
        mixed += np.uint64(self.seed * 0x2545F4914F6CDD1D & 0xFFFFFFFFFFFFFFFF)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11), dtype=np.float64) / 2.0**53

    def items(self, user: Ints, rng: np.random.Generator) -> Ints:
        """What each of `user` looks at: mostly from his favourite shelf, so that a neighbour knows more than popularity.

        A shelf is somebody's favourite as often as its items are popular, so taste leaves popularity as it is.
        """
        shelf = np.searchsorted(self.shelf_ends, self.trait(user, 0), side="right").clip(max=len(self.shelf_ends) - 1)
        low = np.concatenate(([0.0], self.shelf_ends[:-1]))[shelf]
        width = self.shelf_ends[shelf] - low
        choice, drawn = rng.random(len(user)), rng.random(len(user))
        own = self.trait(user, rng.integers(1, 4, len(user)))
        at = np.where(choice < OWN, low + width * own, np.where(choice < OWN + TASTE, low + width * drawn, drawn))
        return np.searchsorted(self.reach, at, side="right").clip(max=len(self.reach) - 1)


def simulate(folder: str | Path, *, events: int = 200_000, seed: int = 0, zipf: float = ZIPF) -> dict[str, Any]:
    """Write `events` lines to `folder`/data/events/*.jsonl, one file a week, and data/reviews.csv; return the counts.

    The same arguments give the same bytes. Memory is bounded by one day's events and a few numbers for each item.
    `zipf` is the exponent of visitors' activity: 0.7 keeps two events a visitor, above 1 a few visitors own most rows.
    """
    data = Path(folder) / "data"
    (data / "events").mkdir(parents=True, exist_ok=True)
    shop = Population.of(events, seed, zipf)
    seen_users, seen_items = np.zeros(shop.users + 1, dtype=bool), np.zeros(len(shop.reach), dtype=bool)
    reviews = files = 0
    with open(data / "reviews.csv", "w", encoding="utf-8", newline="") as reviewed:
        table = csv.writer(reviewed, lineterminator="\n")
        table.writerow(["review_id", "user_id", "item_id", "ts", "text", "stars"])
        for week, numbered in groupby(enumerate(days(shop, events)), key=lambda pair: pair[0] // DAYS_PER_FILE):
            files += 1
            with open(data / "events" / f"{FIRST_DAY + timedelta(days=week * DAYS_PER_FILE)}.jsonl", "wb") as file:
                for number, day in numbered:
                    _lines(day).write_ndjson(file)
                    seen_users[day["user"].to_numpy()] = True
                    seen_items[day["item"].to_numpy()] = True
                    for row in _reviews(day, np.random.default_rng([seed, number, 1])):
                        reviews += 1
                        table.writerow([f"r{reviews}", *row])
    return {"events": events, "reviews": reviews, "users": int(seen_users.sum()), "items": int(seen_items.sum()), "files": files}


def days(shop: Population, events: int) -> Iterator[pl.DataFrame]:
    """The shop's days in order: `number, user, item, at` (milliseconds), `kind` (0 view, 1 cart, 2 purchase), sorted by time."""
    written = carts = purchases = 0
    for number in range(DAYS):
        count = events * (number + 1) // DAYS - written
        carted = min(round(events * CART * (number + 1) / DAYS) - carts, count // 3)  # each needs a view, however few there are
        bought = min(round(events * PURCHASE * (number + 1) / DAYS) - purchases, carted)
        frame = _day(shop, np.random.default_rng([shop.seed, number]), (count - carted - bought, carted, bought), number)
        yield frame.with_columns(number=pl.int_range(written + 1, written + 1 + pl.len()))
        written, carts, purchases = written + count, carts + carted, purchases + bought


def _day(shop: Population, rng: np.random.Generator, wanted: tuple[int, int, int], number: int) -> pl.DataFrame:
    """One day with exactly `wanted` views, carts and purchases: a cart follows a view of the item, a purchase a cart."""
    views, carts, purchases = wanted
    lengths = np.minimum(rng.geometric(1.0 - MORE, views), 40)
    session = np.repeat(np.arange(views), lengths)[:views]
    user = shop.visitors(rng.random(views))[session]
    at = _times(session, rng) + number * DAY_MS
    item = shop.items(user, rng)
    eager = np.flatnonzero((user < ACTIVE * shop.users) & (shop.trait(user, 9) < BUYERS))
    others = np.setdiff1d(np.arange(views), eager, assume_unique=True)
    carted = np.concatenate([rng.permutation(eager), rng.permutation(others)])[:carts]
    bought = carted[:purchases]
    carted_at = at + rng.integers(1_000, 20_000, views)
    bought_at = carted_at + rng.integers(20_000, 120_000, views)
    picked = np.concatenate([np.arange(views), carted, bought])
    return pl.DataFrame(
        {
            "user": user[picked],
            "item": item[picked],
            "at": np.concatenate([at, carted_at[carted], bought_at[bought]]),
            "kind": np.repeat(np.arange(3), [views, len(carted), len(bought)]),
        }
    ).sort("at", "kind", maintain_order=True)


def _times(session: Ints, rng: np.random.Generator) -> Ints:
    """Milliseconds into the day: quiet at night, busy in the evening; views of a session follow each other within minutes."""
    if not len(session):
        return np.zeros(0, dtype=np.int64)
    gaps = np.minimum(rng.exponential(45_000, len(session)), 1_700_000)
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    sizes = np.diff(starts, append=len(session))
    since = np.cumsum(gaps)
    since -= np.repeat(since[starts], sizes)
    last = since[starts + sizes - 1]
    clock = rng.beta(3.0, 2.0, len(starts)) * (DAY_MS - 200_000 - last)
    times: Ints = (np.repeat(clock, sizes) + since).astype(np.int64)
    return times


def _lines(day: pl.DataFrame) -> pl.DataFrame:
    return day.select(
        event_id=pl.format("e{}", "number"),
        user_id=pl.format("u{}", "user"),
        item_id=pl.format("i{}", "item"),
        ts=_iso(pl.col("at")),
        kind=pl.col("kind").replace_strict([0, 1, 2], ["view", "cart", "purchase"], return_dtype=pl.String),
    )


def _iso(at: pl.Expr) -> pl.Expr:
    return (at.cast(pl.Duration("ms")) + pl.lit(datetime.combine(FIRST_DAY, datetime.min.time()), pl.Datetime("ms"))).dt.to_string(
        "%Y-%m-%dT%H:%M:%S%.3fZ"
    )


def _reviews(day: pl.DataFrame, rng: np.random.Generator) -> list[tuple[str, str, str, str, int]]:
    """Half of the purchases are reviewed two days later; what is written follows the stars."""
    bought = day.filter(pl.col("kind") == 2)
    bought = bought.filter(pl.Series(rng.random(bought.height) < 0.5, dtype=pl.Boolean))
    stars = rng.choice(len(STARS), bought.height, p=np.array(STARS) / sum(STARS))
    opening, opinion = rng.integers(0, len(_OPENINGS), bought.height), rng.integers(0, 2, bought.height)
    rows = bought.select(pl.format("u{}", "user"), pl.format("i{}", "item"), ts=_iso(pl.col("at") + 2 * DAY_MS)).rows()
    return [
        (*row, f"{_OPENINGS[begin]} {_OPINIONS[star][end]}", int(star) + 1)
        for row, star, begin, end in zip(rows, stars, opening, opinion, strict=True)
    ]


def main() -> None:
    """Command line: python simulate.py FOLDER [EVENTS] [SEED]."""
    began = time.perf_counter()
    folder, *numbers = sys.argv[1:]
    events, seed = ([int(number) for number in numbers] + [200_000, 0][len(numbers) :])[:2]
    counts = simulate(folder, events=events, seed=seed)
    print(f"{counts} · {events / (time.perf_counter() - began):,.0f} lines/s")


if __name__ == "__main__":
    main()
