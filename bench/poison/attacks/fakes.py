"""Fakes: accounts that like what is loved, or what somebody real likes, and one thing more (Lam and Riedl, 2004, and after)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "WAYS", "Campaign", "Fake", "fakes"]

KINDS = ("random", "bandwagon", "popular", "mimic", "minimal")
WAYS = ("channel", "burst", "drip", "aged")


@dataclass(frozen=True)
class Fake:
    """One false account: what it likes, at what second of the window each (below 0: before it), and the channel it came through."""

    items: NDArray[Any]
    at: NDArray[Any]
    channel: int


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """`count` accounts that push `target`, of a `kind` and in a `way`, in a window of so many seconds, over so many channels."""

    kind: str
    way: str
    target: int
    count: int = 28
    window: int = 0
    channels: int = 40
    burst: int = 2 * 86_400
    past: int = 60 * 86_400


def fakes(campaign: Campaign, likes: list[NDArray[Any]], items: int, random: np.random.Generator) -> list[Fake]:
    """The accounts. `likes` holds what each real user likes: public, on most sites."""
    counts = np.bincount(np.concatenate(likes), minlength=items)
    ranked = np.argsort(-counts, kind="stable")
    typical = np.array([len(own) for own in likes])
    start = int(random.integers(0, max(campaign.window - campaign.burst, 1)))
    shared = int(random.integers(0, campaign.channels))
    made = []
    for _ in range(campaign.count):
        chosen = _profile(campaign.kind, likes, ranked, typical, random)
        chosen = np.unique(np.append(chosen[chosen != campaign.target], campaign.target))
        if campaign.way == "aged":  # an account that has been there for weeks, and now likes one thing more
            at = -1 - random.integers(0, campaign.past) + np.sort(random.integers(0, 7_200, len(chosen)))
            at = np.where(chosen == campaign.target, random.integers(0, campaign.window), np.minimum(at, -1))
        elif campaign.way == "burst":
            at = start + random.integers(0, campaign.burst, len(chosen))
        else:  # a session of its own, somewhere in the window
            at = random.integers(0, max(campaign.window - 7_200, 1)) + np.sort(random.integers(0, 7_200, len(chosen)))
        made.append(Fake(chosen, at, shared if campaign.way == "channel" else int(random.integers(0, campaign.channels))))
    return made


def _profile(
    kind: str, likes: list[NDArray[Any]], ranked: NDArray[Any], typical: NDArray[Any], random: np.random.Generator
) -> NDArray[Any]:
    size = int(np.clip(random.choice(typical), 15, 80))
    if kind == "random":
        return random.choice(len(ranked), size, replace=False)
    if kind == "bandwagon":
        return np.concatenate([ranked[:10], random.choice(len(ranked), max(size - 10, 5), replace=False)])
    if kind == "popular":
        return random.choice(ranked[:150], min(size, 80), replace=False)
    if kind == "mimic":
        whole = likes[int(random.choice(np.flatnonzero(typical >= 15)))]
        return np.asarray(whole[random.random(len(whole)) < 0.95])
    if kind == "minimal":
        return random.choice(ranked[:50], 4, replace=False)
    raise ValueError(f"no kind of fake: {kind!r}")
