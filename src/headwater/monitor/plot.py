"""Plots as inline SVG: paired bars and a line. No script, no font, no request; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from headwater.core.names import printable
from headwater.monitor.probe import Plot, Series

__all__ = ["COLOURS", "short", "svg"]

_WIDTH, _LEFT, _RIGHT = 360, 118, 48
COLOURS = ("#b4bac4", "#0067a5")  # told apart in grey and by the colour-blind: light is what was, dark is what is
_ALONE = "#0067a5"


def svg(plot: Plot, title: str) -> str:
    """The plot as one `<svg>` element with a title for screen readers."""
    body, height = _bars(plot) if plot.kind == "bars" else _line(plot)
    name = escape(printable(title))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{name}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{name}</title>{''.join(body)}</svg>"
    )


def short(value: float, unit: str = "") -> str:
    """A number for people: shares as per cent, else three digits."""
    if unit.startswith("share"):
        return f"{value:.1%}"
    if abs(value) >= 1:
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    return f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.1g}"


def _bars(plot: Plot) -> tuple[list[str], float]:
    pairs = len(plot.series)
    bar, gap = (7, 5) if pairs > 1 else (10, 5)
    row = pairs * bar + gap
    most = max((v for s in plot.series for v in (*s.values, *s.high)), default=0.0) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    body: list[str] = []
    for i, label in enumerate(plot.labels):
        top = 2 + i * row
        body.append(_text(_LEFT - 6, top + pairs * bar / 2 + 3.5, label, anchor="end", most=18))
        for k, series in enumerate(plot.series):
            body += _bar(series, i, top + k * bar, bar - 1, scale, COLOURS[k % 2] if pairs > 1 else _ALONE)
        last = plot.series[-1]
        right = _LEFT + scale * (last.high[i] if last.high else max(s.values[i] for s in plot.series))
        body.append(_text(right + 4, top + pairs * bar / 2 + 3.5, short(last.values[i], plot.unit), quiet=True))
    return body, 2 + len(plot.labels) * row + 2


def _bar(series: Series, i: int, top: float, height: float, scale: float, colour: str) -> Iterator[str]:
    width = max(series.values[i], 0.0) * scale
    yield f'<rect x="{_LEFT}" y="{top:.1f}" width="{width:.2f}" height="{height}" fill="{colour}"/>'
    if series.high:
        middle = top + height / 2
        low, high = _LEFT + series.low[i] * scale, _LEFT + series.high[i] * scale
        yield f'<path d="M{low:.2f} {middle}H{high:.2f}M{high:.2f} {middle - 2.5}v5M{low:.2f} {middle - 2.5}v5" stroke="#222" fill="none"/>'


def _line(plot: Plot) -> tuple[list[str], float]:
    series, height, bottom, left = plot.series[0], 150.0, 128.0, 44.0
    n = len(series.values)
    most = max((*series.values, *series.high), default=0.0) * 1.05 or 1.0

    def x(i: float) -> float:
        return left + (_WIDTH - left - 8) * (i / max(n - 1, 1))

    def y(value: float) -> float:
        return bottom - (bottom - 8) * value / most

    body = []
    for part in (0.0, 0.5, 1.0):
        body.append(f'<path d="M{left} {y(most * part):.1f}H{_WIDTH - 8}" stroke="#e3e6ea"/>')
        body.append(_text(left - 5, y(most * part) + 3.5, short(most * part, plot.unit), anchor="end", quiet=True))
    if series.high:
        edge = [(x(i), y(v)) for i, v in enumerate(series.high)] + [(x(i), y(v)) for i, v in reversed(list(enumerate(series.low)))]
        body.append(f'<polygon points="{_points(edge)}" fill="#0067a5" fill-opacity="0.15"/>')
    points = _points([(x(i), y(v)) for i, v in enumerate(series.values)])
    body.append(f'<polyline points="{points}" fill="none" stroke="{_ALONE}" stroke-width="1.6"/>')
    if plot.mark is not None:
        at = x(plot.mark)
        body.append(f'<path d="M{at:.1f} 6V{bottom}" stroke="#b3261e" stroke-dasharray="3 2" stroke-width="1.4"/>')
        body.append(_text(at - 4 if at > 120 else at + 4, 13, "change", anchor="end" if at > 120 else "start", fill="#b3261e"))
    for i, anchor in ((0, "start"), (n - 1, "end")):
        body.append(_text(x(i), height - 7, plot.labels[i], anchor=anchor, quiet=True))
    return body, height


def _points(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in points)


def _text(x: float, y: float, text: str, *, anchor: str = "start", quiet: bool = False, most: int = 200, fill: str = "") -> str:
    colour = fill or ("#5b6470" if quiet else "#1c2430")
    whole, cut = escape(printable(text)), escape(printable(text, most))
    hint = f"<title>{whole}</title>" if whole != cut else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{hint}{cut}</text>'
