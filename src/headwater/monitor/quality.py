"""Quality as served: click-through, ranking quality of what was shown, latency and empty answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.monitor.outcomes import outcomes, seconds
from headwater.monitor.probe import Evidence, Measure, Plot, Series, Status

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ClickThrough", "Latency", "RankingQuality", "wilson"]

_VERSIONS, _PLACES = 20, 20
_Z = 1.959963984540054  # 95 %, two-sided


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share (Wilson 1927). It stays inside [0, 1] and holds for small samples; (0, 1) for none."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = hits / of, _Z * _Z
    middle, half = share + z2 / (2 * of), _Z * (share * (1 - share) / of + z2 / (4 * of * of)) ** 0.5
    return max(0.0, (middle - half) / (1 + z2 / of)), min(1.0, (middle + half) / (1 + z2 / of))


@dataclass(frozen=True)
class ClickThrough:
    """The share of predictions that got the event, by model version (newest first) and by place, with Wilson intervals.

    The newest version is an alarm when its rate is at least `fall` below the version before it, relatively, and their
    intervals do not touch. Versions served at different times to different users: the fall says that something
    happened, not that the model did it. Predictions younger than `wait` are left out: their feedback may be on its
    way. Fewer than `min_shown` predictions, or no feedback at all, are `unknown`.
    """

    event: str = "click"
    wait: str = "10m"
    fall: float = 0.2
    min_shown: int = 100

    def __post_init__(self) -> None:
        seconds(self.wait, "wait")

    @property
    def name(self) -> str:
        """`click_through`."""
        return "click_through"

    @property
    def needs(self) -> tuple[str, ...]:
        """Predictions and feedback."""
        return ("predictions", "feedback")

    def measure(self, evidence: Evidence) -> Sequence[Measure]:
        """One measure a version (the 20 newest) and one for the places."""
        import polars as pl

        shown = outcomes(evidence, event=self.event, wait_s=seconds(self.wait))
        if shown is None:
            return [_nothing(self.name, "rate", "predictions")]
        hit = pl.col("hits").list.len() > 0
        by_version = (
            shown.group_by("model", "version")
            .agg(shown=pl.len().cast(pl.Int64), hits=hit.sum().cast(pl.Int64), newest=pl.col("ts").max())
            .sort("newest", "model", "version", descending=True, nulls_last=True)
            .head(_VERSIONS)
            .collect(engine="streaming")
            .to_dicts()
        )
        if not by_version:
            return [_nothing(self.name, "rate", "predictions")]
        if not any(row["hits"] for row in by_version):
            return [_nothing(self.name, "rate", f"{self.event} feedback")]
        versions = [self._version(row, _before(by_version, i)) for i, row in enumerate(by_version)]
        return [*versions, self._places(shown)]

    def _version(self, row: dict[str, Any], before: dict[str, Any] | None) -> Measure:
        hits, shown = row["hits"], row["shown"]
        low, high = wilson(hits, shown)
        status: Status = "unknown" if shown < self.min_shown else "ok"
        threshold, detail = None, ""
        if before and status == "ok" and before["shown"] >= self.min_shown:
            rate_before = before["hits"] / before["shown"]
            threshold = rate_before * (1 - self.fall)
            if hits / shown <= threshold and high < wilson(before["hits"], before["shown"])[0]:
                status, detail = "alarm", f"version {before['version']} had {rate_before:.2%}"
        return Measure(
            probe=self.name,
            name="rate",
            subject=f"{row['model']} {row['version']}",
            value=hits / shown,
            status=status,
            threshold=threshold,
            detail=detail or (f"fewer than {self.min_shown} predictions" if status == "unknown" else ""),
            evidence={"low": low, "high": high, "hits": hits, "shown": shown, "event": self.event},
        )

    def _places(self, shown: pl.LazyFrame) -> Measure:
        import polars as pl

        lengths = dict(shown.group_by("shown").agg(pl.len()).collect(engine="streaming").iter_rows())
        hits = dict(
            shown.select(place=pl.col("hits").explode(empty_as_null=False))
            .group_by("place")
            .agg(pl.len())
            .collect(engine="streaming")
            .iter_rows()
        )
        places = range(min(_PLACES, max(lengths)))
        counted = [(hits.get(place, 0), sum(n for length, n in lengths.items() if length > place)) for place in places]
        ends = [wilson(*pair) for pair in counted]
        rates = tuple(h / n for h, n in counted)
        series = Series(name="click-through", values=rates, low=tuple(e[0] for e in ends), high=tuple(e[1] for e in ends))
        evidence: dict[str, Fact] = {f"place_{place + 1}": rate for place, rate in enumerate(rates)}
        return Measure(
            probe=self.name,
            name="first_place",
            subject="by place",
            value=rates[0],
            status="ok",
            detail=f"share of shown items that got a {self.event}, at each place of the list",
            evidence=evidence,
            plot=Plot(kind="bars", labels=tuple(str(p + 1) for p in places), series=(series,), unit="share at this place"),
        )


def _before(rows: list[dict[str, Any]], i: int) -> dict[str, Any] | None:
    """The next older version of the same model, for the newest of each model only: older ones were judged in their day."""
    if any(row["model"] == rows[i]["model"] for row in rows[:i]):
        return None
    return next((row for row in rows[i + 1 :] if row["model"] == rows[i]["model"]), None)


@dataclass(frozen=True)
class RankingQuality:
    """How high in the list the items stood that got the event: NDCG and MRR, by model version, over predictions that got one.

    Binary relevance; NDCG with log2 discount over the shown list (Järvelin and Kekäläinen 2002), MRR the mean of
    1/place of the first. Clicks follow places as well as tastes, so compare versions, not systems. A version below
    `at_least` NDCG by its whole 95 % interval is an alarm.
    """

    event: str = "click"
    wait: str = "10m"
    at_least: float | None = None
    min_hits: int = 30

    def __post_init__(self) -> None:
        seconds(self.wait, "wait")

    @property
    def name(self) -> str:
        """`ranking_quality`."""
        return "ranking_quality"

    @property
    def needs(self) -> tuple[str, ...]:
        """Predictions and feedback."""
        return ("predictions", "feedback")

    def measure(self, evidence: Evidence) -> Sequence[Measure]:
        """NDCG and MRR a version, newest first (the 20 newest)."""
        import polars as pl

        shown = outcomes(evidence, event=self.event, wait_s=seconds(self.wait))
        if shown is None:
            return [_nothing(self.name, "ndcg", "predictions")]
        gain = 1 / (pl.element() + 2).log(2)
        ideal = 1 / (pl.int_ranges(0, pl.col("hits").list.len()).list.eval(gain).list.sum())
        scored = shown.filter(pl.col("hits").list.len() > 0).with_columns(
            ndcg=pl.col("hits").list.eval(gain).list.sum() * ideal, mrr=1 / (pl.col("hits").list.first() + 1)
        )
        rows = (
            scored.group_by("model", "version")
            .agg(pl.col("ndcg", "mrr").mean(), n=pl.len().cast(pl.Int64), spread=pl.col("ndcg").std(), newest=pl.col("ts").max())
            .sort("newest", "model", "version", descending=True, nulls_last=True)
            .head(_VERSIONS)
            .with_columns(pl.col("ndcg", "mrr", "spread").round(9))  # sums in another order differ in the last bits
            .collect()
            .to_dicts()
        )
        if not rows:
            return [_nothing(self.name, "ndcg", f"predictions with a {self.event}")]
        return [measure for row in rows for measure in self._version(row)]

    def _version(self, row: dict[str, Any]) -> list[Measure]:
        half = _Z * (row["spread"] or 0.0) / row["n"] ** 0.5
        status: Status = "unknown" if row["n"] < self.min_hits else "ok"
        if status == "ok" and self.at_least is not None and row["ndcg"] + half < self.at_least:
            status = "alarm"
        subject, of = f"{row['model']} {row['version']}", {"predictions": row["n"]}
        ends = {"low": max(0.0, row["ndcg"] - half), "high": min(1.0, row["ndcg"] + half)}
        detail = f"fewer than {self.min_hits} predictions with a {self.event}" if status == "unknown" else ""
        ndcg = Measure(
            probe=self.name,
            name="ndcg",
            subject=subject,
            value=row["ndcg"],
            status=status,
            threshold=self.at_least,
            detail=detail,
            evidence=ends | of,
        )
        mrr: Status = "unknown" if status == "unknown" else "ok"
        return [ndcg, Measure(probe=self.name, name="mrr", subject=subject, value=row["mrr"], status=mrr, detail=detail, evidence=of)]


@dataclass(frozen=True)
class Latency:
    """How long answers took, and how many were none: quantiles of `latency_us` in milliseconds, share of failed answers.

    A prediction failed if it has no latency (or a negative one) or shows no item. `p99_ms` and `failed` are what is
    still fine; twice that is an alarm, above it a warning.
    """

    p99_ms: float = 50.0
    failed: float = 0.01
    min_shown: int = 100

    @property
    def name(self) -> str:
        """`latency`."""
        return "latency"

    @property
    def needs(self) -> tuple[str, ...]:
        """Predictions."""
        return ("predictions",)

    def measure(self, evidence: Evidence) -> Sequence[Measure]:
        """Median, p95, p99 and the share of failed answers."""
        import polars as pl

        if "predictions" not in evidence:
            return [_nothing(self.name, "p99_ms", "predictions")]
        took, quantiles = pl.col("latency_us"), {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
        answered = took.is_not_null() & (took >= 0)
        served = evidence["predictions"].select(took, "items").with_columns(took.cast(pl.Float64).fill_nan(None))
        row = (
            served.select(
                n=pl.len(),
                failed=(~answered.fill_null(False) | (pl.col("items").list.len().fill_null(0) == 0)).sum(),
                **{name: (took.filter(answered) / 1000).quantile(q, "higher") for name, q in quantiles.items()},
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )
        if row["n"] < self.min_shown:
            return [_nothing(self.name, "p99_ms", f"{self.min_shown} predictions")]
        values = tuple(row[name] or 0.0 for name in quantiles)
        plot = Plot(kind="bars", labels=("median", "p95", "p99"), series=(Series(name="latency", values=values),), unit="milliseconds")
        limits = {"p99_ms": self.p99_ms}
        measures = [
            self._one(name, row[name], limits.get(name), row["n"], plot if name == "p99_ms" else None) for name in reversed(quantiles)
        ]
        return [*measures, self._one("failed", row["failed"] / row["n"], self.failed, row["n"], None)]

    def _one(self, name: str, value: float | None, limit: float | None, n: int, plot: Plot | None) -> Measure:
        status: Status = "unknown" if value is None else "ok"
        if value is not None and limit is not None and value > limit:
            status = "alarm" if value > 2 * limit else "warn"
        return Measure(
            probe=self.name,
            name=name,
            subject="answers",
            value=value,
            status=status,
            threshold=limit,
            evidence={"predictions": n},
            plot=plot,
        )


def _nothing(probe: str, name: str, what: str) -> Measure:
    return Measure(probe=probe, name=name, subject="all", value=None, status="unknown", detail=f"no {what} to look at yet")
