"""Two columns compared: bins, nulls, new categories, and the distances between what was and what is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.core.artifact import Fact
from headwater.monitor.distance import chi_square, jensen_shannon, kolmogorov_smirnov, merged, psi, wasserstein
from headwater.monitor.probe import Plot, Series

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["MOST_CATEGORIES", "Compared", "compare_categories", "compare_numbers", "kind_of"]

MOST_CATEGORIES = 50
"""So many categories have a bin of their own, the most frequent of both frames together; the rest share one."""
_DRAWN = 12


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How far one column has moved. `p` is of a chi-square over the same bins as `psi`."""

    psi: float
    p: float
    evidence: dict[str, Fact]
    plot: Plot


def kind_of(dtype: pl.DataType) -> str:
    """`number`, `category`, `time`, `null`, or `other` for what is not compared (lists, structs, bytes)."""
    import polars as pl

    if dtype == pl.Null:
        return "null"
    if dtype.is_temporal():
        return "time"
    if dtype.is_numeric():
        return "number"
    return "category" if dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) else "other"


def compare_numbers(reference: pl.Series, current: pl.Series, *, private: bool = False) -> Compared:
    """Compare two columns of numbers or times, neither empty. Nulls and NaN share a bin of their own; infinities are values.

    Bins are the tenths of the reference; a value that fills more than a tenth has a bin of its own, so a constant
    column is seen to move in either direction.
    """
    import numpy as np

    r, c = _sorted(reference), _sorted(current)
    cuts = _cuts(r)
    missing = [len(reference) - len(r), len(current) - len(c)]
    counts = [np.append(_counts(side, cuts), without).astype(np.float64) for side, without in zip((r, c), missing, strict=True)]
    evidence: dict[str, Fact] = {}
    if len(r) and len(c):
        both = merged(r, c)
        evidence["ks"], evidence["ks_p"] = kolmogorov_smirnov(both)
        evidence["wasserstein"] = wasserstein(both)
    labels = [f"tenth {i + 1}" for i in range(len(cuts) + 1)] if private else _labels(cuts, reference)
    return _compared(counts[0], counts[1], [*labels, "missing"], missing, evidence)


def compare_categories(reference: pl.Series, current: pl.Series, *, private: bool = False) -> Compared:
    """Compare two columns of categories, neither empty. Null is a category; all beyond the 50 most frequent are one.

    Categories are named in the plot only where there are no more than 50 and the column is not `private`: a column of
    many values may be made of persons.
    """
    import numpy as np
    import polars as pl

    was, now = (s.cast(pl.String).alias("value").value_counts(name=n) for s, n in ((reference, "r"), (current, "c")))
    table = was.join(now, on="value", how="full", coalesce=True, nulls_equal=True)
    table = table.with_columns(pl.col("r", "c").fill_null(0).cast(pl.Float64))
    table = table.sort(-(pl.col("r") + pl.col("c")), "value")
    named = table["value"].is_not_null()
    r, c, labels = table["r"].to_numpy(), table["c"].to_numpy(), table["value"].fill_null("missing").to_list()[:MOST_CATEGORIES]
    evidence: dict[str, Fact] = {
        "categories": int(named.sum()),
        "new_categories": int(((r == 0) & named.to_numpy()).sum()),
        "new_share": float(c[(r == 0) & named.to_numpy()].sum() / len(current)),
    }
    hidden = private or len(table) > MOST_CATEGORIES
    if hidden:
        labels = [f"no. {i + 1}" for i in range(len(labels))]
    if len(table) > MOST_CATEGORIES:
        r, c = (np.append(side[:MOST_CATEGORIES], side[MOST_CATEGORIES:].sum()) for side in (r, c))
        labels.append("all others")
    return _compared(r, c, labels, [reference.null_count(), current.null_count()], evidence)


def _compared(reference: Numbers, current: Numbers, labels: list[str], missing: list[int], evidence: dict[str, Fact]) -> Compared:
    statistic, p, v = chi_square(reference, current)
    n, m = float(reference.sum()), float(current.sum())
    evidence |= {
        "jensen_shannon": jensen_shannon(reference, current),
        "chi_square": statistic,
        "chi_square_p": p,
        "cramers_v": v,
        "rows_reference": int(n),
        "rows_current": int(m),
        "missing_reference": missing[0] / n,
        "missing_current": missing[1] / m,
    }
    filled = [i for i in range(len(labels)) if reference[i] + current[i] > 0]
    drawn = sorted(sorted(filled, key=lambda i: (-abs(reference[i] / n - current[i] / m), i))[:_DRAWN])
    plot = Plot(
        kind="bars",
        labels=tuple(labels[i] for i in drawn),
        unit="share of rows" + (f", the {_DRAWN} that moved most" if len(filled) > _DRAWN else ""),
        series=(
            Series(name="reference", values=tuple(float(reference[i] / n) for i in drawn)),
            Series(name="current", values=tuple(float(current[i] / m) for i in drawn)),
        ),
    )
    return Compared(psi=psi(reference, current), p=p, evidence=evidence, plot=plot)


def _sorted(column: pl.Series) -> Numbers:
    """The values of a column as sorted floats, without nulls and NaN."""
    import polars as pl

    plain = column.to_physical() if column.dtype.is_temporal() else column
    return plain.cast(pl.Float64).drop_nulls().drop_nans().sort().to_numpy()


def _cuts(reference: Numbers) -> list[tuple[float, bool]]:
    """Where to cut, from the sorted reference: (value, before it). A value is cut on both sides if it fills a tenth."""
    if not len(reference):
        return []
    tenths = [float(reference[len(reference) * i // 10]) for i in range(1, 10)]
    return [(value, before) for value in sorted(set(tenths)) for before in ((True, False) if tenths.count(value) > 1 else (False,))]


def _counts(values: Numbers, cuts: list[tuple[float, bool]]) -> Numbers:
    import numpy as np

    ends = [int(np.searchsorted(values, cut, side="left" if before else "right")) for cut, before in cuts]
    return np.diff([0, *ends, len(values)])


def _labels(cuts: list[tuple[float, bool]], column: pl.Series) -> list[str]:
    """One short label a bin."""
    if not cuts:
        return ["any value"]
    shown = [_shown(value, column) for value, _ in cuts]
    labels = [("< " if cuts[0][1] else "≤ ") + shown[0]]
    for (left, left_before), (right, _), a, b in zip(cuts, cuts[1:], shown, shown[1:], strict=False):
        between = f"to {b}" if column.dtype.is_temporal() else f"{a} – {b}"
        labels.append(f"= {a}" if left == right and left_before else between)
    return [*labels, f"> {shown[-1]}"]


def _shown(value: float, column: pl.Series) -> str:
    import math

    import polars as pl

    if column.dtype.is_temporal() and math.isfinite(value):
        return str(pl.Series([int(value)]).cast(column.dtype)[0])
    return f"{value:.4g}"
