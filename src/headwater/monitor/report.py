"""Report: what the probes measured about one deployment, under one digest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.core.artifact import Artifact, Fact
from headwater.core.digest import json_digest
from headwater.core.errors import DataError
from headwater.monitor.probe import STATUSES, Evidence, Measure, Plot, Probe, Series, Status, worst

__all__ = ["Report", "watch"]


@dataclass(frozen=True, kw_only=True)
class Report(Artifact):
    """What was measured. `at` is the moment it is about (ISO 8601, given by the caller); `parents` name the deployment
    and the data. The digest is over `at`, `parents` and every measure: same rows, same report."""

    at: str
    measures: tuple[Measure, ...] = ()

    @property
    def worst(self) -> Status:
        """The worst status of all; `unknown` if nothing was measured."""
        return worst([measure.status for measure in self.measures])

    def alarms(self, *probes: str) -> tuple[Measure, ...]:
        """The measures that are an alarm, of these probes or of all."""
        return tuple(m for m in self.measures if m.status == "alarm" and (not probes or m.probe in probes))

    def html(self) -> str:
        """The whole report as one page that needs nothing beside it."""
        from headwater.monitor.page import page

        return page(self)

    @classmethod
    def of(cls, measures: Iterable[Measure], *, uri: str, at: str, parents: Sequence[str] = ()) -> Report:
        """A report of some measures."""
        kept = tuple(measures)
        plain = [dataclasses.asdict(measure) for measure in kept]
        counts: dict[str, Fact] = {status: sum(m.status == status for m in kept) for status in STATUSES}
        return cls(
            uri=uri,
            digest=json_digest({"at": at, "parents": list(parents), "measures": plain}),
            parents=tuple(parents),
            facts={"worst": worst([m.status for m in kept]), "measures": len(kept), **counts},
            at=at,
            measures=kept,
        )

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Report:
        """The report that `to_json` wrote. Raises `DataError` if it is not one, or its digest is not its own."""
        try:
            measures = [_measure(m) for m in plain["measures"]]
            report = cls.of(measures, uri=str(plain["uri"]), at=str(plain["at"]), parents=[str(p) for p in plain["parents"]])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no report: {type(error).__name__} {error}") from None
        if report.digest != plain.get("digest"):
            raise DataError(f"the report {report.uri} says it is {plain.get('digest')} and is {report.digest}: it was changed")
        return report


def watch(probes: Iterable[Probe], evidence: Evidence, *, uri: str, at: str, parents: Sequence[str] = ()) -> Report:
    """Ask every probe. One that crashes is an alarm of its own (`crashed`): no answer is not a yes."""
    return Report.of([measure for probe in probes for measure in _asked(probe, evidence)], uri=uri, at=at, parents=parents)


def _asked(probe: Probe, evidence: Evidence) -> Sequence[Measure]:
    from polars.exceptions import PanicException

    try:
        return list(probe.measure(evidence))
    except (Exception, PanicException) as error:  # noqa: BLE001 - one bad probe must not silence the others
        detail = f"{type(error).__name__} in the probe {probe.name}"
        return [Measure(probe=probe.name, name="crashed", subject=probe.name, value=None, status="alarm", detail=detail)]


def _measure(plain: Mapping[str, Any]) -> Measure:
    if plain["status"] not in STATUSES:
        raise ValueError(f"status {plain['status']!r}")
    drawn = plain.get("plot")
    plot = None
    if drawn is not None:
        series = tuple(Series(name=s["name"], **{k: tuple(s[k]) for k in ("values", "low", "high")}) for s in drawn["series"])
        plot = Plot(**{**drawn, "labels": tuple(drawn["labels"]), "series": series})
    return Measure(**{**plain, "plot": plot})
