"""Plots: a measure's figures as SVG files of their own, drawn by Headwater's own plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.poison.line import Line
from headwater.monitor.plot import svg
from headwater.monitor.probe import Plot, Series

__all__ = ["drawn"]

_STYLE = 'width="640" font-family="system-ui, sans-serif" font-size="9" style="background:#fff"'


def drawn(name: str, lines: Sequence[Line]) -> dict[str, str]:
    """The plots of a measure, by name of file; none if there is nothing to draw."""
    plots = _PLOTS[name](lines) if name in _PLOTS else {}
    return {file: svg(plot, title).replace("<svg ", f"<svg {_STYLE} ", 1) + "\n" for file, (title, plot) in plots.items()}


_SHORT = {
    " contributors": "",
    "with cover samples": "covered",
    "slow and spread: 3 % by all 40, begun before; no gate, 20 shards of nets": "all 40, shards",
    "slow: 3 % by 2, begun before the snapshot": "slow, by 2",
    "slow and spread: 3 % by all 40, begun before": "slow, by all 40",
    "through one sign-up channel": "one channel",
    "spread over channels and weeks": "over weeks",
    "by accounts that did nothing wrong before the snapshot": "slept before",
    "three classes called a fourth, by 4": "one way",
    " accounts": "",
    "%, 100 records": "% ×100",
    "%, 30 records": "% ×30",
}
Plots = dict[str, tuple[str, Plot]]


def _series(name: str, intervals: Sequence[Mapping[str, float]]) -> Series:
    return Series(
        name=name,
        values=tuple(one["value"] for one in intervals),
        low=tuple(max(one["low"], 0.0) for one in intervals),
        high=tuple(one["high"] for one in intervals),
    )


def _flips(lines: Sequence[Line]) -> Plots:
    cases: dict[str, Mapping[str, float]] = {}
    for line in lines:
        if line.what.startswith("contributors found"):
            cases |= {case: one for case, one in line.figures.items() if isinstance(one, Mapping) and "value" in one}
    return {"flips": ("Contributors found in one round", _bars(list(cases), [_series("found", list(cases.values()))], "share"))}


def _bars(labels: Sequence[str], series: Sequence[Series], unit: str = "") -> Plot:
    for long, little in _SHORT.items():
        labels = [label.replace(long, little) for label in labels]
    return Plot(kind="bars", labels=tuple(labels), series=tuple(series), unit=unit)


def _backdoors(lines: Sequence[Line]) -> Plots:
    chosen = [line for line in lines if line.what.startswith("backdoor") and "all of the below" not in line.what]
    labels = [line.what.partition(": ")[2] for line in chosen]
    both = [_series(side, [line.figures[side] for line in chosen]) for side in ("none", "gate")]
    return {"backdoors": ("Backdoor success without the gate (light) and with it", _bars(labels, both, "share"))}


def _shilling(lines: Sequence[Line]) -> Plots:
    chosen = [line for line in lines if line.what.startswith("shilling") and "all kinds" not in line.what]
    labels = [line.what.removeprefix("shilling ").removesuffix(" profiles") for line in chosen]
    both = [_series(side, [line.figures[side] for line in chosen]) for side in ("none", "gate")]
    return {"shilling": ("Hit rate of the pushed item ÷ before: without the gate (light) and with it", _bars(labels, both))}


def _rounds(values: Sequence[Mapping[str, float]], unit: str) -> Plot:
    labels = tuple(f"round {n + 1}" for n in range(len(values)))
    return Plot(kind="line", labels=labels, series=(_series("", values),), unit=unit)


def _drip(lines: Sequence[Line]) -> Plots:
    found = next((line.figures["by_round"] for line in lines if "25 % flips" in line.what), None)
    return {"drip": ("Drip of 25 % flips: contributors found by round", _rounds(found, "share"))} if found else {}


def _certificate(lines: Sequence[Line]) -> Plots:
    curve: Any = next((line.figures["curve"] for line in lines if "curve" in line.figures), None)
    if not curve:
        return {}
    labels = tuple(f"{r} poisoned" for r in curve)
    plot = Plot(kind="line", labels=labels, series=(_series("", list(curve.values())),), unit="share")
    return {"certificate": ("Certified accuracy by number of poisoned contributors", plot)}


_PLOTS = {"flips": _flips, "backdoors": _backdoors, "shilling": _shilling, "drip": _drip, "certificate": _certificate}
