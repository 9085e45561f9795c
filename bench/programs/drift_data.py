"""Two tables of 15 numeric columns (3 % missing) and 5 categorical ones; every third number and every category has drifted."""

import sys
from pathlib import Path

import numpy as np
import polars as pl


def frame(random: np.random.Generator, rows: int, shift: float, new: int) -> pl.DataFrame:
    columns = {}
    for number in range(15):
        values = random.normal(shift * (number % 3 == 0), 1 + number, rows)
        columns[f"n{number}"] = pl.Series(values).set(pl.Series(random.random(rows) < 0.03), None)
    for number in range(5):
        names = pl.Series([f"cat{one}" for one in range(8 + 10 * number + new)])
        columns[f"c{number}"] = names[random.integers(0, len(names), rows)]
    return pl.DataFrame(columns)


folder, rows = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)
frame(random, rows, 0.0, 0).write_parquet(folder / "reference.parquet")
frame(random, rows, 0.5, 1).write_parquet(folder / "current.parquet")
