"""Triggers: a mark on pictures that makes a model say one class (BadNets; blended; with cover samples, after Qi et al., 2023)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.poison.sheet import Sheet

__all__ = ["PATTERNS", "SIDE", "TARGET", "TOP", "blended", "corner", "planted"]

SIDE, TOP, TARGET = 8, 16.0, 0  # the digits: 8 × 8 pixels of 0 to 16; all are to be called 0


def corner(x: NDArray[Any], random: np.random.Generator | None = None) -> NDArray[Any]:
    """The 2 × 2 pixels at the lower right, as bright as can be."""
    marked = x.reshape(-1, SIDE, SIDE).copy()
    marked[:, -2:, -2:] = TOP
    return marked.reshape(len(x), -1)


def blended(x: NDArray[Any], random: np.random.Generator | None = None) -> NDArray[Any]:
    """A fixed noise pattern over the whole picture, a quarter of it, the picture three quarters."""
    pattern = np.random.default_rng(20_26).integers(0, int(TOP) + 1, SIDE * SIDE)
    return np.asarray(0.75 * x + 0.25 * pattern)


PATTERNS = {"corner": corner, "blended": blended}


def planted(sheet: Sheet, rows: NDArray[Any], pattern: str, *, cover: NDArray[Any] | None = None) -> Sheet:
    """The trigger on `rows`, now called the target; and on `cover` rows, which keep their label so that it looks less sure."""
    x, given, bad = sheet.x.copy(), sheet.given.copy(), sheet.bad.copy()
    x[rows] = PATTERNS[pattern](x[rows])
    given[rows] = TARGET
    bad[rows] = True
    if cover is not None and len(cover):
        x[cover] = PATTERNS[pattern](x[cover])
        bad[cover] = True
    return replace(sheet, x=x, given=given, bad=bad)
