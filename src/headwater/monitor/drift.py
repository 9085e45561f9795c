"""Drift: has the data moved away from what the model was trained on? One measure a column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.core.errors import UsageError
from headwater.core.names import check_name, did_you_mean
from headwater.monitor.columns import Compared, compare_categories, compare_numbers, kind_of
from headwater.monitor.probe import Evidence, Measure, Status

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Drift"]

_VALUES_AT_ONCE = 16_000_000
_CHANCE = 0.001
_ROW = "\x00row"


@dataclass(frozen=True)
class Drift:
    """Compare each column of a table's new rows with the rows the model was trained on.

    A column is an alarm when its PSI is at least `psi` **and** a chi-square over the same bins says that chance makes
    such a difference less than once in a thousand. The effect size decides: with 500,000 rows any difference is
    "significant", so p alone never alarms; with a hundred rows PSI alone is noise. Half of `psi` is a warning.
    Kolmogorov–Smirnov, Jensen–Shannon, Wasserstein, chi-square and their p values are given as evidence.

    `columns=None` compares all but times (they always move) and our own (`_source` …). `categorical` names numbers
    that are only names (an id). `private` names columns whose values must not be shown. Frames of more than
    `max_rows` are thinned evenly by row number. Fewer than `min_rows` on a side is `unknown`.
    """

    table: str
    columns: Sequence[str] | None = None
    reference: str = "reference"
    psi: float = 0.2
    categorical: Sequence[str] = ()
    private: Sequence[str] = ()
    min_rows: int = 30
    max_rows: int = 2_000_000

    def __post_init__(self) -> None:
        check_name(self.table, "table")
        if not (math.isfinite(self.psi) and self.psi > 0):
            raise UsageError(f"Drift({self.table!r}): psi={self.psi} is no threshold. Expected a number above 0, by custom 0.2")
        if self.min_rows < 1 or self.max_rows < self.min_rows:
            raise UsageError(f"Drift({self.table!r}): expected 1 <= min_rows <= max_rows, got {self.min_rows} and {self.max_rows}")

    @property
    def name(self) -> str:
        """`drift`."""
        return "drift"

    @property
    def needs(self) -> tuple[str, ...]:
        """The rows the model was trained on, and those that came since."""
        return (f"{self.reference}/{self.table}", f"current/{self.table}")

    def measure(self, evidence: Evidence) -> Sequence[Measure]:
        """One measure a column, by name. Raises `UsageError` if a column named here is in neither frame."""
        import polars as pl

        missing = [need for need in self.needs if need not in evidence]
        if missing:
            return [self._unknown(self.table, f"there is no {missing[0]} to look at")]
        was, now = (evidence[need] for need in self.needs)
        schemas = was.collect_schema(), now.collect_schema()
        sizes = [int(frame.select(pl.len()).collect().item()) for frame in (was, now)]
        if min(sizes) < self.min_rows:
            return [self._unknown(self.table, f"{sizes[0]} rows before and {sizes[1]} now: fewer than {self.min_rows} say nothing")]
        names = self._columns(*schemas)
        measures = {name: told for name in names if (told := self._of_schema(name, *schemas))}
        compared = [name for name in names if name not in measures]
        step = max(1, _VALUES_AT_ONCE // max(min(size, self.max_rows) for size in sizes))
        for start in range(0, len(compared), step):
            some = compared[start : start + step]
            frames = [_thinned(f, some, size, self.max_rows) for f, size in zip((was, now), sizes, strict=True)]
            measures |= self._compare(some, *frames)
        return [measures[name] for name in names]

    def _compare(self, names: Sequence[str], was: pl.DataFrame, now: pl.DataFrame) -> Iterator[tuple[str, Measure]]:
        with ThreadPoolExecutor(max_workers=2) as pool:  # sorting and counting release the GIL
            yield from zip(names, pool.map(lambda name: self._column(was[name], now[name]), names), strict=True)

    def _columns(self, was: pl.Schema, now: pl.Schema) -> list[str]:
        known = sorted({*was, *now})
        if self.columns is not None:
            for name in self.columns:
                if name not in known:
                    raise UsageError(f"Drift({self.table!r}) names the column {name!r}, which is not there. {did_you_mean(name, known)}")
            return sorted(set(self.columns))
        kinds = {name: {kind_of(schema[name]) for schema in (was, now) if name in schema} for name in known}
        return [name for name in known if not name.startswith("_") and "time" not in kinds[name]]

    def _of_schema(self, name: str, was: pl.Schema, now: pl.Schema) -> Measure | None:
        """What the types alone say about a column, or None if its values have to be compared."""
        if name not in now:
            return self._measure(name, None, "alarm", "the column is gone")
        if name not in was:
            return self._measure(name, None, "warn", "a new column: the model was trained without it")
        kinds = {kind_of(was[name]), kind_of(now[name])} - {"null"}
        if "other" in kinds:
            return self._unknown(name, f"values of type {now[name]} are not compared")
        if len(kinds) > 1:
            return self._measure(name, None, "alarm", f"the type changed from {was[name]} to {now[name]}")
        return None

    def _column(self, was: pl.Series, now: pl.Series) -> Measure:
        name = was.name
        kinds = {kind_of(was.dtype), kind_of(now.dtype)} - {"null"}
        if kinds == {"category"} or name in self.categorical or not kinds:
            compared = compare_categories(was, now, private=name in self.private)
        else:
            compared = compare_numbers(was, now, private=name in self.private)
        return self._measure(name, compared, _status(compared, self.psi), _detail(compared))

    def _measure(self, column: str, compared: Compared | None, status: Status, detail: str) -> Measure:
        subject = f"{self.table}.{column}" if column != self.table else column
        if compared is None:
            return Measure(probe=self.name, name="psi", subject=subject, value=None, status=status, threshold=self.psi, detail=detail)
        return Measure(
            probe=self.name,
            name="psi",
            subject=subject,
            value=compared.psi,
            status=status,
            threshold=self.psi,
            detail=detail,
            evidence=compared.evidence,
            plot=compared.plot,
        )

    def _unknown(self, column: str, detail: str) -> Measure:
        return self._measure(column, None, "unknown", detail)


def _status(compared: Compared, threshold: float) -> Status:
    if compared.p >= _CHANCE:
        return "ok"
    return "alarm" if compared.psi >= threshold else "warn" if compared.psi >= threshold / 2 else "ok"


def _detail(compared: Compared) -> str:
    evidence, said = compared.evidence, []
    before, after = float(evidence["missing_reference"] or 0), float(evidence["missing_current"] or 0)
    if abs(after - before) >= 0.01:
        said.append(f"missing values went from {before:.1%} to {after:.1%}")
    if evidence.get("new_categories"):
        said.append(f"new categories: {evidence['new_categories']}, in {float(evidence['new_share'] or 0):.1%} of the rows")
    return "; ".join(said)


def _thinned(frame: pl.LazyFrame, columns: Sequence[str], rows: int, most: int) -> pl.DataFrame:
    """Some columns of at most about `most` rows, evenly spread by a Weyl sequence: no period of the data can meet it."""
    import polars as pl

    if rows <= most:
        return frame.select(columns).collect()
    spread = pl.col(_ROW).cast(pl.UInt64) * 2_654_435_769 % 2**32
    return frame.select(columns).with_row_index(_ROW).filter(spread < int(2**32 * (most / rows))).drop(_ROW).collect()
