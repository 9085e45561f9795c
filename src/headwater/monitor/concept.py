"""Concept drift: has what people answer changed, though the model did not? ADWIN and Page–Hinkley over delayed feedback."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.core.errors import UsageError
from headwater.monitor.outcomes import outcomes, seconds
from headwater.monitor.probe import Evidence, Measure, Plot, Series, Status

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["Change", "Concept", "adwin", "changes", "page_hinkley"]

_DRAWN = 40
_FALSE_ALARM = 1e-3


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change in a stream of hits: seen at index `seen`, most likely begun at `begun`; the mean before and after."""

    begun: int
    seen: int
    before: float
    after: float


@dataclass(frozen=True)
class Concept:
    """Watch the share of hits of the model version that answers now, in the order of its predictions.

    A hit is a prediction that got the event. Both detectors are river's: ADWIN (Bifet and Gavaldà 2007) and
    Page–Hinkley (Page 1954). Their verdict is recomputed from the stored stream each time, over the last `window`
    predictions: there is no state to lose, to trust or to unpickle, and the same rows give the same answer. A new
    version starts a new stream, so a change that a retraining has answered is no longer an alarm.

    The value is the relative change of the share at the last change found, 0 if there was none. A fall of at least
    `fall` is an alarm; another change is a warning. Predictions younger than `wait` are left out: their feedback may
    be on its way.
    """

    event: str = "click"
    fall: float = 0.25
    wait: str = "10m"
    window: int = 100_000
    min_shown: int = 200

    def __post_init__(self) -> None:
        seconds(self.wait, "wait")
        if not 0 < self.fall < 1:
            raise UsageError(f"Concept: fall={self.fall} is no relative change. Expected a number between 0 and 1, as 0.25")
        if not 100 <= self.min_shown <= self.window:
            raise UsageError(f"Concept: expected 100 <= min_shown <= window, got {self.min_shown} and {self.window}")

    @property
    def name(self) -> str:
        """`concept`."""
        return "concept"

    @property
    def needs(self) -> tuple[str, ...]:
        """Predictions and feedback."""
        return ("predictions", "feedback")

    def measure(self, evidence: Evidence) -> Sequence[Measure]:
        """One measure a detector, with where the change began."""
        shown = outcomes(evidence, event=self.event, wait_s=seconds(self.wait))
        stream = None if shown is None else _newest_version(shown, self.window)
        if stream is None or len(stream) < self.min_shown:
            detail = f"fewer than {self.min_shown} predictions of the newest version to look at yet"
            return [Measure(probe=self.name, name="adwin", subject="all", value=None, status="unknown", detail=detail)]
        hits = stream["hit"].to_numpy()
        if not hits.any():
            detail = f"no {self.event} has come back yet"
            return [Measure(probe=self.name, name="adwin", subject="all", value=None, status="unknown", detail=detail)]
        found = {"adwin": changes(hits, adwin()), "page_hinkley": changes(hits, page_hinkley(hits, self.fall))}
        drawn = "adwin" if found["adwin"] or not found["page_hinkley"] else "page_hinkley"
        return [self._told(name, some, stream, draw=name == drawn) for name, some in found.items()]

    def _told(self, name: str, found: Sequence[Change], stream: pl.DataFrame, *, draw: bool) -> Measure:
        subject = f"{stream['model'][0]} {stream['version'][0]}"
        times = stream["ts"]
        evidence: dict[str, Fact] = {"predictions": len(stream), "changes": len(found)}
        last = found[-1] if found else None
        value, detail = 0.0, ""
        status: Status = "ok"
        if last is not None:
            value = (last.after - last.before) / last.before if last.before else 1.0
            status = "alarm" if value <= -self.fall else "warn"
            began = str(times[last.begun])[:19]
            detail = f"the share of predictions with a {self.event} went from {last.before:.2%} to {last.after:.2%} at about {began} UTC"
            evidence |= {"before": last.before, "after": last.after, "begun": str(times[last.begun]), "seen": str(times[last.seen])}
        return Measure(
            probe=self.name,
            name=name,
            subject=subject,
            value=value,
            status=status,
            threshold=-self.fall,
            detail=detail,
            evidence=evidence,
            plot=_plot(stream, last.begun if last else None) if draw else None,
        )


def adwin(delta: float = 0.002) -> Callable[[], Any]:
    """Makes ADWIN detectors; `delta` bounds the chance of a false alarm at each check."""
    from river.drift import ADWIN

    return lambda: ADWIN(delta=delta)


def page_hinkley(hits: Numbers, fall: float) -> Callable[[], Any]:
    """Makes two-sided Page–Hinkley detectors fit for shares.

    river's defaults are for values of unit size and raise false alarms on rare hits. Here the drift allowed is half of
    the change to find, and the threshold is where a random walk of this variance would arrive by chance with
    probability 0.001 over the whole stream (λ = ln(n / 0.001) · σ² / 2δ).
    """
    from river.drift import PageHinkley

    share = float(hits.mean())
    delta = fall * share / 2
    threshold = math.log(len(hits) / _FALSE_ALARM) * max(share * (1 - share), 1e-6) / (2 * delta)
    return lambda: PageHinkley(min_instances=100, delta=delta, threshold=threshold, alpha=1.0)


def changes(hits: Numbers, detector: Callable[[], Any]) -> list[Change]:
    """Every change a detector sees in a stream, oldest first; after each a fresh detector goes on.

    Detectors say when they are sure, not when it began: that is the cut of the segment that splits its means best
    (least squares; the likelihood-ratio change point).
    """
    found: list[tuple[int, int]] = []
    start, values = 0, hits.tolist()
    watch = detector()
    for i, value in enumerate(values):
        watch.update(value)
        if watch.drift_detected:
            start += _cut(hits[start : i + 1])
            found.append((start, i))
            watch = detector()
    bounds = [0, *(begun for begun, _ in found), len(hits)]
    means = [float(hits[a:b].mean()) for a, b in pairwise(bounds)]
    return [Change(begun=begun, seen=seen, before=means[k], after=means[k + 1]) for k, (begun, seen) in enumerate(found)]


def _cut(segment: Numbers) -> int:
    """Where a segment of at least four values splits best into two means, neither of a few values only."""
    import numpy as np

    n = len(segment)
    edge = min(30, n // 4)
    left = np.arange(edge, n - edge + 1)
    gap = np.cumsum(segment)[left - 1] - left * segment.mean()
    return int(np.argmax(gap**2 / (left * (n - left)))) + edge


def _newest_version(shown: pl.LazyFrame, window: int) -> pl.DataFrame | None:
    import polars as pl

    newest = (
        shown.filter(pl.col("ts").is_not_null()).sort("ts", "prediction_id", descending=True).head(1).select("model", "version").collect()
    )
    if newest.is_empty():
        return None
    model, version = newest.row(0)
    mine = shown.filter(pl.col("model").eq_missing(model) & pl.col("version").eq_missing(version) & pl.col("ts").is_not_null())
    last = mine.sort("ts", "prediction_id", descending=True).head(window)
    return last.select("ts", "prediction_id", "model", "version", hit=(pl.col("hits").list.len() > 0).cast(pl.Float64)).collect().reverse()


def _plot(stream: pl.DataFrame, mark: int | None) -> Plot:
    """The share of hits over time, in at most 40 slices of equally many predictions."""
    from headwater.monitor.quality import wilson

    n = len(stream)
    bins = min(_DRAWN, n)
    edges = [n * i // bins for i in range(bins + 1)]
    parts = [stream["hit"][a:b] for a, b in pairwise(edges)]
    ends = [wilson(int(part.sum()), len(part)) for part in parts]
    return Plot(
        kind="line",
        labels=tuple(str(stream["ts"][a])[:16] for a in edges[:-1]),
        series=(
            Series(
                name="share of predictions with a hit",
                values=tuple(float(part.sum()) / len(part) for part in parts),
                low=tuple(end[0] for end in ends),
                high=tuple(end[1] for end in ends),
            ),
        ),
        unit="share of predictions",
        mark=None if mark is None else next(i for i in range(bins) if mark < edges[i + 1]),
    )
