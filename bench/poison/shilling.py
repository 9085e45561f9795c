"""Shilling: false accounts push one item in a shop's recommender. How many people are shown it, before, after, and after the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.poison import gates, shop
from bench.poison.acting import ask
from bench.poison.attacks.fakes import KINDS, WAYS, Campaign, fakes
from bench.poison.interval import mean_of, ratio_of
from bench.poison.line import Line, Measure, Run
from bench.poison.records import likes
from bench.poison.shop import CHANNELS, ITEM, TABLE, USER, Likes, asked, fitted, fresh_of, joined
from bench.poison.side import each
from headwater.core.gate import Gate

__all__ = ["FAKES", "MEASURE", "Scene", "attacked", "job", "made", "scene"]

FAKES, WANTED = 28, (20, 45)
KEPT, HISTORY = 0.8, 0.7
Maker = Callable[[frozenset[str]], Gate]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """MovieLens-100k cut at a midnight: history, what came after, and of everybody his last fifth, for the test."""

    history: Likes
    new: Likes
    later: dict[int, frozenset[str]]
    users: Any
    target: int
    window: int
    start: int


def scene(seed: int) -> Scene:
    """The cut is about seven tenths of the way; the target is an item that 20 to 45 people like. Both drawn by `seed`."""
    random = np.random.default_rng([seed, 3])
    rows = likes()
    user, item, at = (rows[name].to_numpy() for name in ("user", "item", "at"))
    order = np.lexsort((item, at, user))  # by user, oldest first
    place = np.empty(len(user), np.int64)
    counts = np.bincount(user)
    place[order] = np.arange(len(user)) - np.concatenate([[0], np.cumsum(counts)[:-1]])[user[order]]
    early = place < np.ceil(KEPT * counts[user])
    later: dict[int, set[str]] = {}
    for one, what in zip(user[~early].tolist(), item[~early].tolist(), strict=True):
        later.setdefault(one, set()).add(f"i{what:05d}")
    channel = random.choice(CHANNELS, int(user.max()) + 1, p=random.dirichlet(np.full(CHANNELS, 5.0)))
    every = Likes(user=user[early], item=item[early], at=at[early], channel=channel[user[early]], bad=np.zeros(int(early.sum()), bool))
    share = HISTORY + random.uniform(-0.05, 0.05)
    cut = (int(every.at[int(share * len(every))]) // shop.DAY + 1) * shop.DAY
    liked = np.bincount(every.item)
    target = int(random.choice(np.flatnonzero((liked >= WANTED[0]) & (liked <= WANTED[1]))))
    return Scene(
        history=every.take(every.at < cut),
        new=every.take(every.at >= cut),
        later={one: frozenset(what) for one, what in later.items()},
        users=np.unique(every.user),
        target=target,
        window=int(every.at.max()) - cut,
        start=cut,
    )


def attacked(s: Scene, kind: str, way: str, seed: int) -> Scene:
    """The scene with the fakes in it (`aged` ones in its history too). Nothing tells them by name."""
    random = np.random.default_rng([seed, 4, KINDS.index(kind), WAYS.index(way)])
    both = joined([s.history, s.new])
    per_user = [both.item[both.user == user] for user in s.users]
    campaign = Campaign(kind=kind, way=way, target=s.target, count=FAKES, window=s.window, channels=CHANNELS)
    first = int(s.users.max()) + 1
    parts = [
        Likes(
            user=np.full(len(one.items), first + number),
            item=one.items,
            at=s.start + one.at,
            channel=np.full(len(one.items), one.channel),
            bad=np.ones(len(one.items), bool),
        )
        for number, one in enumerate(fakes(campaign, per_user, int(both.item.max()) + 1, random))
    ]
    made = joined(parts)
    past = made.at < s.start
    return replace(s, history=joined([s.history, made.take(past)]), new=joined([s.new, made.take(~past)]))


def made(guilty: frozenset[str]) -> Gate:
    """The gate under test; it is not told who is guilty."""
    return gates.tastes(TABLE, USER, ITEM)


def job(seed: int, kinds: tuple[str, ...] = KINDS, ways: tuple[str, ...] = WAYS, maker: Maker = made) -> dict[str, Any]:
    """One cut and target: the clean round, and every kind of fake in every way."""
    s = scene(seed)
    champion = fitted(s.history, seed)
    before = _asked(s, joined([s.history, s.new]), seed)
    found: dict[str, Any] = {"before": before, "clean": _judged(s, champion, seed, maker), "champion": _asked(s, s.history, seed)}
    for kind in kinds:
        for way in ways:
            one = attacked(s, kind, way, seed)
            none = _asked(s, joined([one.history, one.new]), seed)
            served = champion if len(one.history) == len(s.history) else fitted(one.history, seed)
            found[f"{kind}, {way}"] = {**_judged(one, served, seed, maker), "none": none}
    return found


def _asked(s: Scene, rows: Likes, seed: int) -> dict[str, float]:
    answer = asked(fitted(rows, seed), s.users, s.later, [s.target])
    return {"hr": answer["hr"][0], "ndcg": answer["ndcg"]}


def _judged(s: Scene, champion: Any, seed: int, maker: Maker) -> dict[str, Any]:
    new = s.new
    guilty = frozenset(shop.named(user) for user in np.unique(new.user[new.bad]).tolist())
    outcome = ask(maker(guilty), fresh_of(s.history, new, champion), seed=seed)
    kept = s.history if outcome.held else joined([s.history.take(outcome.history), new.take(outcome.new)])
    push = new.bad & (new.item == s.target)
    return {
        "gate": _asked(s, kept, seed),
        "held": outcome.held,
        "alarm": outcome.alarm,
        "pushes_out": float((~outcome.new)[push].mean()) if push.any() else 0.0,
        "honest_out": float((~outcome.new)[~new.bad].mean()),
        "codes": dict(Counter(f"{one.code}/{one.action.value}" for one in outcome.findings)),
    }


def _run(run: Run) -> list[Line]:
    kinds, ways = (KINDS[::2], WAYS[::2]) if run.quick else (KINDS, WAYS)
    answers = each(job, [(seed, kinds, ways) for seed in run.chosen], processes=run.processes)
    names = [f"{kind}, {way}" for kind in kinds for way in ways if way != "aged"]
    every = [_line(f"shilling, {FAKES} fakes, all kinds and ways: HR@50 of the pushed item ÷ before", answers, names)]
    every += [_line(f"shilling by {kind} profiles", answers, [f"{kind}, {way}" for way in ways if way != "aged"]) for kind in kinds]
    said = {
        "channel": "through one sign-up channel",
        "burst": "in two days",
        "drip": "spread over channels and weeks",
        "aged": "by accounts that did nothing wrong before the snapshot",
    }
    every += [_line(f"shilling {said[way]}", answers, [f"{kind}, {way}" for kind in kinds], target=way != "aged") for way in ways]
    lost = ratio_of([_lost(one, names) for one in answers], [one["before"]["ndcg"] for one in answers])
    clean = ratio_of([one["before"]["ndcg"] - one["clean"]["gate"]["ndcg"] for one in answers], [one["before"]["ndcg"] for one in answers])
    every.append(
        Line(
            what="NDCG@10 lost: under attack; in a clean round",
            gate=f"{lost.percent(2)}; {clean.percent(2)}, {np.mean([one['clean']['honest_out'] for one in answers]):.2%} of likes out",
            target="≤ 1%",
            met=max(lost.value, clean.value) <= 0.01,
            figures={
                "attacked": lost.to_json(),
                "clean": clean.to_json(),
                "before": mean_of([a["before"]["ndcg"] for a in answers]).to_json(),
            },
        )
    )
    return every


def _lost(answer: Mapping[str, Any], names: list[str]) -> float:
    return float(answer["before"]["ndcg"] - np.mean([answer[name]["gate"]["ndcg"] for name in names]))


def _line(what: str, answers: list[dict[str, Any]], names: list[str], *, target: bool = True) -> Line:
    before = [one["before"]["hr"] for one in answers]
    after = {side: [float(np.mean([one[name][side]["hr"] for name in names])) for one in answers] for side in ("gate", "none")}
    gate, none = ratio_of(after["gate"], before), ratio_of(after["none"], before)
    cells = [one[name] for one in answers for name in names]
    pushes = float(np.mean([cell["pushes_out"] for cell in cells]))
    codes: Counter[str] = Counter()
    for cell in cells:
        codes.update(cell["codes"])
    return Line(
        what=what,
        gate=f"{gate.plain(2)}; HR {np.mean(before):.4f} → {np.mean(after['gate']):.4f}; pushes out {pushes:.0%}",
        without=f"{none.plain(2)}; HR {np.mean(after['none']):.4f}",
        target="≤ 1.1" if target else "",
        met=gate.value <= 1.1 if target else None,
        figures={
            "gate": gate.to_json(),
            "none": none.to_json(),
            "before": float(np.mean(before)),
            "honest_out": float(np.mean([c["honest_out"] for c in cells])),
            "held": sum(c["held"] for c in cells),
            "codes": dict(codes.most_common()),
            "cases": {
                name: {side: float(np.mean([one[name][side]["hr"] for one in answers])) for side in ("gate", "none")} for name in names
            },
        },
    )


MEASURE = Measure("shilling", "false accounts push one item, MovieLens-100k, EASE", _run)
