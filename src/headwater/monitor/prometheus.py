"""The measures of a report as Prometheus metrics, in the text exposition format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.core.digest import bytes_digest
from headwater.core.names import printable
from headwater.monitor.probe import STATUSES, Measure

if TYPE_CHECKING:
    from headwater.monitor.report import Report

__all__ = ["CONTENT_TYPE", "text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LABELS = ("probe", "name", "subject")
_SERIES, _LENGTH = 1_000, 80


def text(report: Report) -> str:
    """`headwater_measure`, `_threshold` and `_status` (0 ok, 1 unknown, 2 warn, 3 alarm) for each measure, and the report's worst.

    Bounded: the 1,000 worst measures, labels of 80 printable characters (a cut one ends in its digest, so two never
    become one). A measure without a value has a status only. The registry is its own: nothing else is exported.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    value = Gauge("headwater_measure", "What a probe measured", _LABELS, registry=registry)
    threshold = Gauge("headwater_measure_threshold", "What the measure was held against", _LABELS, registry=registry)
    status = Gauge("headwater_measure_status", "0 ok, 1 unknown, 2 warn, 3 alarm", _LABELS, registry=registry)
    overall = Gauge("headwater_report_status", "The worst status: 0 ok, 1 unknown, 2 warn, 3 alarm", registry=registry)
    left_out = Gauge("headwater_report_measures_left_out", "Measures beyond the bound of series", registry=registry)
    kept = sorted(report.measures, key=lambda m: -STATUSES.index(m.status))[:_SERIES]
    for measure in kept:
        labels = _labels(measure)
        status.labels(*labels).set(STATUSES.index(measure.status))
        if measure.value is not None:
            value.labels(*labels).set(measure.value)
        if measure.threshold is not None:
            threshold.labels(*labels).set(measure.threshold)
    overall.set(STATUSES.index(report.worst))
    left_out.set(len(report.measures) - len(kept))
    return generate_latest(registry).decode()


def _labels(measure: Measure) -> tuple[str, ...]:
    return tuple(_label(one) for one in (measure.probe, measure.name, measure.subject))


def _label(label: str) -> str:
    shown = printable(label, limit=10 * len(label) + 1)
    return shown if len(shown) <= _LENGTH else f"{shown[: _LENGTH - 9]}~{bytes_digest(label.encode('utf-8', 'surrogatepass'))[7:15]}"
