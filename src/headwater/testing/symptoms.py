"""A made-up clinic: rows with numbers, a truth value, texts and gaps, whose classes can be told; for tests of classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.core.digest import json_digest
from headwater.train.interactions import Frame

if TYPE_CHECKING:
    import polars as pl

__all__ = ["symptoms", "symptoms_frame"]


def symptoms_frame(*, rows: int = 400, sites: int = 20, classes: int = 3, noise: int = 5, seed: int = 0) -> pl.DataFrame:
    """Rows of `case`, `patient`, `site`, `ts` (over 60 days), `heat`, `pulse`, `cough`, `place` and `finding`.

    `noise` per cent of the findings are wrong.
    """
    import numpy as np
    import polars as pl

    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    told = np.where(random.random(rows) < noise / 100, random.integers(0, classes, rows), truth)
    heat = np.where(random.random(rows) < 0.05, np.nan, 37.0 + truth + random.normal(0, 0.4, rows))
    places = [f"p{n}" for n in (truth + (random.random(rows) < 0.3) * random.integers(0, 5, rows)) % 5]
    return pl.DataFrame(
        {
            "case": [f"case{n:05d}" for n in range(rows)],
            "patient": [f"u{n:04d}" for n in random.integers(0, max(rows // 3, 1), rows)],
            "site": [f"site{n:03d}" for n in random.integers(0, sites, rows)],
            "ts": (np.sort(random.integers(0, 60 * 86_400, rows)) * 1_000_000 + 1_700_000_000_000_000).astype("datetime64[us]"),
            "heat": pl.Series(heat).fill_nan(None),
            "pulse": random.integers(50, 70, rows) + 10 * truth,
            "cough": random.random(rows) < truth / classes,
            "place": pl.Series(places).set(pl.Series(random.random(rows) < 0.05), None),
            "finding": [f"kind{n}" for n in told],
        }
    )


def symptoms(**sizes: int) -> Frame:
    """The same as the prepared table `cases`; equal sizes and seed have an equal digest."""
    return Frame(name="cases", frame=symptoms_frame(**sizes), digest=json_digest(["symptoms", sizes]))
