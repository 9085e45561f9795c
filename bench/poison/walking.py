"""Walking: round after round of retrainings, the gate's state and what it took out carried along; labels and likes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from bench.poison import shop
from bench.poison.acting import Outcome, ask
from bench.poison.models import forest
from bench.poison.records import likes, records
from bench.poison.sheet import Sheet, dealt, joined, noisy
from bench.poison.sheet import fresh_of as sheet_fresh
from headwater.core.gate import Gate
from headwater.retrain.fresh import Fresh

__all__ = ["ROUNDS", "Walk", "labelled_rounds", "liked_rounds", "real_rounds", "walk_labels", "walk_likes"]

ROUNDS, EVERY = 12, 4
"""A champion is trained anew for every fourth round: what serves is older than what was accepted last."""
SIZES = {"table": (40, 2_400, 600), "digits": (20, 500, 100), "cancer": (10, 200, 30)}  # people, history, a round
Rows = TypeVar("Rows", Sheet, shop.Likes)


@dataclass
class Walk:
    """What came of each round: whether anybody was called, what for, and who had been named by then."""

    alarms: list[bool] = field(default_factory=list)
    held: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    named: list[frozenset[str]] = field(default_factory=list)
    out: list[frozenset[str]] = field(default_factory=list)
    rows_out: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {"alarms": self.alarms, "held": self.held, "codes": dict(self.codes), "rows_out": self.rows_out}


def _walked(
    gate: Gate,
    rounds: Sequence[Rows],
    fresh: Callable[[Any, Any, Any], Fresh],
    fit: Callable[[Any], Any],
    join: Callable[[list[Any]], Any],
    who: Callable[[Any], Any],
    seed: int,
) -> Walk:
    """`rounds[0]` is the history. A contributor who is taken out stays out; rows that are held are let go by a person."""
    history, walk, champion = rounds[0], Walk(), None
    state: Mapping[str, Any] = {}
    gone: set[str] = set()
    lost = total = 0
    for number, coming in enumerate(rounds[1:]):
        if number % EVERY == 0:
            champion = fit(history)
        total += len(coming)
        new = coming.take(~np.isin(who(coming), sorted(gone))) if gone else coming
        outcome = ask(gate, fresh(history, new, champion), seed=seed, state=state)
        state = outcome.state
        _note(walk, outcome)
        gone |= outcome.out
        kept = new if outcome.held else new.take(outcome.new)
        lost += len(coming) - len(kept)
        history = join([history if outcome.held else history.take(outcome.history), kept])
    walk.rows_out = lost / total
    return walk


def _note(walk: Walk, outcome: Outcome) -> None:
    walk.alarms.append(outcome.alarm)
    walk.held += outcome.held
    walk.codes.update({f"{one.code}/{one.action.value}" for one in outcome.findings})
    walk.named.append((walk.named[-1] if walk.named else frozenset()) | outcome.named)
    walk.out.append((walk.out[-1] if walk.out else frozenset()) | outcome.out)


def walk_labels(gate: Gate, rounds: Sequence[Sheet], seed: int) -> Walk:
    """With a forest as champion."""
    from bench.poison.sheet import contributor

    def who(sheet: Sheet) -> Any:
        return np.array([contributor(one) for one in sheet.who])

    return _walked(gate, rounds, sheet_fresh, lambda sheet: forest(sheet, seed), joined, who, seed)


def walk_likes(gate: Gate, rounds: Sequence[shop.Likes], seed: int) -> Walk:
    """With EASE as champion."""

    def who(part: shop.Likes) -> Any:
        return np.array([shop.named(one) for one in part.user.tolist()])

    return _walked(gate, rounds, shop.fresh_of, lambda part: shop.fitted(part, seed), shop.joined, who, seed)


def labelled_rounds(name: str, seed: int, *, various: bool) -> list[Sheet]:
    """History and twelve rounds of a data set, nobody lying. `various`: each contributor has classes that he meets more often,
    mistakes of his own (1 % on average), more or less to say, rounds in which he is away; and new ones come."""
    random = np.random.default_rng([seed, 5])
    people, before, size = SIZES[name]
    data = records(name, seed if name == "table" else 0, 10_000)
    order = random.permutation(len(data.y))[: before + ROUNDS * size]
    sizes = [before] + [size] * ROUNDS
    carelessness = random.beta(0.01 * 99, 0.99 * 99, people) if various else np.full(people, 0.01)
    liking = random.dirichlet(np.full(data.classes, 8.0), people) if various else np.full((people, data.classes), 1.0)
    weight = random.lognormal(0, 0.5, people) if various else np.ones(people)
    since = np.where(random.random(people) < 0.2, random.integers(0, ROUNDS, people), 0) if various else np.zeros(people, int)
    rounds, first, start = [], 1, 0
    for number, rows in enumerate(sizes):
        chosen = order[start : start + rows]
        start += rows
        there = (since <= number) & ((random.random(people) < 0.85) | (number == 0) | (not various))
        there[np.argmin(since)] = True
        who = _writers(data.y[chosen], there, liking, weight, random) if various else np.resize(random.permutation(people), rows)
        batch_rows = max(rows // (8 if number == 0 else 2), 1)
        sheet = dealt(data.x[chosen], data.y[chosen], who, first_batch=first, batch_rows=batch_rows, random=random)
        first = int(sheet.batch.max()) + 1
        rounds.append(noisy(sheet, carelessness[sheet.who], data.classes, random))
    return rounds


def _writers(y: Any, there: Any, liking: Any, weight: Any, random: np.random.Generator) -> Any:
    chance = liking * (weight * there)[:, None]
    chance = chance / chance.sum(axis=0)
    who = np.empty(len(y), np.int64)
    for label in np.unique(y):
        who[y == label] = random.choice(len(there), int((y == label).sum()), p=chance[:, label])
    return who


def liked_rounds(seed: int, *, first: int = 400, week: int = 45) -> list[shop.Likes]:
    """The people of MovieLens-100k in another order: 400 in the eight weeks before, then 45 a week; three in ten come a second time."""
    random = np.random.default_rng([seed, 6])
    rows = likes()
    user, item, at = (rows[name].to_numpy() for name in ("user", "item", "at"))
    people = random.permutation(np.unique(user))
    place = np.empty(int(user.max()) + 1, np.int64)
    place[people] = np.arange(len(people))
    arrival = np.where(place < first, place * 8 // first - 8, (place - first) // week)
    again = np.where(random.random(len(place)) < 0.3, arrival + random.integers(1, 5, len(place)), -99)
    moment = random.integers(0, 7 * shop.DAY - 7_200, (2, len(place)))
    channel = random.choice(shop.CHANNELS, len(place), p=random.dirichlet(np.full(shop.CHANNELS, 5.0)))
    order = np.lexsort((item, at, user))
    user, item = user[order], item[order]
    counts = np.bincount(user)
    rank = np.arange(len(user)) - np.concatenate([[0], np.cumsum(counts)[:-1]])[user]
    second = (again[user] > -99) & (rank >= counts[user] // 2)
    week_of = np.where(second, again[user], arrival[user])
    start = 20_000 * shop.DAY
    when = start + week_of * 7 * shop.DAY + np.where(second, moment[1][user], moment[0][user]) + np.minimum(rank, 7_199)
    every = shop.Likes(user=user, item=item, at=when, channel=channel[user], bad=np.zeros(len(user), bool))
    weeks = [every.take(week_of < 0), *(every.take(week_of == number) for number in range(ROUNDS))]
    return [shop.joined([one]) for one in weeks]


def real_rounds() -> list[shop.Likes]:
    """MovieLens-100k by its own clock: the first half, then twelve parts of equal time, each begun at a midnight."""
    rows = likes()
    user, item, at = (rows[name].to_numpy() for name in ("user", "item", "at"))
    channel = np.random.default_rng(7).integers(0, shop.CHANNELS, int(user.max()) + 1)
    every = shop.joined([shop.Likes(user=user, item=item, at=at, channel=channel[user], bad=np.zeros(len(user), bool))])
    first, last = int(every.at[len(every) // 2]) // shop.DAY + 1, int(every.at[-1]) // shop.DAY + 1
    edges = np.linspace(first, last, ROUNDS + 1).round().astype(np.int64) * shop.DAY
    part = np.searchsorted(edges, every.at, side="right")
    return [every.take(part == number) for number in range(ROUNDS + 1)]
