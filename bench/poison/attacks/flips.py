"""Flips: a contributor gives wrong labels to a share of what he writes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from bench.poison.sheet import Sheet

__all__ = ["flipped", "targeted"]


def flipped(sheet: Sheet, attackers: Collection[int], share: float, classes: int, random: np.random.Generator) -> Sheet:
    """Exactly `share` of each attacker's records (rounded) get another class, drawn at random; they are the `bad` ones."""
    given, bad = sheet.given.copy(), sheet.bad.copy()
    for attacker in sorted(attackers):
        own = np.flatnonzero(sheet.who == attacker)
        hit = random.choice(own, round(share * len(own)), replace=False)
        given[hit] = (sheet.true[hit] + random.integers(1, classes, len(hit))) % classes
        bad[hit] = True
    return replace(sheet, given=given, bad=bad)


def targeted(
    sheet: Sheet, attackers: Collection[int], share: float, victims: Collection[int], to: int, random: np.random.Generator
) -> Sheet:
    """`share` of the attackers' records of the classes `victims` are called `to`: fewer lies, all in one direction."""
    given, bad = sheet.given.copy(), sheet.bad.copy()
    aim = np.flatnonzero(np.isin(sheet.who, sorted(attackers)) & np.isin(sheet.true, sorted(victims)) & (sheet.true != to))
    hit = random.choice(aim, round(share * len(aim)), replace=False)
    given[hit], bad[hit] = to, True
    return replace(sheet, given=given, bad=bad)
